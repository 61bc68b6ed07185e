"""The class folders of ImageNet-1K and of the datasets made of its classes, with readable names.

Source: assets/datasets/README.md says where each list is from.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from delt_engine.paths import assets_dir


@functools.cache
def imagenet_titles() -> Mapping[str, str]:
    """Return the name of each of ImageNet-1K's 1,000 class folders, in the order of the labels; no two are alike."""
    rows = (line.split(maxsplit=1) for line in _lines("imagenet-1k"))
    return MappingProxyType({folder: title for folder, title in rows})


def class_titles(name: str) -> tuple[tuple[str, str], ...]:
    """Return class folders and names of a dataset made of ImageNet's classes, in the order of its labels.

    Empty for every other dataset.
    """
    titles = imagenet_titles()
    return tuple((folder, titles[folder]) for folder in (line.partition(" ")[0] for line in _lines(name)))


def class_title(name: str) -> str:
    """Return the readable name of a class that goes by ImageNet's folder; others stay as they are.

    >>> class_title("n01440764"), class_title("tench")
    ('tench', 'tench')
    """
    return imagenet_titles().get(name, name)


def _lines(name: str) -> list[str]:
    path = assets_dir() / "datasets" / f"{name}.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
