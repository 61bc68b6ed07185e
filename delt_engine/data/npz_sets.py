"""Published sets as NumPy arrays: one ``.npz`` with images uint8 (N, S, S, 3), labels (N,), and perhaps class_names.

Nothing that is stored in it is run: arrays of objects, which are pickled, are refused.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from delt_engine.data.foreign import ForeignSet, check_bytes
from delt_engine.errors import DataError
from delt_engine.npz import ODD_HEADERS

ARRAYS_FILE = "images.npz"


def read_arrays(path: Path) -> ForeignSet:
    """Return the set of a file, or of ``images.npz`` in a folder.

    Raises:
        DataError: no arrays, damaged, too large, or not images and labels.
    """
    path = path / ARRAYS_FILE if path.is_dir() else path
    check_bytes(path, path.stat().st_size)
    try:
        with zipfile.ZipFile(path) as packed:
            check_bytes(path, sum(entry.file_size for entry in packed.infolist()))
        with np.load(path, allow_pickle=False) as stored:
            images, labels = stored["images"], stored["labels"]
            names = stored["class_names"].ravel().tolist() if "class_names" in stored else None
    except KeyError as error:
        raise DataError(
            f"set: {path} has no array {str(error.args[0]).split()[0]}; images and labels are needed."
        ) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, *ODD_HEADERS):
        raise DataError(f"set: {path} is no file of plain arrays, or is damaged.") from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise DataError(f"images: {path} holds {images.dtype} {images.shape}, but uint8 (N, H, W, 3) is needed.")
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise DataError(
            f"labels: {path} holds {labels.dtype} {labels.shape}, but {len(images)} whole numbers are needed."
        )
    if names is not None and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(names):
        raise DataError(f"labels: {path} has {int(labels.max())}, but it names {len(names)} classes.")

    def pixels() -> Iterator[np.ndarray]:
        yield from images

    return ForeignSet("npz", path, tuple(str(names[n]) if names else str(n) for n in labels.tolist()), pixels)
