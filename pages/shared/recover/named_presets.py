"""Which of the named settings the pages offer; the settings themselves, and where they are from, are the engine's."""

from __future__ import annotations

from delt_engine.config import SqueezeConfig
from delt_engine.config.presets import FINER, GLANCE, PAPER_PRESETS, PRESETS, PUBLISHED, QUICK, Preset

__all__ = ["FINER", "GLANCE", "HOME", "PAPER_PRESETS", "PRESETS", "PUBLISHED", "QUICK", "SMALL_TEACHER", "Preset"]

HOME = (QUICK, GLANCE)

SMALL_TEACHER = SqueezeConfig(network="resnet18", width=0.25, epochs=12)
"""A teacher that two CPU cores train in about a minute on small images. Ours."""
