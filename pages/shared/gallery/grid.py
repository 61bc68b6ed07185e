"""A grid or rows of images under one round slider: keyboard, alt text, no blur, and one message for all of them.

Images come as sheets: addresses or data URLs of PNG strips, tile i at x = i * tile. The browser cuts the tiles out, so
a hundred images cost a handful of decodes, and moving the slider needs no answer from the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from pages.shared.component import component, versioned

_component = component("gallery_grid", "gallery_tools")


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
        over: sheets, with ``over_x`` and ``over_joins``, of a second image to swipe against; none when empty.
        pick: "run/class number/image number" of an image that can be chosen for a download.
        tile: side of the tile in its sheets where it differs from the row's.
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
    tile: int = 0


@dataclass(frozen=True)
class Row:
    """Images side by side under a title, for instance those of a class.

    ``tile`` is the side of a tile in its sheets where it differs from the look's; ``run`` the run's id and ``rounds``
    its round at each frame, for downloads; ``empty`` is said where there is no image. ``notes`` are said instead of
    ``note``, one a frame. ``deep`` cells each stand above one another, as the same image of two runs; ``lead`` is
    drawn beside the title; ``link`` is what a click on the title reports.
    """

    title: str
    cells: tuple[Cell, ...]
    note: str = ""
    tile: int = 0
    run: str = ""
    rounds: tuple[int | None, ...] = ()
    empty: str = "none"
    notes: tuple[str, ...] = ()
    deep: int = 1
    lead: Cell | None = None
    link: str = ""


@dataclass(frozen=True)
class Head:
    """A heading over ``span`` columns of rows, for instance over the images that join in one round."""

    span: int
    title: str
    note: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Frame:
    """One position of the slider: its label, the number below the track, and what is said beside it."""

    label: str
    tick: str = ""
    note: str = ""


STILL = (Frame("", "", ""),)
"""The frames of a grid without a slider."""


@dataclass
class Film:
    """Rows of images with the sheets they are cut from and the positions of the slider."""

    rows: list[Row] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    head: tuple[Head, ...] = ()

    def add(self, sheet: str | None) -> int | None:
        """Take a sheet in and return its number."""
        if sheet is None:
            return None
        self.sheets.append(sheet)
        return len(self.sheets) - 1


@dataclass(frozen=True)
class Look:
    """How a grid is drawn.

    Args:
        tile: side of a tile in the sheets, pixels.
        shown: side on screen, CSS pixels; rows shrink below it to fit.
        layout: "rows" keeps a row's images on one line (up to ``columns``), "grid" wraps, "flow" puts short rows on
            one line, "sides" puts all rows beside each other, "matrix" ``columns`` of them.
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
) -> None:
    """Draw images.

    Args:
        rows: what to draw.
        sheets: where the images are cut from.
        key: the component's key; its state has the ``frame`` on which the slider rests, and the image just ``picked``.
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
    data = versioned(data) | {"frame": max(0, min(frame, len(frames) - 1)), "selected": selected}

    def unheard() -> None: ...

    _component(key=key, data=data, on_picked_change=on_pick or unheard, on_frame_change=on_frame or unheard)


def _plain(row: Row) -> dict[str, object]:
    lead = vars(row.lead) if row.lead else None
    return vars(row) | {"cells": [vars(cell) for cell in row.cells], "lead": lead}


def image_row(cells: Sequence[Cell], sheets: Sequence[str], key: str, look: Look, **rest: object) -> None:
    """Draw images without a title; see :func:`gallery_grid`."""
    gallery_grid([Row("", tuple(cells))], sheets, key=key, look=look, **rest)
