"""A set that others published, as it lies: what stands for the class of each image, and the images one by one.

Which class a label means is not decided here (:func:`delt_engine.training.image_table.class_of`): a label is the text
that stands for the class there. What finds out how a set is laid out is :mod:`delt_engine.data.published_sets`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from delt_engine.data.decode import UnreadableImage, decode
from delt_engine.data.unpack import MAX_BYTES
from delt_engine.errors import DataError

MAX_SWELLING = 16
"""How many times its own size a file of tensors may hold; ours."""

JPEG_NOTE = "Its JPEG pictures were decoded once and are kept as PNG, pixel for pixel."


@dataclass(frozen=True, eq=False)
class ForeignSet:
    """A published set, checked as far as can be without reading its pictures.

    Attributes:
        layout: folder, tensors, npz, parquet or webdataset.
        root: where it lies.
        labels: of each image what stands for its class there.
        pixels: yields the images in that order, uint8 (H, W, 3).
        notes: what is worth knowing of it; complete once all images were read.
    """

    layout: str
    root: Path
    labels: tuple[str, ...]
    pixels: Callable[[], Iterator[np.ndarray]]
    notes: list[str] = field(default_factory=list)


def decoded(picture: Path | bytes, name: str) -> np.ndarray:
    """Return a picture of a set as it is, uint8 (H, W, 3).

    Raises:
        DataError: it cannot be read; the sentence calls it ``name``.
    """
    try:
        return np.asarray(decode(picture).picture)
    except UnreadableImage as error:
        raise DataError(f"set: {name} cannot be read ({error}).") from None


def check_bytes(path: Path, size: int) -> None:
    """Refuse what is too large to be read.

    Raises:
        DataError: more than :data:`delt_engine.data.unpack.MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise DataError(f"set: {path} has {size / 1e9:.1f} GB, but at most {MAX_BYTES / 1e9:.0f} GB are imported.")


def is_swollen(path: Path, size: int) -> bool:
    """Return whether what a file holds, ``size`` bytes, is far more than the file, as views that repeat one number are.

    Weights that several layers share are there more than once as well, but not so often.
    """
    return size > MAX_SWELLING * path.stat().st_size


def swells_when_read(path: Path) -> bool:
    """Return whether a file of tensors is a zip whose parts are far larger than the file.

    PyTorch stores them as they are, but reads packed ones as well, into memory and before anybody can count.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            return is_swollen(path, sum(part.file_size for part in parts.infolist()))
    except (zipfile.BadZipFile, OSError, ValueError):  # the older format is no zip; damage is said when it is read
        return False
