"""Published sets as tensors: ``images.pt`` (N, C, H, W), and ``labels.pt`` (N,) or soft (N, K) beside it.

Nothing that is stored in a file is run: torch reads it with ``weights_only``, which takes tensors and plain values.

Shapes: N images, C channels, K classes.

Source: DD-Ranking's demos, where images of K classes lie class by class and labels may be soft or left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delt_engine.data.dataset import Channels
from delt_engine.data.foreign import ForeignSet, check_bytes, is_swollen, swells_when_read
from delt_engine.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

IMAGES_FILE, LABELS_FILE = "images.pt", "labels.pt"

Scale = tuple[Channels, Channels]
"""Mean and standard deviation per channel of pixels in [0, 1]."""

IMAGENET: Scale = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""What published code normalises with, whatever the dataset. Source: torchvision's models."""

_DTYPES = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"})
"""Formats of numbers that can be compared; of others PyTorch only stores."""

PIXELS = ("auto", "unit", "normalised", "imagenet")
"""What numbers in tensors mean: auto looks at them; unit are in [0, 1]; normalised by the dataset's mean and standard
deviation, or by ImageNet's."""


def read_tensors(path: Path, num_classes: int, scale: Scale, pixels: str) -> ForeignSet:
    """Return the set of a tensor file and of the labels beside it, where there are any.

    Args:
        path: of the images, or a folder that holds ``images.pt``.
        num_classes: K, by which images without labels are shared out.
        scale: mean and standard deviation that normalised numbers were made with.
        pixels: one of :data:`PIXELS`.

    Raises:
        DataError: files that hold anything but tensors, or tensors that are no images and labels.
    """
    path = path / IMAGES_FILE if path.is_dir() else path
    images, labels = _tensor(path, "images"), None
    beside = path.with_name(LABELS_FILE)
    if beside.is_file() and beside != path:
        labels = _tensor(beside, "labels")
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(f"images: {path} holds {tuple(images.shape)}, but (N, 3, H, W) or (N, 1, H, W) is needed.")
    notes: list[str] = []
    numbers = _label_numbers(labels, len(images), num_classes, path, notes)
    low, high = float(images.min()), float(images.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"images: {path} holds numbers that are not finite.")
    mean, std = _scale_of(str(images.dtype), low, high, scale, pixels, notes)
    clipped = 0

    def read() -> Iterator[np.ndarray]:
        nonlocal clipped
        for image in images:
            values = image.double().numpy().transpose(1, 2, 0) * std + mean
            values = np.broadcast_to(values, (*values.shape[:2], 3))
            clipped += int(((values < -0.5 / 255) | (values > 1 + 0.5 / 255)).sum())
            yield np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
        if clipped:
            share = 100 * clipped / (3 * images[:, 0].numel())
            notes.append(f"{share:.1f} % of the values lie outside black and white and were clipped.")

    return ForeignSet("tensors", path, tuple(map(str, numbers)), read, notes)


def _tensor(path: Path, name: str) -> Tensor:
    """Read one tensor without running what is stored in the file."""
    import torch

    check_bytes(path, path.stat().st_size)
    swollen = DataError(f"{name}: {path} holds far more numbers than it has bytes for, so it is not read.")
    if swells_when_read(path):
        raise swollen
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # the reader of damaged bytes raises nearly anything
        raise DataError(
            f"{name}: {path} cannot be read as tensors alone: it is damaged, or holds code or objects, which are not "
            "loaded; save the tensor itself with torch.save."
        ) from None
    if isinstance(found, dict):
        found = found.get(name, found)
    several = isinstance(found, (list, tuple)) and found and all(isinstance(one, torch.Tensor) for one in found)
    tensors = list(found) if several else [found]
    for one in tensors:
        if not isinstance(one, torch.Tensor):
            raise DataError(f"{name}: {path} holds {type(one).__name__}, but one tensor is needed.")
        if not is_plain(one) or str(one.dtype).removeprefix("torch.") not in _DTYPES or not one.numel():
            raise DataError(f"{name}: {path} holds a tensor of {one.dtype} without plain numbers, so it is not read.")
    if is_swollen(path, sum(one.numel() * one.element_size() for one in tensors)):
        raise swollen
    if len({one.shape for one in tensors}) > 1:
        raise DataError(f"{name}: {path} holds tensors of several shapes, but one tensor is needed.")
    found = torch.stack(tensors) if several else found
    return found.detach()


def is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor has all its numbers one by one: it is not sparse, nested, or of a shape alone (meta)."""
    return not tensor.is_nested and str(tensor.layout) == "torch.strided" and tensor.device.type == "cpu"


def _label_numbers(labels: Tensor | None, count: int, num_classes: int, path: Path, notes: list[str]) -> Sequence[int]:
    """Return the class of each image; without labels, and beside soft ones, images stand class by class."""
    if labels is not None and (not labels.ndim or len(labels) != count):
        found = len(labels) if labels.ndim else 1
        raise DataError(f"labels: {found:,} given, but {path} holds {count:,} images.")
    if labels is not None and labels.ndim == 1:
        if labels.is_floating_point() and not bool((labels == labels.round()).all()):
            raise DataError(
                f"labels: {LABELS_FILE} holds fractions, but class numbers or (N, K) soft labels are needed."
            )
        return [int(number) for number in labels.tolist()]
    if labels is not None and (labels.ndim != 2 or labels.shape[1] != num_classes):
        raise DataError(
            f"labels: {tuple(labels.shape)} given, but ({count},) numbers or ({count}, {num_classes}) soft labels are "
            "needed."
        )
    if count % num_classes:
        raise DataError(
            f"images: {path} holds {count:,}, which cannot be shared out to {num_classes:,} classes; put the class "
            f"numbers beside them in {LABELS_FILE}."
        )
    numbers = np.repeat(np.arange(num_classes), count // num_classes)
    if labels is None:
        notes.append("There are no labels beside the images, so they were taken class by class.")
    else:
        agree = int((labels.argmax(1).numpy() == numbers).sum())
        notes.append(
            f"Its soft labels are left aside; classes go by the place of an image, with which the largest label agrees "
            f"for {agree:,} of {count:,}."
        )
    return numbers.tolist()


def _scale_of(
    dtype: str, low: float, high: float, scale: Scale, pixels: str, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what makes pixels in [0, 1] of stored numbers: times the second, plus the first."""
    if pixels not in PIXELS:
        raise DataError(f"pixels: {pixels!r} given, but it must be one of {', '.join(PIXELS)}.")
    if dtype == "torch.uint8":
        return np.zeros(3), np.full(3, 1 / 255)
    is_unit = pixels == "unit" or (pixels == "auto" and low >= 0 and high <= 1)
    if is_unit:
        return np.zeros(3), np.ones(3)
    mean, std = IMAGENET if pixels == "imagenet" else scale
    whose = "ImageNet's" if pixels == "imagenet" else "the dataset's"
    notes.append(f"Its numbers run from {low:.2f} to {high:.2f} and were taken as normalised by {whose} mean and std.")
    return np.array(mean), np.array(std)
