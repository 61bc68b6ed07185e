"""Published sets in small, written as the code of their authors writes them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image


def images_of(num_classes: int, ipc: int, size: int = 8) -> np.ndarray:
    """Return uint8 (K, IPC, S, S, 3): each class its colour, each image its own noise."""
    draw = np.random.default_rng(5)
    base = np.arange(num_classes)[:, None, None, None, None] * 60 + 40
    return (base + draw.integers(0, 30, (num_classes, ipc, size, size, 3))).astype(np.uint8)


def image_folder(root: Path, images: np.ndarray, names: tuple[str, ...]) -> Path:
    """torchvision's ImageFolder: a folder a class, by name."""
    for name, own in zip(names, images, strict=True):
        (root / name).mkdir(parents=True)
        for index, image in enumerate(own):
            Image.fromarray(image).save(root / name / f"{index:04d}.png")
    return root


def new_folders(root: Path, images: np.ndarray, digits: int = 3) -> Path:
    """save_images of SRe2L, CDA (3 digits) and DELT (5): new000/class000_id000.jpg, JPEG as PIL saves it."""
    for number, own in enumerate(images):
        folder = root / f"new{number:0{digits}d}"
        folder.mkdir(parents=True)
        for index, image in enumerate(own):
            Image.fromarray(image).save(folder / f"class{number:0{digits}d}_id{index:0{digits}d}.jpg")
    return root


def tensors(root: Path, images: np.ndarray, labels: object = None, scale: tuple | None = None) -> Path:
    """images.pt and labels.pt as DD-Ranking's demos load them: class-major, NCHW, in [0, 1] or normalised."""
    root.mkdir(parents=True)
    values = torch.from_numpy(images.reshape(-1, *images.shape[2:])).permute(0, 3, 1, 2).float() / 255
    if scale:
        mean, std = (torch.tensor(part).view(3, 1, 1) for part in scale)
        values = (values - mean) / std
    torch.save(values, root / "images.pt")
    if labels is not None:
        torch.save(labels, root / "labels.pt")
    return root


def hugging_face(root: Path, images: np.ndarray, column: str = "label", names: tuple[str, ...] = ()) -> Path:
    """Parquet shards of a Hugging Face dataset, rows shuffled, with a test shard that is not to be taken."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = [(c, index) for c in range(images.shape[0]) for index in range(images.shape[1])]
    rows = [rows[at] for at in np.random.default_rng(3).permutation(len(rows))]
    (root / "data").mkdir(parents=True)
    shards = {"train-00000-of-00002": rows[::2], "train-00001-of-00002": rows[1::2], "test-00000-of-00001": rows[:1]}
    for name, own in shards.items():
        pictures = [{"bytes": png(images[c, index]), "path": f"{c}_{index}.png"} for c, index in own]
        table = pa.table({"image": pictures, column: [c for c, _ in own]})
        if names:
            features = {"image": {"_type": "Image"}, column: {"_type": "ClassLabel", "names": list(names)}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        parquet.write_table(table, root / "data" / f"{name}.parquet")
    return root


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
