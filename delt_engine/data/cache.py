"""Where decoded images are cached, so that a dataset is decoded once: folders of .npy files that are mapped, not read.

A folder is written under a temporary name and renamed when it is whole, so a reader never sees half of one, and of
two processes that write the same folder one wins and both read the same. Whoever cannot write works from memory.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from delt_engine.paths import cache_dir

_ABANDONED_AFTER_S = 24 * 3600
"""Age at which a temporary folder is taken to be left by a process that was killed."""


def datasets_dir() -> Path:
    """Return the folder of everything cached of datasets: downloads, decoded images, scans."""
    return cache_dir() / "datasets"


def open_arrays(key: str, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
    """Map the arrays cached under ``key``; None when they are not there, or not whole."""
    folder = datasets_dir() / key
    try:
        return {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
    except (OSError, ValueError, EOFError):
        return None


def store_arrays(key: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Write the arrays under ``key`` and return them mapped from there, or as they came when that cannot be done."""
    given = {name: np.asarray(array) for name, array in arrays.items()}
    folder = datasets_dir() / key
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for path in folder.parent.glob(".*-*"):  # those of processes that were killed
            if path.is_dir() and path.stat().st_mtime < time.time() - _ABANDONED_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=folder.parent))
    except OSError:
        return given
    try:
        for name, array in given.items():
            np.save(made / f"{name}.npy", array, allow_pickle=False)
        try:
            made.rename(folder)
        except OSError:  # one stands there already: it is kept if it is whole
            if open_arrays(key, tuple(given)) is None:
                shutil.rmtree(folder, ignore_errors=True)
                made.rename(folder)
    except OSError:  # disk full, folder read-only: the arrays in memory do as well
        return given
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return open_arrays(key, tuple(given)) or given


def cached_arrays(
    key: str, names: tuple[str, ...], build: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the arrays cached under ``key``, building and caching them when they are not there."""
    return open_arrays(key, names) or store_arrays(key, build())
