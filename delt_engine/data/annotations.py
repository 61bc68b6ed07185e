"""Which class test images have that lie without class folders: Tiny-ImageNet's and ImageNet-1K's, as distributed.

Source: tiny-imagenet-200.zip (``val/val_annotations.txt``); ImageNet-1K as Kaggle distributes it
(``LOC_val_solution.csv``) and its devkit (``ILSVRC2012_devkit_t12/data``), read as torchvision's ``parse_devkit`` does.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

from delt_engine.errors import DataError
from delt_engine.files import check_file

IMAGENET_PREFIX = "ILSVRC2012_val_"
"""How the names of ImageNet-1K's validation images begin."""

_TINY, _KAGGLE, _DEVKIT = "val_annotations.txt", "LOC_val_solution.csv", "ILSVRC2012_devkit_t12/data"
_ABOVE = 4
"""Folders above the test images that may hold a list; Kaggle's lies above ILSVRC/Data/CLS-LOC."""


def read_annotations(folder: Path) -> dict[str, str]:
    """Return the class folder that each image of a folder of tests belongs to, by file name; empty without a list.

    Raises:
        DataError: validation images of ImageNet-1K without class folders and without a list, or a damaged list.
    """
    if (folder / _TINY).is_file():
        return _read(folder / _TINY, _of_tiny)
    if not _holds_imagenets(folder):
        return {}
    for place in (folder, *folder.parents[:_ABOVE]):
        for name, read in ((_KAGGLE, _of_kaggle), (_DEVKIT, _of_devkit)):
            if (place / name).exists():
                return _read(place / name, read)
    raise DataError(
        f"dataset: {folder} has images without class folders; put {_KAGGLE} or ILSVRC2012_devkit_t12 beside it, or "
        f"sort the images into class folders."
    )


def _holds_imagenets(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.startswith(IMAGENET_PREFIX) for entry in entries)


def _read(path: Path, read: Callable[[Path], dict[str, str]]) -> dict[str, str]:
    try:
        if not path.is_dir():  # a development kit is a folder
            check_file(path, most=2**26)
        return read(path)
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        raise DataError(f"dataset: {path} is damaged or no list of test images.") from None


def _of_tiny(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t")[:2] for line in lines if "\t" in line)


def _of_kaggle(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {f"{row['ImageId']}.JPEG": row["PredictionString"].split()[0] for row in csv.DictReader(file)}


def _of_devkit(path: Path) -> dict[str, str]:
    from scipy.io import loadmat  # takes long to load

    synsets = loadmat(path / "meta.mat", squeeze_me=True)["synsets"]
    folders = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets if int(row["num_children"]) == 0}
    numbers = (path / "ILSVRC2012_validation_ground_truth.txt").read_text(encoding="utf-8").split()
    return {f"{IMAGENET_PREFIX}{at:08d}.JPEG": folders[int(number)] for at, number in enumerate(numbers, start=1)}
