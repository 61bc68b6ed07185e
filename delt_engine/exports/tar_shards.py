"""An export as WebDataset: ``train-00000.tar``, three files an image, and ``_info.json`` as timm's reader takes it.

Of an image: ``000000.png``, ``000000.cls`` (its label) and ``000000.json`` (its class by name and by number in the
dataset, its index and schedule, and the teacher's logits where there are some).

Source: WebDataset's files by base name; timm's reader_wds.py (``splits`` with ``num_samples``, ``filenames`` and
``shard_lengths``).
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from delt_engine.exports.contents import Contents, Row

SHARD_IMAGES = 5000
"""Images a shard."""

INFO = "_info.json"


def write_webdataset(contents: Contents, root: Path, shard_images: int = SHARD_IMAGES) -> None:
    """Write the shards and ``_info.json`` into ``root``."""
    rows = list(contents.rows())
    lengths: dict[str, int] = {}
    root.mkdir(parents=True, exist_ok=True)
    for number, begin in enumerate(range(0, len(rows), shard_images)):
        name, own = f"train-{number:05d}.tar", rows[begin : begin + shard_images]
        lengths[name] = len(own)
        with tarfile.open(root / name, "w", format=tarfile.USTAR_FORMAT) as archive:
            for row in own:
                _add(archive, contents, row)
    split = {
        "name": "train",
        "num_samples": len(rows),
        "filenames": list(lengths),
        "shard_lengths": list(lengths.values()),
    }
    info = {"splits": {"train": split}, "class_names": list(contents.class_names)}
    (root / INFO).write_text(json.dumps(info, indent=1) + "\n", encoding="utf-8")


def _add(archive: tarfile.TarFile, contents: Contents, row: Row) -> None:
    about: dict[str, Any] = {
        "class": contents.class_names[row.label],
        "class_id": row.class_id,
        "label": row.label,
        "index": row.index,
        "start_round": row.start_round,
        "iterations": row.iterations,
    }
    if contents.soft_labels is not None:
        about["soft_label"] = contents.soft_labels[row.number].tolist()
    parts = {"png": contents.png(row), "cls": str(row.label).encode(), "json": json.dumps(about).encode()}
    for ending, data in parts.items():
        entry = tarfile.TarInfo(f"{row.number:06d}.{ending}")  # the same images give the same shard
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
