"""The crop that each iteration sees: one crop, one flip and one roll for the whole batch.

All of a batch's crops are drawn before its loop, with a fixed number of draws an iteration, so a row depends on the
seed, the batch and the iteration alone, and resuming or packing batches changes nothing.

MI is the number of iterations; ``images`` are ``(N, C, S, S)``.

Source: DELT recover/recover.py and CDA recover_cda_in1k.py, RandomResizedCrop and RandomHorizontalFlip on the stacked
batch, then the roll by 0 to jitter pixels (SRe2L's recover_tiny.py: by -jitter to jitter); geometry as in torchvision's
RandomResizedCrop.get_params; the area bound is CDA Algorithm 1's. G-VBSM pads small images and crops them back, as
torchvision's RandomCrop does: a shift, with zeros where the image ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.recovery.batches import clock
from delt_engine.recovery.curriculum import crop_scale_at

COLUMNS = ("top", "left", "height", "width", "flip", "roll_y", "roll_x")
_TRIES = 10  # torchvision's
_LOG_RATIO = math.log(4 / 3)  # torchvision's: width / height between 3/4 and 4/3
CROP_DRAWS = 2 * _TRIES + 2
"""Uniform numbers that one crop takes."""


def crop_bounds(iteration: int, config: RecoverConfig) -> tuple[float, float]:
    """Return the bounds of the crop's area share at one iteration of a run."""
    position, period = clock(iteration, config)
    return crop_scale_at(position, period, config.curriculum, config.milestone, config.min_crop, config.max_crop)


def crop_plan(config: RecoverConfig, image_size: int, generator: torch.Generator) -> Tensor:
    """Draw the crops of all iterations of a batch, with a generator on the CPU, keyed by seed and batch.

    Returns:
        int64 ``(MI, 7)`` with :data:`COLUMNS` in pixels; flip is 0 or 1. Where none of ten tries fits into the image
        the crop is the whole image. With ``pad`` the crop is the image's size, and its corner up to ``pad`` pixels
        off.
    """
    draws = torch.rand(config.iterations, CROP_DRAWS + 3, generator=generator, dtype=torch.float64)
    boxes, flip, roll = draws.split((CROP_DRAWS, 1, 2), dim=1)
    bounds = [crop_bounds(iteration, config) for iteration in range(config.iterations)]
    low, high = torch.tensor(bounds, dtype=torch.float64).split(1, dim=1)  # each (MI, 1)
    is_flipped = (flip < 0.5) & config.flip
    least = -config.jitter if config.jitter_both_ways else 0
    shift = least + (roll * (config.jitter - least + 1)).floor()
    crops = crop_boxes(boxes, low, high, image_size)
    if config.pad:
        crops[:, :2] = (boxes[:, -2:] * (2 * config.pad + 1)).floor().long() - config.pad
        crops[:, 2:] = image_size
    return torch.cat((crops, is_flipped.long(), shift.long()), dim=1)


def crop_boxes(draws: Tensor, low: Tensor | float, high: Tensor | float, image_size: int) -> Tensor:
    """Return random crops of square images.

    Args:
        draws: float64 ``(n, CROP_DRAWS)``, uniform in [0, 1): ten areas, ten aspect ratios, and the place.
        low: least area share of a crop, a number or ``(n, 1)``; ``high`` the largest, likewise.

    Returns:
        int64 ``(n, 4)``: top, left, height, width. Where none of the ten tries fits it is the whole image.

    Source: torchvision's RandomResizedCrop.get_params.
    """
    area_draw, ratio_draw, place = draws.split((_TRIES, _TRIES, 2), dim=1)
    area = image_size**2 * (low + (high - low) * area_draw)
    ratio = torch.exp(_LOG_RATIO * (2 * ratio_draw - 1))
    sides = torch.stack(((area / ratio).sqrt(), (area * ratio).sqrt()), dim=2).round()  # (n, tries, height and width)
    fits = ((sides > 0) & (sides <= image_size)).all(dim=2)
    is_first = fits & (fits.cumsum(dim=1) == 1)
    sides = torch.where(is_first[:, :, None], sides, 0).sum(dim=1)
    sides = torch.where(fits.any(dim=1, keepdim=True), sides, float(image_size))  # (n, 2)
    corner = (place * (image_size - sides + 1)).floor()
    return torch.cat((corner, sides), dim=1).long()


def apply_crop(images: Tensor, row: Sequence[int] | Tensor) -> Tensor:
    """Return the images cropped, resized back bilinearly, flipped and rolled as one row of the plan says.

    Args:
        images: ``(N, C, S, S)``; the gradient reaches the cropped pixels.
        row: the seven integers of :data:`COLUMNS`.
    """
    top, left, height, width, is_flipped, roll_y, roll_x = row.tolist() if isinstance(row, Tensor) else row
    size = images.shape[-2:]
    if (height, width) != tuple(size):
        window = images[:, :, top : top + height, left : left + width]
        images = F.interpolate(window, size=size, mode="bilinear", align_corners=False)
    elif top or left:
        images = F.pad(images, (-left, left, -top, top))  # what leaves on one side is zero on the other
    if is_flipped:
        images = images.flip(-1)
    if roll_y or roll_x:
        images = images.roll((roll_y, roll_x), dims=(-2, -1))
    return images
