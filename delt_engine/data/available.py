"""Which datasets are at hand: those of the catalogue and the folders this user added; and what to put where for others.

Nothing is read or downloaded here: a place says whether reading a dataset is quick, long, or not possible yet.

Source: ours; the folders are stored as a list of paths in ``folders.json`` in the user's home.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

from delt_engine import access
from delt_engine.data.catalogue import CATALOGUE, find_entry, image_folder, where_it_goes
from delt_engine.data.downloads import DOWNLOADS, download_by_hand, is_fetched
from delt_engine.data.layout import check_layout
from delt_engine.data.scan import is_scanned
from delt_engine.errors import DataError
from delt_engine.files import read_json, write_bytes
from delt_engine.paths import expanded, home

State = Literal["ready", "unread", "download", "missing", "unusable"]


@dataclass(frozen=True)
class Place:
    """One dataset and whether it can be read.

    Attributes:
        name: of the catalogue, or the folder's path; what a run takes as its dataset.
        title: for people.
        state: ``ready`` reads at once; ``unread`` is there, but its files were never checked, which may take long;
            ``download`` can be fetched from here; ``missing`` needs its files put somewhere first; ``unusable`` is a
            folder that cannot be a dataset as it is.
        note: what to do or to put where, "" when ready.
    """

    name: str
    title: str
    state: State
    note: str = ""


def places() -> tuple[Place, ...]:
    """Return every dataset: the catalogue in its order, then this user's folders."""
    return tuple(place_of(name) for name in (*CATALOGUE, *known_folders()))


def place_of(name: str) -> Place:
    """Return where a dataset stands: a name of the catalogue, or a folder's path."""
    entry = find_entry(name)
    if entry is None:
        path = expanded(name)
        try:
            access.check_path(path, "dataset", DataError)
        except DataError as error:
            return Place(name, path.name or name, "unusable", str(error))
        if os.path.isdir(path):  # noqa: PTH112 (pathlib's raises at a name that is too long)
            return _place_of_folder(name, path.name, path)
        is_there = os.path.exists(path)  # noqa: PTH110 (as above)
        what = "is a file, but a folder of images is needed" if is_there else "does not exist"
        return Place(name, path.name or name, "missing", f"dataset: the folder {path.absolute()} {what}.")
    if entry.kind == "built-in" or (entry.name in DOWNLOADS and is_fetched(entry.name)):
        return Place(entry.name, entry.title, "ready")
    folder = image_folder(entry)
    if folder is not None:
        return _place_of_folder(entry.name, entry.title, folder, [folder for folder, _ in entry.class_titles])
    if entry.download:
        note = f"It can be downloaded. Without a network: {download_by_hand(entry.name)}."
        return Place(entry.name, entry.title, "download", note)
    return Place(entry.name, entry.title, "missing", f"P{where_it_goes(entry)[1:]}.")


def known_folders() -> tuple[str, ...]:
    """Return the folders this user added, in the order they were added; a damaged list counts as empty.

    Visitors of a shared server see those that they may name.
    """
    return tuple(path for path in _all_folders() if access.is_allowed(path))


def _all_folders() -> tuple[str, ...]:
    listed = read_json(_list_path())
    return tuple(path for path in listed if isinstance(path, str)) if isinstance(listed, list) else ()


def add_folder(path: str | Path) -> str:
    """Keep a folder in the list and return its full path; adding it twice does no harm.

    Raises:
        DataError: it is no folder, it cannot be a dataset as it is, or the list cannot be written.
    """
    if not str(path).strip():
        raise DataError("dataset: no folder given.")
    access.check_change("add a folder")
    folder = expanded(str(path).strip()).absolute()
    access.check_path(folder, "dataset", DataError)
    check_layout(folder)
    _change(lambda listed: listed if str(folder) in listed else (*listed, str(folder)))
    return str(folder)


def forget_folder(path: str | Path) -> None:
    """Take a folder off the list; the folder itself stays as it is.

    Raises:
        DataError: the list cannot be written.
    """
    access.check_change("forget a folder")
    _change(lambda listed: tuple(one for one in listed if one != str(path)))


def _change(change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
    home().mkdir(parents=True, exist_ok=True)
    with FileLock(f"{_list_path()}.lock"):
        listed = change(_all_folders())
        write_bytes(_list_path(), json.dumps(list(listed), indent=1).encode(), what="folders", kind=DataError)


def _list_path() -> Path:
    return home() / "folders.json"


def _place_of_folder(name: str, title: str, folder: Path, part: Sequence[str] = ()) -> Place:
    if is_scanned(folder, part):
        return Place(name, title, "ready")
    try:
        check_layout(folder)
    except DataError as error:
        return Place(name, title, "unusable", str(error))
    return Place(name, title, "unread", f"Its files in {folder} have not been read yet.")
