"""Soft labels as SRe2L and CDA keep them for replay (FKD): one file a batch and epoch, written and read.

``epoch_<e>/batch_<b>.tar``, both counted from 0, is a list by torch.save: crops (B, 4), flips (B,), the partner of each
image (B,), the share of its own, the box of the mix, and logits (B, K). Crops are top, left, height and width as shares
of the image; the box is first row, first column, last row, last column in pixels, or None. Which images a batch has
stands in no file: all programs draw the order anew with RandomSampler and one seed.

Reading runs nothing that is stored: torch loads tensors and plain values only (``weights_only``), and besides them the
numbers of NumPy that published code writes as share and box.

Shapes: N images, B in a batch, K classes, S side in pixels.

Source: SRe2L relabel/generate_soft_label.py and relabel/utils_fkd.py (layout, seed 42, order of the draws).
Differs: share and box are plain numbers, not NumPy's, so that they load without any; what the teacher sees is cropped
from tensors, where theirs crops PIL images, so its logits differ from what their code would write in the last digits.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, RandomSampler

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import DataError
from delt_engine.files import check_file
from delt_engine.models.device import pick_device
from delt_engine.training.augmentation import DeviceImages, augmented
from delt_engine.training.draws import BatchDraws, draw_epoch
from delt_engine.training.image_table import ImageTable
from delt_engine.training.relabel import TeacherLabels

FOLDER = "FKD_soft_label"
SEED = 42
"""Of the order of the images, as published code has it."""

_ALPHA = {"cutmix": 1.0, "mixup": 0.8}
_PARTS = 6


@dataclass(frozen=True, eq=False)
class FkdBatch:
    """The labels of one batch; see the module. ``box`` is None where nothing was pasted, ``share`` None unmixed."""

    crops: Tensor
    flips: Tensor
    partner: Tensor | None
    share: float | None
    box: tuple[int, int, int, int] | None
    logits: Tensor


def fkd_path(root: Path, epoch: int, batch: int) -> Path:
    """Return the file of a batch, both counted from 0."""
    return root / f"epoch_{epoch}" / f"batch_{batch}.tar"


def fkd_batch_size(images: int, most: int = 1024) -> int:
    """Return a batch size that leaves no image alone; 1024 is that of published code.

    >>> fkd_batch_size(100), fkd_batch_size(1025)
    (100, 1023)
    """
    size = min(images, most)
    while images > 2 and images % size == 1:
        size -= 1
    return size


def fkd_order(images: int, batch_size: int, seed: int = SEED) -> Iterator[list[list[int]]]:
    """Yield, epoch by epoch without end, the images of each batch as published code draws them."""
    numbers = torch.Generator().manual_seed(seed)
    sampler = BatchSampler(RandomSampler(range(images), generator=numbers), batch_size, drop_last=False)
    while True:
        yield [list(batch) for batch in sampler]


def write_fkd(
    root: Path,
    train: ImageTable,
    teacher: nn.Module,
    *,
    epochs: int,
    batch_size: int,
    mix: str = "cutmix",
    min_crop: float = 0.08,
    seed: int = SEED,
    device: str | torch.device = "cpu",
    is_half: bool = True,
) -> Iterator[int]:
    """Write the labels of a training, and yield the number of each epoch that is done, from 1.

    Args:
        root: of the ``epoch_`` folders.
        train: the images, in the order in which ImageFolder lists them.
        teacher: its logits are the classes of ``train``.
        mix: ``cutmix``, ``mixup`` or ``none``.
        min_crop: least share of the image's area.
        is_half: keep logits as float16.
    """
    own: dict[str, Any] = {"rand_augment": "none", "mix": mix, "mix_alpha": _ALPHA.get(mix, 1.0)}
    config = EvaluateConfig(batch_size=batch_size, min_crop=min_crop, **own)
    images, source = DeviceImages(train, pick_device(str(device))), TeacherLabels(teacher)
    orders = fkd_order(len(train), batch_size, seed)
    for epoch in range(epochs):
        order = torch.tensor([index for batch in next(orders) for index in batch])
        draws = replace(draw_epoch(config, len(train), train.image_size, seed=seed, epoch=epoch + 1), order=order)
        for number, batch in enumerate(draws.batches(batch_size)):
            image_u8, _ = images.batch(batch.order)
            shown = augmented(image_u8, batch, config, train.mean, train.std)
            logits = source.soft_logits(epoch + 1, number, shown).float().cpu()
            path = fkd_path(root, epoch, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(_parts(batch, train.image_size, mix, logits.half() if is_half else logits), path)
        yield epoch + 1


def _parts(batch: BatchDraws, image_size: int, mix: str, logits: Tensor) -> list[Any]:
    """Return the list that a batch's file holds."""
    top, left, height, width = batch.box
    mixed = mix != "none"
    return [
        batch.crop.float() / image_size,
        batch.flip.clone(),
        batch.partner.clone() if mixed else None,
        batch.share if mixed else None,
        [top, left, top + height, left + width] if mix == "cutmix" else None,
        logits.clone(),
    ]


def read_fkd(path: Path) -> FkdBatch:
    """Read the labels of a batch without running anything that is stored in the file.

    Raises:
        DataError: no such file, damaged, or anything but the six parts.
    """
    try:
        check_file(path)
        with torch.serialization.safe_globals(_numbers_of_numpy()):
            parts: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"labels: {path} does not exist.") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, OSError):
        raise DataError(
            f"labels: {path} cannot be read as tensors and numbers alone: it is damaged, or holds code or objects, "
            "which are not loaded."
        ) from None
    if not isinstance(parts, (list, tuple)) or len(parts) != _PARTS:
        raise DataError(f"labels: {path} holds no batch of FKD: crops, flips, partners, share, box and logits.")
    crops, flips, partner, share, box, logits = parts
    flips = torch.as_tensor(flips)
    tensors = [crops, logits, *([] if partner is None else [partner])]
    count = len(flips)
    if not all(isinstance(one, Tensor) and len(one) == count for one in tensors) or crops.shape != (count, 4):
        raise DataError(f"labels: {path} has crops, flips and logits of different numbers of images.")
    pasted = None if box is None else tuple(int(side) for side in box)
    if pasted is not None and len(pasted) != 4:
        raise DataError(f"labels: {path} has a box of {len(pasted)} numbers, but 4 are needed.")
    return FkdBatch(crops, flips.bool(), partner, None if share is None else float(share), pasted, logits)  # type: ignore[arg-type]  # of four numbers


def _numbers_of_numpy() -> list[Any]:
    """Return what a pickled number of NumPy is made of, under the names of old and new versions."""
    scalar = np.float64(0).__reduce__()[0]  # type: ignore[operator]  # its type hints take an argument
    kinds = [type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32")]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]
