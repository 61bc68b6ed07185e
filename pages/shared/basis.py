"""Under which settings methods stand beside a run or a plan: the choice, and what follows of it for one method."""

from __future__ import annotations

from typing import Any

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.papers.method_settings import BASIS_TITLES, settings_like, taken_over
from delt_engine.runs.command import image_size_of
from pages.shared import cached
from pages.shared.session import prime, session

HELP = (
    "As in each paper: every method's images are made under its own paper's settings for the dataset, or for the one "
    "nearest in image size; MI and RI stay those of the plan where it is shortened. The same for all: under the plan's "
    "settings, but for what makes each method. Squares, by which pictures are cut, are the plan's for all."
)


def draw(key: str, **look: Any) -> None:
    """Draw the choice, the widget takes ``look`` besides; :func:`chosen` tells it, on every page."""
    now = prime(key, chosen())
    look = {"format_func": BASIS_TITLES.get, "key": key, "required": True, "help": HELP} | look
    session().basis = st.segmented_control("Settings of the methods", list(BASIS_TITLES), default=now, **look)


def chosen() -> str:
    """Return what is chosen: ``published`` or ``equal``."""
    return session().basis


def of_method(method: str, base: Experiment) -> Experiment:
    """Return the recovery of a method that stands beside ``base``, a run's settings or a plan."""
    return settings_like(method, base, chosen(), *_images(base)).experiment


def typed(base: Experiment) -> tuple[str, ...]:
    """Return the names of the settings that stand on top for all methods."""
    return tuple(taken_over(base, chosen(), *_images(base)))


def _images(base: Experiment) -> tuple[int | None, str]:
    """Return the side of the images in pixels and the teacher's network, as far as they are known."""
    card = cached.found_teacher(base)  # it knows the size of a folder's images
    size = image_size_of(base.dataset, base.image_size) or (card.image_size if card else None)
    return size, card.network if card else ""
