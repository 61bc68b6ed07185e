"""Published sets as WebDataset: tar shards, of each image a picture, and its class in ``.cls`` or ``.json`` beside it.

Nothing is unpacked to the disk: members are read one by one, and only plain files.
Source: WebDataset (files of one sample share all of their name up to the first dot, and stand next to each other).
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from delt_engine.data.decode import EXTENSIONS
from delt_engine.data.foreign import JPEG_NOTE, ForeignSet, check_bytes, decoded
from delt_engine.data.unpack import MAX_BYTES
from delt_engine.errors import DataError
from delt_engine.files import check_file

_LARGEST_LABEL = 10**7
"""Bytes of a .cls or .json file, at most."""

_CLASS_KEYS = ("class", "class_name", "label", "class_id")


def shards_of(path: Path) -> list[Path]:
    """Return the shards in a folder, or the one that is given, but those that are called test or validation."""
    if path.is_file():
        return [path] if path.suffix == ".tar" else []
    found = sorted(one for one in path.glob("*.tar") if one.is_file())
    return [one for one in found if not one.name.lower().startswith(("test", "val"))]


def read_shards(path: Path) -> ForeignSet:
    """Return the set of the shards of a folder, or of one shard.

    Raises:
        DataError: damaged, too large, or samples without picture or class.
    """
    shards, labels, notes = shards_of(path), list[str](), list[str]()
    check_bytes(path, sum(shard.stat().st_size for shard in shards))
    for shard in shards:
        for key, parts in _samples(shard, with_pictures=False):
            labels.append(_label(parts, key, shard))
            if any(ending in (".jpg", ".jpeg") for ending in parts) and JPEG_NOTE not in notes:
                notes.append(JPEG_NOTE)

    def pixels() -> Iterator[np.ndarray]:
        for shard in shards:
            for key, parts in _samples(shard, with_pictures=True):
                picture = next(data for ending, data in parts.items() if ending in EXTENSIONS)
                yield decoded(picture, f"{key} in {shard}")

    return ForeignSet("webdataset", path, tuple(labels), pixels, notes)


def _samples(shard: Path, *, with_pictures: bool) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield name and files, by ending, of each sample; pictures are empty where they are not asked for."""
    key, parts = "", dict[str, bytes]()
    try:
        check_file(shard, most=MAX_BYTES)
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                stem, dot, rest = name.partition(".")
                if not member.isfile() or member.issparse() or not stem or not dot:  # sparse ones swell
                    continue
                if f"{folder}/{stem}" != key:
                    if parts:
                        yield key, _whole(parts, key, shard)
                    key, parts = f"{folder}/{stem}", {}
                ending = f".{rest.lower()}"
                is_picture = ending in EXTENSIONS
                if not is_picture and (ending not in (".cls", ".json") or member.size > _LARGEST_LABEL):
                    continue
                file = archive.extractfile(member)
                parts[ending] = file.read() if file and (with_pictures or not is_picture) else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"set: {shard} is no tar, or is damaged ({error}).") from None
    if parts:
        yield key, _whole(parts, key, shard)


def _whole(parts: dict[str, bytes], key: str, shard: Path) -> dict[str, bytes]:
    if not any(ending in EXTENSIONS for ending in parts):
        raise DataError(f"set: sample {key.strip('/')} of {shard} has no picture.")
    return parts


def _label(parts: dict[str, bytes], key: str, shard: Path) -> str:
    """Return what stands for the class of a sample: its name where there is one, else the number."""
    about: Any = None
    try:
        about = json.loads(parts[".json"]) if ".json" in parts else None
    except (ValueError, RecursionError):
        raise DataError(f"label: the .json of sample {key.strip('/')} in {shard} is damaged.") from None
    found = _first(about, _CLASS_KEYS[:2])
    if found is None and ".cls" in parts:
        found = parts[".cls"].decode("utf-8", "replace").strip()
    found = _first(about, _CLASS_KEYS[2:]) if found is None else found
    if found is None or found == "":
        raise DataError(f"label: sample {key.strip('/')} of {shard} has no class; .cls or .json with class is needed.")
    return str(found)


def _first(about: Any, names: Sequence[str]) -> str | int | None:
    values = [about[name] for name in names if name in about] if isinstance(about, dict) else []
    return next((value for value in values if isinstance(value, (str, int)) and not isinstance(value, bool)), None)
