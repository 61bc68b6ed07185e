"""From 8-bit images to what a student sees: augmented, normalised and mixed, a batch at once on its device.

Order, as published: RandAugment on the 8-bit picture, tiles of a mosaic shuffled, a random crop resized to the image's
size, flip, normalise, CutMix or mixup.

Shapes: B images in a batch, S side in pixels, m tiles along a side.

Source: DELT evaluation/validation/main.py (the order above), RDED validation (tiles shuffled before the crop).
Differs: a crop is resized bilinearly. It is never larger than the image, so resizing never shrinks it, and
torchvision's antialiasing, which widens the filter of a resize that shrinks, changes nothing. Tiles come in any order,
where RDED's code shuffles whole columns and then whole rows of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ShapeError
from delt_engine.training.draws import BatchDraws
from delt_engine.training.mix import mixed
from delt_engine.training.rand_augment import rand_augmented, read_policy


def augmented(
    image_u8: Tensor, draws: BatchDraws, config: EvaluateConfig, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Return what the student is shown of a batch.

    Args:
        image_u8: uint8 (B, 3, S, S) or (B, S, S, 3), in the order of ``draws``.
        draws: what happens to each image; on the CPU.
        config: RandAugment and the kind of mix.
        mean: per channel of pixels in [0, 1].
        std: likewise.

    Returns:
        float32 (B, 3, S, S) on the device of the images, normalised and mixed.

    Raises:
        ShapeError: the images are not uint8 of one of these shapes, or not as many as were drawn.
    """
    images = _channels_first(image_u8, len(draws.order))
    device = images.device
    policy = read_policy(config.rand_augment)
    fill = [min(255, round(255 * value)) for value in mean]
    images = rand_augmented(images, draws.ops, draws.magnitudes, policy, fill)
    if draws.tiles is not None:
        images = tiles_shuffled(images, draws.tiles.to(device))
    pixels = cropped(images.float(), draws.crop, draws.flip)
    scale = torch.tensor([1 / (255 * value) for value in std], device=device)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=device)
    normalised = pixels * scale[:, None, None] + shift[:, None, None]
    return mixed(normalised, config.mix, draws.share, draws.box, draws.partner.to(device))


def tiles_shuffled(images: Tensor, tiles: Tensor) -> Tensor:
    """Return mosaics with their tiles in another order.

    Args:
        images: (B, C, S, S), S a multiple of m.
        tiles: int64 (B, m*m), which tile, counted row by row, comes to each place.
    """
    count, channels, size, _ = images.shape
    mosaic = round(tiles.shape[1] ** 0.5)
    side = size // mosaic
    grid = images.reshape(count, channels, mosaic, side, mosaic, side)
    parts = grid.permute(0, 2, 4, 1, 3, 5).reshape(count, mosaic**2, channels, side, side)
    parts = parts[torch.arange(count, device=images.device)[:, None], tiles]
    parts = parts.reshape(count, mosaic, mosaic, channels, side, side)
    return parts.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


def cropped(pixels: Tensor, crop: Tensor, flip: Tensor) -> Tensor:
    """Return the crop of each image, resized bilinearly to the image's size, and mirrored where ``flip`` says so.

    Args:
        pixels: float (B, C, S, S).
        crop: int64 (B, 4), top, left, height, width.
        flip: bool (B,).
    """
    size, device = pixels.shape[-1], pixels.device
    if bool((crop[:, 2:] == size).all()):
        return torch.where(flip.to(device)[:, None, None, None], pixels.flip(-1), pixels)
    top, left, height, width = crop.to(device, torch.float32).unbind(1)
    rows, columns = _places(top, height, size), _places(left, width, size)
    columns = torch.where(flip.to(device)[:, None], columns.flip(1), columns)
    grid = torch.stack((columns[:, None].expand(-1, size, -1), rows[:, :, None].expand(-1, -1, size)), dim=3)
    # no place lies outside the crop, so nothing is padded
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _places(begin: Tensor, length: Tensor, size: int) -> Tensor:
    """Return where the output pixels of one side come from, (B, S), with the image from -1 to 1.

    The outermost pixels of the crop are repeated, as a resize does; its neighbours in the image do not shine in.
    """
    centre = (torch.arange(size, device=begin.device) + 0.5)[None] * (length / size)[:, None] - 0.5  # px of the crop
    centre = torch.minimum(centre.clamp(min=0), (length - 1)[:, None])
    return (2 * (begin[:, None] + centre) + 1) / size - 1


def _channels_first(image_u8: Tensor, count: int) -> Tensor:
    if image_u8.dtype == torch.uint8 and image_u8.ndim == 4 and len(image_u8) == count:
        if image_u8.shape[1] == 3 and image_u8.shape[2] == image_u8.shape[3]:
            return image_u8
        if image_u8.shape[3] == 3 and image_u8.shape[1] == image_u8.shape[2]:
            return image_u8.permute(0, 3, 1, 2)
    raise ShapeError(
        f"image_u8: {str(image_u8.dtype).removeprefix('torch.')} of shape {tuple(image_u8.shape)} given, but uint8 "
        f"({count}, 3, S, S) or ({count}, S, S, 3) is needed."
    )
