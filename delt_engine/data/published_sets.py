"""How a published set is laid out, found out and read: a folder of images, tensors, arrays, tables or tar shards.

- **folder**: one folder of image files a class, as ImageFolder reads it; so are ``new000/class000_id000.jpg`` and
  ``00000/class00000_id00000.jpg``.
- **tensors**: :mod:`delt_engine.data.tensor_files`.
- **parquet**: :mod:`delt_engine.data.parquet_tables`.
- **npz**: :mod:`delt_engine.data.npz_sets`.
- **webdataset**: :mod:`delt_engine.data.tar_sets`.

Source: what SRe2L, CDA, DELT and RDED save; DD-Ranking; Hugging Face.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from delt_engine import access
from delt_engine.data.foreign import JPEG_NOTE, ForeignSet, decoded
from delt_engine.data.layout import list_files
from delt_engine.data.npz_sets import ARRAYS_FILE, read_arrays
from delt_engine.data.parquet_tables import read_tables
from delt_engine.data.tar_sets import read_shards, shards_of
from delt_engine.data.tensor_files import IMAGES_FILE, Scale, read_tensors
from delt_engine.data.unpack import MAX_FILES
from delt_engine.errors import DataError
from delt_engine.paths import expanded


def read_foreign(path: str | Path, num_classes: int, scale: Scale, pixels: str = "auto") -> ForeignSet:
    """Find out how a set is laid out, and return it.

    Args:
        path: a folder, or a file of tensors, arrays, a table or a tar shard.
        num_classes: K, by which tensors without labels are shared out.
        scale: mean and standard deviation that normalised tensors were made with.
        pixels: what numbers in tensors mean, see :data:`PIXELS`.

    Raises:
        DataError: it is none of the layouts, too large, or damaged.
    """
    path = expanded(path).absolute()
    access.check_path(path, "set", DataError)
    if not os.path.exists(path):  # noqa: PTH110 (pathlib's raises at a name that is too long)
        raise DataError(f"set: {path} does not exist.")
    if path.suffix == ".parquet" or (path.is_dir() and any(path.rglob("*.parquet"))):
        found = read_tables(path)
    elif path.suffix in (".pt", ".pth") or (path / IMAGES_FILE).is_file():
        found = read_tensors(path, num_classes, scale, pixels)
    elif path.suffix == ".npz" or (path / ARRAYS_FILE).is_file():
        found = read_arrays(path)
    elif shards_of(path):
        found = read_shards(path)
    elif path.is_dir():
        found = _folder(path)
    else:
        raise DataError(
            f"set: {path} given, but it must be a folder with one folder of images a class, a zip of one, a folder "
            f"with {IMAGES_FILE} or {ARRAYS_FILE}, or a .pt, .npz, .parquet or .tar file."
        )
    if not found.labels:
        raise DataError(f"set: {path} holds no images.")
    if len(found.labels) > MAX_FILES:
        raise DataError(f"set: {path} holds {len(found.labels):,} images, but at most {MAX_FILES:,} are imported.")
    return found


def _folder(root: Path) -> ForeignSet:
    listing = list_files(root)
    rows = np.flatnonzero(~np.asarray(listing.is_test)).tolist()
    names = [listing.names[row] for row in rows]
    notes = [JPEG_NOTE] if any(name.lower().endswith((".jpg", ".jpeg")) for name in names) else []
    if listing.refused:
        raise DataError(f"set: {listing.refused[0][0]} cannot be read ({listing.refused[0][1]}).")

    def pixels() -> Iterator[np.ndarray]:
        for name in names:
            yield decoded(root / name, name)

    return ForeignSet("folder", root, tuple(listing.class_names[listing.labels[row]] for row in rows), pixels, notes)
