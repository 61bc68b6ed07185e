"""Batches of training images on the device, and the random crops and flips that every image gets by its own draw.

Shapes: N images in a set, B in a batch, C channels, S side in pixels.

Source: torchvision's RandomResizedCrop (area share, aspect ratio 3/4 to 4/3) and RandomHorizontalFlip.
Differs: one affine resampling for the whole batch in place of a loop over images, and a side that would leave the image
is cut to it in place of ten new tries.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from delt_engine.data.dataset import ImageSet
from delt_engine.data.pixels import to_pixels

_ON_DEVICE_BYTES = 2**31  # larger sets are read from their files batch by batch
_ASPECT = math.log(4 / 3)  # crops are between 3:4 and 4:3, torchvision's default


class TrainingImages:
    """Training images by index, on the device as a whole when they are few enough."""

    def __init__(self, images: ImageSet, device: torch.device) -> None:
        self.source, self.device = images, device
        self.all_labels = torch.from_numpy(np.array(images.labels)).to(device)
        self.stored: Tensor | None = None
        if len(images) * images.image_size**2 * 3 <= _ON_DEVICE_BYTES:
            stored = torch.from_numpy(images.pixels(np.arange(len(images)))).to(device)
            self.stored = stored.permute(0, 3, 1, 2)  # (N, S, S, 3) -> (N, 3, S, S), uint8

    def pixels(self, indices: Tensor) -> Tensor:
        """Return pixels in [0, 1], float32 ``(B, 3, S, S)``."""
        if self.stored is None:
            return to_pixels(self.source.pixels(indices.numpy()), self.device)
        return self.stored[indices.to(self.device)].float().div_(255.0)

    def labels(self, indices: Tensor) -> Tensor:
        """Return class indices ``(B,)``."""
        return self.all_labels[indices.to(self.device)]


def augment(
    pixels: Tensor,
    min_crop: float,
    flip: bool,
    draws: torch.Generator,
    rows: slice = slice(None),
    count: int | None = None,
) -> Tensor:
    """Crop, resize back and mirror every image by its own draw.

    Args:
        pixels: float ``(B, C, S, S)``.
        min_crop: smallest area share of a crop; 1 turns crops off.
        flip: mirror half of the images.
        draws: generator of the CPU, so that all devices draw the same.
        rows: which images of a larger batch these are; they are shown as they would be among all of them.
        count: how many images that batch has; B when not given.

    Returns:
        Pixels of the same shape, bilinearly resized.
    """
    chances = torch.rand(5, len(pixels) if count is None else count, generator=draws)
    area, ratio, across, down, side = chances[:, rows]  # each (B,)
    mirror = torch.where(side < 0.5, -1.0, 1.0) if flip else torch.ones(len(pixels))
    if min_crop == 1.0:
        return torch.where(mirror.to(pixels.device)[:, None, None, None] < 0, pixels.flip(3), pixels)
    area = min_crop + (1.0 - min_crop) * area
    root = torch.exp((2.0 * ratio - 1.0) * _ASPECT / 2.0)
    width, height = (area.sqrt() * root).clamp(max=1.0), (area.sqrt() / root).clamp(max=1.0)
    theta = torch.zeros(len(pixels), 2, 3)  # from output to input coordinates, both in [-1, 1]
    theta[:, 0, 0], theta[:, 0, 2] = width * mirror, (1.0 - width) * (2.0 * across - 1.0)
    theta[:, 1, 1], theta[:, 1, 2] = height, (1.0 - height) * (2.0 * down - 1.0)
    grid = functional.affine_grid(theta.to(pixels.device), list(pixels.shape), align_corners=False)
    inside = 1.0 - 1.0 / pixels.shape[-1]  # centres of the outer pixels: repeats the border, which MPS cannot do itself
    return functional.grid_sample(pixels, grid.clamp_(-inside, inside), align_corners=False)
