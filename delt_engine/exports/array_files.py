"""Exports as arrays in memory: NumPy's ``images.npz``, and DD-Ranking's ``images.pt``, ``labels.pt`` and ``lr.pt``.

Source: DD-Ranking's quick start: images (K * IPC, C, H, W) class by class, normalised; one soft label an image, as
logits, which its losses put through a softmax; the learning rate of the students.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil

from delt_engine.config.students import filled_in
from delt_engine.errors import DataError
from delt_engine.exports.contents import Contents

ARRAYS = "images.npz"


def write_npz(contents: Contents, root: Path) -> None:
    """Write ``images.npz``.

    It holds images uint8 (N, S, S, 3), labels and class_ids int64 (N,), class_names (K,), mean and std (3,), and
    soft_labels float32 (N, K) where there are some. Nothing in it is pickled.

    Raises:
        DataError: the images do not fit into memory.
    """
    rows = list(contents.rows())
    arrays = {
        "images": _images(contents, 1),
        "labels": np.array([row.label for row in rows], np.int64),
        "class_ids": np.array([row.class_id for row in rows], np.int64),
        "class_names": np.array(contents.class_names),
        "mean": np.array(contents.data.mean, np.float32),
        "std": np.array(contents.data.std, np.float32),
    }
    if contents.soft_labels is not None:
        arrays["soft_labels"] = contents.soft_labels
    root.mkdir(parents=True, exist_ok=True)
    np.savez(root / ARRAYS, allow_pickle=False, **arrays)  # type: ignore[arg-type]  # arrays, by name


def write_dd_ranking(contents: Contents, root: Path) -> None:
    """Write the three tensors: float32 (N, 3, S, S), soft labels float32 (N, K) or classes int64 (N,), float32 ().

    Raises:
        DataError: the images do not fit into memory.
    """
    import torch

    pixels = torch.from_numpy(_images(contents, 9)).permute(0, 3, 1, 2).float().div_(255)
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (contents.data.mean, contents.data.std))
    labels = torch.tensor([row.label for row in contents.rows()])
    if contents.soft_labels is not None:
        labels = torch.from_numpy(contents.soft_labels)
    root.mkdir(parents=True, exist_ok=True)
    torch.save(pixels.sub_(mean).div_(std).contiguous(), root / "images.pt")
    torch.save(labels, root / "labels.pt")
    torch.save(torch.tensor(_learning_rate(contents)), root / "lr.pt")


def _learning_rate(contents: Contents) -> float:
    """Return the learning rate of the run's recipe for students of the teacher's kind."""
    config, teacher = contents.record.experiment.evaluate, contents.record.teacher
    about = {"ipc": contents.ipc, "images": len(contents), "num_classes": len(contents.class_names)}
    student = teacher.network if teacher else "resnet18"
    config = config.replace(student=student) if config.student == "auto" else config
    resolved = filled_in(
        config, **about, image_size=contents.data.image_size, dataset=contents.data.name, teacher=student
    )
    assert resolved.learning_rate is not None  # nothing is left open
    return float(resolved.learning_rate)


def _images(contents: Contents, copies: int) -> np.ndarray:
    """Return all images, uint8 (N, S, S, 3); ``copies`` says how many bytes are needed for each of theirs."""
    shape = (len(contents), contents.data.image_size, contents.data.image_size, 3)
    needed, free = int(np.prod(shape, dtype=np.int64)) * copies, psutil.virtual_memory().available
    if needed > free:
        raise DataError(
            f"format: arrays of {len(contents):,} images need {needed / 1e9:.1f} GB of memory, but {free / 1e9:.1f} GB "
            "are free; take hf or webdataset, which are written piece by piece."
        )
    images_u8 = np.empty(shape, np.uint8)
    for row in contents.rows():
        images_u8[row.number] = contents.pixels(row)
    return images_u8
