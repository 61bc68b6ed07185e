"""A map of images as points; the image itself is shown under the pointer or where the arrow keys are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).resolve().parents[1] / "components"
_component = st.components.v2.component(
    "delt.diversity_map",
    css=(_HERE / "diversity_map.css").read_text(encoding="utf-8"),
    js=(_HERE / "diversity_map.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Group:
    """Points of one kind: their name, colour, and whether they are open circles."""

    title: str
    colour: str
    open: bool = False


@dataclass(frozen=True)
class Sheet:
    """Where the browser finds images: an address, and how many tiles stand side by side there."""

    url: str
    columns: int


@dataclass(frozen=True)
class Point:
    """An image on the map: x and y from 0 to 1, number of its group, its name, and the tile of a sheet, if any."""

    x: float
    y: float
    group: int
    name: str
    sheet: int = -1
    tile: int = 0


def draw(points: Sequence[Point], groups: Sequence[Group], sheets: Sequence[Sheet], *, key: str, alt: str) -> None:
    """Draw the map.

    Args:
        points: what to draw, the first below the others.
        groups: kinds of points, in the order of the legend.
        sheets: where their images are.
        key: the component's key, also the name of saved files.
        alt: what the map shows, in words.
    """
    data = {
        "x": [round(point.x, 4) for point in points],
        "y": [round(point.y, 4) for point in points],
        "g": [point.group for point in points],
        "s": [point.sheet for point in points],
        "t": [point.tile for point in points],
        "names": [point.name for point in points],
        "groups": [asdict(group) for group in groups],
        "sheets": [asdict(sheet) for sheet in sheets],
        "alt": alt,
        "filename": key.replace("/", "-"),
    }
    data["version"] = hashlib.sha1(repr(data).encode(), usedforsecurity=False).hexdigest()
    _component(key=key, data=data)
