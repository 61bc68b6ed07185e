"""A grid or rows of images under one round slider: keyboard, alt text, no blur, and one message for all of them.

Images come as sheets: PNG strips as data URLs, tile i at x = i * tile. The browser cuts the tiles out, so a hundred
images cost a handful of decodes, and moving the slider needs no answer from the server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared.gallery.records import STILL, Cell, Frame, Head, Look, Row

__all__ = ["Cell", "Frame", "GridEvent", "Head", "Look", "Row", "gallery_grid"]

_HERE = Path(__file__).resolve().parents[1] / "components"
_component = st.components.v2.component(
    "delt.gallery_grid",
    css=(_HERE / "gallery_grid.css").read_text(encoding="utf-8"),
    js="\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("gallery_tools.js", "gallery_grid.js")),
)


@dataclass(frozen=True)
class GridEvent:
    """What the reader did: the frame the slider rests on, and the image just clicked, or None."""

    frame: int | None = None
    picked: str | None = field(default=None)


def gallery_grid(
    rows: Sequence[Row],
    sheets: Sequence[str],
    *,
    key: str,
    look: Look,
    frames: Sequence[Frame] = STILL,
    head: Sequence[Head] = (),
    frame: int = 0,
    selected: str = "",
    on_pick: Callable[[], None] | None = None,
    on_frame: Callable[[], None] | None = None,
) -> GridEvent:
    """Draw images and return what the reader did with them.

    Args:
        rows: what to draw.
        sheets: PNG strips as data URLs.
        key: the component's key.
        look: sizes and layout.
        frames: positions of the slider.
        head: headings over the columns; left out where a row takes more than one line.
        frame: position to show at first, or after it was changed here.
        selected: id of the image to outline.
        on_pick: images are buttons and this runs when one is clicked.
        on_frame: runs when the slider comes to rest.
    """
    data = asdict(look) | {
        "rows": [_plain(row) for row in rows],
        "sheets": list(sheets),
        "frames": [asdict(entry) for entry in frames],
        "head": [asdict(entry) for entry in head],
        "clickable": on_pick is not None,
        "report": on_frame is not None,
        "pixelated": look.tile < look.shown * 2,
    }
    data["version"] = hashlib.sha1(repr(data).encode(), usedforsecurity=False).hexdigest()
    data |= {"frame": max(0, min(frame, len(frames) - 1)), "selected": selected}
    result = _component(
        key=key,
        data=data,
        on_picked_change=on_pick or _nothing,
        on_frame_change=on_frame or _nothing,
    )
    return GridEvent(result.get("frame"), result.get("picked"))


def _plain(row: Row) -> dict[str, Any]:
    return vars(row) | {"cells": [vars(cell) for cell in row.cells]}


def _nothing() -> None:
    """Stand in for a reaction that the page does not need."""
