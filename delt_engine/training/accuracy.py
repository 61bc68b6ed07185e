"""How well a student does on the real test images: top-1, top-5 and per class; whole images, no augmentation.

Images are as the dataset reads them (short side resized, centre crop). Shapes: N test images, B in a batch, S side in
pixels, K classes.

Source: DELT evaluation/validation (resize and centre crop, top-1 and top-5).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from delt_engine.data.pixels import normalise
from delt_engine.errors import DataError
from delt_engine.models.device import eval_mode, memory_format
from delt_engine.training.augmentation import DeviceImages
from delt_engine.training.image_table import ImageTable

TOP = 5
"""Answers that count as right in the second measure; all classes when there are fewer."""
_BATCH_PIXELS = 2**17  # 128 images of 32 px a batch: measured, larger ones leave a CPU's caches
_LARGEST_BATCH = 1024


@dataclass(frozen=True)
class Accuracy:
    """Accuracies in percent: top-1, top-5 (top-K with fewer classes), and top-1 of each class."""

    top1: float
    top5: float
    per_class: tuple[float, ...]


def accuracy_of(network: nn.Module, images: DeviceImages, *, use_bfloat16: bool = False) -> Accuracy:
    """Return how often a network is right.

    Args:
        network: on the device of the images; run in eval mode, and put back into the mode it was in.
        images: of a table, whose statistics normalise them.
        use_bfloat16: compute in bfloat16.

    Raises:
        DataError: there is no image, or the network has another number of classes.
    """
    if len(images) == 0:
        raise DataError("test: there is no image to test on.")
    table, device = images.source, images.device
    assert isinstance(table, ImageTable)  # a split of a dataset has no statistics
    size = max(1, min(_LARGEST_BATCH, (8 if device.type == "cuda" else 1) * _BATCH_PIXELS // table.image_size**2))
    layout, classes, found = memory_format(network, device), len(table.class_names), []
    with (
        eval_mode(network),
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, use_bfloat16),
    ):
        for indices in torch.arange(len(images)).split(size):
            image_u8, labels = images.batch(indices)
            batch = normalise(image_u8.float().div_(255.0), table.mean, table.std).contiguous(memory_format=layout)
            logits = network(batch).float()
            if logits.shape[1] != classes:
                raise DataError(f"test: the network has {logits.shape[1]} classes, but the test images have {classes}.")
            found.append(top_hits(logits, labels))
        hits = torch.cat(found).cpu()  # (N, 2)
    labels = images.labels.cpu()
    top1, top5 = (100.0 * hits.double().mean(dim=0)).tolist()
    count, right = (torch.bincount(each, minlength=classes) for each in (labels, labels[hits[:, 0]]))
    return Accuracy(top1, top5, tuple((100.0 * right.double() / count).tolist()))


def top_hits(logits: Tensor, labels: Tensor) -> Tensor:
    """Return bool ``(B, 2)``: whether the class is the first, and whether it is among the first five answers."""
    order = logits.topk(min(TOP, logits.shape[1]), dim=1).indices == labels[:, None]  # (B, K) -> (B, 5)
    return torch.stack([order[:, 0], order.any(dim=1)], dim=1)
