"""Folders to look for images in: those below the user's home, the uploads, and the roots that are configured.

``DELT_DATA`` names further roots, separated as in ``PATH``. Visitors of a shared server see nothing of the home. Links
are followed before a folder is judged, so none leads out of the roots.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from delt_engine import access
from delt_engine.data.layout import check_layout
from delt_engine.data.unpack import unpacked_dir
from delt_engine.errors import DataError
from delt_engine.files import reason
from delt_engine.paths import data_dirs

MOST_FOLDERS = 500
"""Folders that one look shows."""


@dataclass(frozen=True)
class Look:
    """What a folder holds.

    Attributes:
        path: the folder, links followed.
        folders: names of the folders in it, hidden ones left out, at most :data:`MOST_FOLDERS`.
        classes: how many class folders it has as a dataset; 0 where it is none.
        why_not: why it is no dataset, "" where it is one.
    """

    path: Path
    folders: tuple[str, ...]
    classes: int
    why_not: str


def roots() -> tuple[Path, ...]:
    """Return the folders that may be looked into, those of ``DELT_DATA`` first."""
    own = () if access.is_shared() else (Path.home(),)
    found = (one.resolve() for one in (*data_dirs(), *own, unpacked_dir()))
    return tuple(dict.fromkeys(one for one in found if one.is_dir()))


def is_inside(path: str | Path) -> bool:
    """Return whether a folder is one of the roots or below one, links followed."""
    try:
        place = Path(path).resolve()
    except ValueError:  # no path at all
        return False
    return any(place.is_relative_to(root) for root in roots())


def look(path: str | Path) -> Look:
    """Return what a folder holds.

    Raises:
        DataError: it is outside the roots, or cannot be read.
    """
    if not is_inside(path):
        raise DataError(f"dataset: {path} is outside the folders that can be looked into.")
    place = Path(path).resolve()
    try:
        with os.scandir(place) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError as error:
        raise DataError(f"dataset: {place} cannot be read: {reason(error)}.") from None
    try:
        classes, why_not = check_layout(place), ""
    except DataError as error:
        classes, why_not = 0, str(error)
    return Look(place, tuple(names[:MOST_FOLDERS]), classes, why_not)
