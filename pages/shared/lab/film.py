"""Images over the iterations on one timeline: slider, play button, keys, and curves that follow the slider.

Every frame is sent once, as tiles in sheets, so a move of the slider needs no answer from the server; where it comes
to rest is reported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).resolve().parents[1] / "components"
_component = st.components.v2.component(
    "delt.lab_film",
    css=(_HERE / "lab.css").read_text(encoding="utf-8"),
    js=(_HERE / "lab_film.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True)
class Lane:
    """One image over all moments.

    Args:
        title: above it.
        alt: what it shows, in words.
        tiles: for each moment (sheet, column, row); empty for a lane that shows a change.
        lines: captions below, each with one text a moment.
        colour: of its mark, bar and curves.
        first: iteration of the run at which it joins; dimmed before.
        change: numbers of two lanes before it whose absolute difference it shows.
        bar: whether it has a bar below the slider.
    """

    title: str
    alt: str
    tiles: tuple[tuple[int, int, int], ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()
    colour: str = ""
    first: int = 0
    change: tuple[int, int] | None = None
    bar: bool = True


@dataclass(frozen=True)
class Curve:
    """A line of a chart: ``ys`` over ``xs`` in the colour of lane number ``lane``."""

    lane: int
    xs: tuple[float, ...]
    ys: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """A small chart below the timeline, with a dot a lane that follows the slider.

    Args:
        title: what is drawn.
        unit: said beside it.
        alt: the chart in words.
        series: its lines.
        reach: first and last x.
        top: largest y; the axis begins at 0.
        own: x counts each lane's own iterations, not those of the run.
    """

    title: str
    unit: str
    alt: str
    series: tuple[Curve, ...]
    reach: tuple[float, float]
    top: float
    own: bool = False


@dataclass(frozen=True)
class Film:
    """Everything that is drawn.

    Args:
        lanes: the images.
        sheets: addresses or data URLs of PNGs with square tiles.
        tile: side of a tile in pixels.
        moments: completed iterations of each frame, rising.
        iterations: MI.
        round_iterations: RI.
    """

    lanes: tuple[Lane, ...]
    sheets: tuple[str, ...]
    tile: int
    moments: tuple[int, ...]
    iterations: int
    round_iterations: int

    @property
    def borders(self) -> list[int]:
        """Iterations at which rounds begin or end, as far as the timeline goes."""
        return list(range(0, self.moments[-1] + 1, self.round_iterations))


def lab_film(
    film: Film,
    *,
    key: str,
    at: int,
    shown: int = 176,
    charts: Sequence[Chart] = (),
    on_rest: Callable[[], None] | None = None,
) -> None:
    """Draw a film.

    Args:
        film: what is drawn.
        key: the component's key; its state ``at`` is the iteration on which the slider rests.
        at: iteration to show at first, or after it was changed here.
        shown: side of an image on screen, CSS pixels.
        charts: below the timeline.
        on_rest: runs when the slider comes to rest.
    """
    data = {
        "lanes": [asdict(lane) for lane in film.lanes],
        "sheets": list(film.sheets),
        "tile": film.tile,
        "moments": list(film.moments),
        "borders": film.borders,
        "rounds": {
            "iterations": film.iterations,
            "length": film.round_iterations,
            "count": film.iterations // film.round_iterations,
        },
        "charts": [asdict(chart) for chart in charts],
        "shown": shown,
    }
    data["version"] = hashlib.sha1(repr(data).encode(), usedforsecurity=False).hexdigest()
    _component(key=key, data=data | {"at": at}, on_at_change=on_rest or (lambda: None))
