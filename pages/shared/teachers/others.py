"""The choice of networks beside the teacher: to rank the patches, to label images, or to recover in turn with it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard, teacher_files
from delt_engine.models.committee import SECOND
from pages.shared import cached, controls
from pages.shared.session import prime


def choose(
    label: str, key: str, now: str, known: Sequence[str], image_size: int | None, plain: str, **look: str
) -> str:
    """Draw the choice among the teachers that know some classes at an image size, and return its name.

    Args:
        now: what is chosen; "" for none.
        known: names of the classes; without any every teacher is offered.
        image_size: side in pixels; any when None.
        plain: what stands for none: "the teacher".
    """
    names = ["", *_fitting(known, image_size)]
    names += [now] if now not in names else []
    # a file goes by its name
    return controls.open_choice(label, names, key, now, format_func=lambda ref: Path(ref).name or plain, **look)


def choose_committee(label: str, key: str, now: Sequence[str], card: TeacherCard, **look: str) -> tuple[str, ...]:
    """Draw the choice of the teachers that recover in turn, and return their names; none leaves it to the engine."""
    names = [SECOND, *_fitting(card.class_names, card.image_size)]
    names += [ref for ref in now if ref not in names]
    look = {"placeholder": "The teacher and one network of every other kind", **look}
    titles = {SECOND: "Held-out network"}
    prime(key, list(now))
    chosen = st.multiselect(label, names, key=key, format_func=lambda ref: titles.get(ref, Path(ref).name), **look)
    return tuple(chosen)


def _fitting(known: Sequence[str], image_size: int | None) -> list[str]:
    names = []
    for name, path in teacher_files():  # the user's newest first
        with contextlib.suppress(CheckpointError):  # a foreign or broken file among the teachers hides no other one
            card = cached.teacher_card(str(path))
            if set(known) <= set(card.class_names) and image_size in (None, card.image_size):
                names.append(name)
    return names
