"""Exports as folders of pictures: ImageFolder's as PNG, and that of published code as JPEG.

ImageFolder: ``train/<class>/0000.png``; what is known of each image in ``images.jsonl``, and soft labels in
``soft_labels.npy``, both row by row in ImageFolder's order. The table is not called ``metadata``: beside such a file
Hugging Face's reader takes no labels from the folders (datasets 4 and later whatever ``drop_labels`` says).
Source: SRe2L, CDA and DELT save ``new000/class000_id000.jpg``, with five digits for ImageNet-21K.
Differs: JPEG quality is 100 without chroma subsampling, where theirs is PIL's default of 75.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from delt_engine.exports.contents import Contents

TABLE, SOFT_LABELS = "images.jsonl", "soft_labels.npy"
_MANY_CLASSES = 1000


def write_image_folder(contents: Contents, root: Path) -> None:
    """Write ``train/`` and the table of its images into ``root``, and soft labels where there are some."""
    lines = []
    for row in contents.rows():
        name = f"{contents.folders[row.label]}/{row.index:04d}.png"
        place = root / "train" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(contents.png(row))
        about = {
            "label": row.label,
            "class_id": row.class_id,
            "start_round": row.start_round,
            "iterations": row.iterations,
        }
        lines.append(json.dumps({"file": f"train/{name}", **about}) + "\n")
    (root / TABLE).write_text("".join(lines), encoding="utf-8")
    if contents.soft_labels is not None:
        np.save(root / SOFT_LABELS, contents.soft_labels)


def write_published_layout(contents: Contents, root: Path) -> None:
    """Write one folder of JPEGs a class into ``root``, named by the class's number in the dataset."""
    digits = 3 if len(contents.data.class_names) <= _MANY_CLASSES else 5
    for row in contents.rows():
        number = f"{row.class_id:0{digits}d}"
        place = root / f"new{number}" / f"class{number}_id{row.index:0{digits}d}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.fromarray(contents.pixels(row)).save(buffer, "JPEG", quality=100, subsampling=0)
        place.write_bytes(buffer.getvalue())
