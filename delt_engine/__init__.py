"""DELT Studio's engine: squeeze, rank, select, recover, and the runs that keep what they made.

Names are loaded on first use, so that ``import delt_engine`` stays free of torch: the app's process reads
runs and settings and never loads a network.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"

_PUBLIC = {
    "ConfigError": "errors",
    "DataError": "errors",
    "DeltError": "errors",
    "Experiment": "config",
    "RankConfig": "config",
    "RecoverConfig": "config",
    "SelectConfig": "config",
    "SqueezeConfig": "config",
    "Dataset": "data.dataset",
    "load_dataset": "data.catalogue",
    "build_network": "models.networks",
    "load_teacher": "models.teachers",
    "squeeze": "training.squeeze",
    "rank": "patches.ranking",
    "select": "patches.selection",
    "recover": "recovery.loop",
    "EarlyLateSchedule": "config.schedule",
    "Run": "runs.store",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    """Import the public name from its module on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
