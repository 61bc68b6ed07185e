"""The choice of a network that does something beside the teacher that recovers: rank the patches, or label images."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from delt_engine.errors import CheckpointError
from delt_engine.models.card import teacher_files
from pages.shared import cached, controls


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
    names = [""]
    for name, path in teacher_files():  # the user's newest first
        with contextlib.suppress(CheckpointError):  # a foreign or broken file among the teachers hides no other one
            card = cached.teacher_card(str(path))
            if set(known) <= set(card.class_names) and image_size in (None, card.image_size):
                names.append(name)
    names += [now] if now not in names else []
    # a file goes by its name
    return controls.open_choice(label, names, key, now, format_func=lambda ref: Path(ref).name or plain, **look)
