"""What a grid of images is told to draw: cells in rows, headings, positions of the slider, and its look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One image over all frames.

    Args:
        id: what a click reports.
        alt: what the image shows, in words.
        sheets: for each frame the number of its sheet, None where there is no snapshot.
        x: number of the tile in each of its sheets.
        lines: captions below the image, short.
        counts: one caption a frame, shown first.
        colour: mark along the lower edge, for instance the start round's colour.
        joins: frame from which the image takes part; dimmed before.
        missing: words in place of a missing image.
        over: for each frame the sheet of a second image to swipe against the first; none when empty.
        over_x: number of its tile in each of those sheets.
        over_joins: frame from which it takes part.
        pick: "run/class number/image number" of an image that can be chosen for a download.
    """

    id: str
    alt: str
    sheets: tuple[int | None, ...]
    x: int = 0
    lines: tuple[str, ...] = ()
    counts: tuple[str, ...] | None = None
    colour: str = ""
    joins: int = 0
    missing: str = "no snapshot"
    over: tuple[int | None, ...] = ()
    over_x: int = 0
    over_joins: int = 0
    pick: str = ""


@dataclass(frozen=True)
class Row:
    """Images side by side under a title, for instance those of a class.

    ``tile`` is the side of a tile in its sheets where it differs from the look's; ``run`` the run's id and ``rounds``
    its round at each frame, for downloads; ``empty`` is said where there is no image.
    """

    title: str
    cells: tuple[Cell, ...]
    note: str = ""
    tile: int = 0
    run: str = ""
    rounds: tuple[int | None, ...] = ()
    empty: str = "none"


@dataclass(frozen=True)
class Head:
    """A heading over ``span`` columns of rows, for instance over the images that join in one round."""

    span: int
    title: str
    note: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Frame:
    """One position of the slider: its label, what is said beside it, and the number below the track."""

    label: str
    tick: str = ""
    note: str = ""


STILL = (Frame("", "", ""),)
"""The frames of a grid without a slider."""


@dataclass(frozen=True)
class Look:
    """How a grid is drawn.

    Args:
        tile: side of a tile in the sheets, pixels.
        shown: side on screen, CSS pixels; rows shrink below it to fit.
        layout: "rows" keeps a row's images on one line (up to ``columns``), "grid" wraps, "sides" puts the rows
            beside each other.
        columns: most images on one line of a row.
        slider: whether to draw slider and play button.
        follow: stay on the last frame when new ones come, unless the reader moved away.
        swipe: names of the first and the second image of cells that have two.
        download: address that makes a zip of chosen images; they cannot be chosen when empty.
    """

    tile: int = 32
    shown: int = 64
    layout: str = "rows"
    columns: int = 16
    slider: bool = False
    follow: bool = False
    swipe: tuple[str, ...] = ()
    download: str = ""
