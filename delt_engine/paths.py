"""Where things are kept: runs, teachers, caches and locks of this user, and the files that ship with the project.

``DELT_HOME`` moves everything of the user to one folder; ``DELT_RUNS`` moves the runs alone; ``DELT_DATA`` names
folders that hold datasets, separated as in ``PATH``.
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

PROJECT = Path(__file__).resolve().parent.parent
"""The folder that ``delt_engine`` is imported from: a checkout, or where packages are installed."""


def expanded(path: str | Path) -> Path:
    """Return a path with the home of its ``~`` in full; as it is where there is no such user."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib's raises)


def home() -> Path:
    """Return the folder that keeps runs, teachers and locks."""
    chosen = os.environ.get("DELT_HOME")
    return Path(chosen).expanduser().absolute() if chosen else user_data_path("delt-studio", appauthor=False)


def runs_dir() -> Path:
    """Return the folder that holds one folder a run."""
    chosen = os.environ.get("DELT_RUNS")
    return Path(chosen).expanduser().absolute() if chosen else home() / "runs"


def teachers_dir() -> Path:
    """Return the folder of the teachers this user trained or added."""
    return home() / "teachers"


def data_dirs() -> tuple[Path, ...]:
    """Return the folders of ``DELT_DATA``, which may hold datasets, those of one dataset included."""
    return tuple(folder for _, folder in _data())


def data_folder(name: str) -> Path | None:
    """Return the folder that ``DELT_DATA`` names for a dataset, as ``NAME=FOLDER``; None without one."""
    return next((folder for own, folder in _data() if own == name), None)


def add_data_folder(name: str, folder: Path) -> None:
    """Name the folder of a dataset for this process and those that it starts."""
    others = os.environ.get("DELT_DATA", "")
    os.environ["DELT_DATA"] = os.pathsep.join(filter(None, (f"{name}={folder}", others)))


def _data() -> list[tuple[str, Path]]:
    """Return the entries of ``DELT_DATA``: a folder, with the name of its dataset where it has one."""
    found = []
    for one in filter(None, os.environ.get("DELT_DATA", "").split(os.pathsep)):
        name, equals, folder = one.partition("=")
        is_named = bool(equals) and os.sep not in name
        found.append((name, Path(folder).expanduser()) if is_named else ("", Path(one).expanduser()))
    return found


def labels_dir() -> Path:
    """Return the folder of the soft labels that were stored from the app."""
    return home() / "labels"


def locks_dir() -> Path:
    """Return the folder of the locks, one a device."""
    return home() / "locks"


def cache_dir() -> Path:
    """Return the folder of everything that can be made again: decoded datasets and rankings."""
    if os.environ.get("DELT_HOME"):
        return home() / "cache"
    return user_cache_path("delt-studio", appauthor=False)


def studio_dir() -> Path:
    """Return the folder of ``app.py``, ``pages``, ``assets`` and ``.streamlit``.

    In a checkout they lie beside ``delt_engine``; a wheel puts them into a folder of their own, so that no top-level
    package of another project is called ``pages`` (pyproject.toml says how).
    """
    installed = PROJECT / "delt_studio"
    return installed if installed.is_dir() else PROJECT


def assets_dir() -> Path:
    """Return the folder of shipped files: teachers, rankings, example runs."""
    return studio_dir() / "assets"
