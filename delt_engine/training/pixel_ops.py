"""RandAugment's picture operations on batches of 8-bit images, each with an argument an image, as PIL computes them.

Colours are computed by tables where an output value depends on one input value (B tables of 256 values a channel), and
geometry by one affine map an image, so a batch takes a few tensor operations whatever its images get.

Shapes: B images, S side in pixels; images are uint8 (B, 3, S, S).

Source: Pillow's ImageOps and ImageEnhance (values), Image.blend and the affine transform (rounding); the operations and
their arguments are timm's data/auto_augment.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_RED, _GREEN, _BLUE = 19595, 38470, 7471  # ITU-R 601-2 luma in 1/65536, as Pillow's conversion to grey
_ALMOST_ONE = 1e-3  # float32 coordinates are off by about 1e-6 px, and Pillow cuts values off


def looked_up(images: Tensor, tables: Tensor) -> Tensor:
    """Return images with every value replaced by its entry in the image's table, uint8 (B, 3, 256)."""
    return tables.gather(2, images.flatten(2).long()).view_as(images)


def inverted(images: Tensor) -> Tensor:
    """Return tables that swap light and dark."""
    return _values(images).flip(0).to(torch.uint8).expand(len(images), 3, 256)


def posterized(images: Tensor, bits: Tensor) -> Tensor:
    """Return tables that keep the highest bits of a value; with 0 bits everything is black.

    Args:
        images: uint8 (B, 3, S, S).
        bits: int64 (B,), 0 to 8. Pillow refuses 0 nowadays, which timm asks for at levels below 2.5.
    """
    step = (2 ** (8 - bits))[:, None]
    return _for_channels(_values(images) // step * step)


def solarized(images: Tensor, threshold: Tensor) -> Tensor:
    """Return tables that invert values from the threshold on, int64 (B,) 0 to 256."""
    values = _values(images)
    return _for_channels(torch.where(values < threshold[:, None], values, 255 - values))


def solarize_added(images: Tensor, amount: Tensor) -> Tensor:
    """Return tables that add int64 (B,) to values below 128."""
    values = _values(images)
    return _for_channels(torch.where(values < 128, (values + amount[:, None]).clamp(max=255), values))


def brightened(images: Tensor, factor: Tensor) -> Tensor:
    """Return tables that blend black and the image: float32 (B,), 1 leaves it as it is."""
    values = _values(images).float()
    return _for_channels(_blended(torch.zeros_like(values), values, factor[:, None]))


def contrasted(images: Tensor, factor: Tensor) -> Tensor:
    """Return tables that blend the image's mean grey and the image: float32 (B,), 1 leaves it as it is."""
    total = grey(images).sum(dim=(1, 2, 3), dtype=torch.int64)
    pixels = images.shape[2] * images.shape[3]
    middle = (2 * total + pixels) // (2 * pixels)  # rounded half up
    return _for_channels(_blended(middle[:, None].float(), _values(images).float(), factor[:, None]))


def auto_contrasted(images: Tensor) -> Tensor:
    """Return tables that stretch each channel to 0 to 255; a channel of one value stays.

    Computed in float64 in Pillow's order: in whole numbers a value in 300 would come out one higher.
    """
    flat = images.flatten(2)
    low, high = flat.amin(dim=2)[:, :, None], flat.amax(dim=2)[:, :, None]  # (B, 3, 1)
    values = _values(images)
    if images.device.type == "mps":  # which has no float64
        low, high, values = low.cpu(), high.cpu(), values.cpu()
    span = (high - low).clamp(min=1).double()
    scale = torch.full_like(span, 255) / span  # a plain number over a tensor is computed as times its reciprocal
    stretched = (values * scale + -low.double() * scale).long().clamp(0, 255)
    return torch.where(high > low, stretched, values).to(torch.uint8).to(images.device)


def equalized(images: Tensor) -> Tensor:
    """Return tables that make the values of each channel equally frequent; a channel of few values stays."""
    flat = images.flatten(2).long()
    counts = torch.zeros(*flat.shape[:2], 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, flat, torch.ones_like(flat))
    highest = flat.amax(dim=2, keepdim=True)
    step = (flat.shape[2] - counts.gather(2, highest)) // 255  # the fullest value does not count
    below = counts.cumsum(dim=2) - counts
    spread = (step // 2 + below) // step.clamp(min=1)
    return torch.where(step > 0, spread.clamp(max=255), _values(images)).to(torch.uint8)


def coloured(images: Tensor, factor: Tensor) -> Tensor:
    """Return blends of the grey image and the image: float32 (B,), 1 leaves it as it is."""
    return _blended(grey(images).float(), images.float(), factor[:, None, None, None])


def sharpened(images: Tensor, factor: Tensor) -> Tensor:
    """Return blends of the smoothed image and the image: float32 (B,), 1 leaves it as it is; borders stay."""
    if images.shape[2] < 3:
        return images
    wide = images.to(torch.int16)
    rows = wide[:, :, :-2] + wide[:, :, 1:-1] + wide[:, :, 2:]
    inner = wide[:, :, 1:-1, 1:-1]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * inner  # weights 1, and 5 in the middle
    smooth = (2 * total + 13).div(26, rounding_mode="floor")
    out = images.clone()
    out[:, :, 1:-1, 1:-1] = _blended(smooth.float(), inner.float(), factor[:, None, None, None])
    return out


def grey(images: Tensor) -> Tensor:
    """Return the brightness of each pixel, int32 (B, 1, S, S)."""
    red, green, blue = images.to(torch.int32).split(1, dim=1)
    return (_RED * red + _GREEN * green + _BLUE * blue + 2**15) >> 16


def moved(images: Tensor, maps: Tensor, fill: Sequence[int]) -> Tensor:
    """Return images moved by one affine map each, resampled bilinearly.

    Args:
        images: uint8 (B, 3, S, S).
        maps: float64 (B, 2, 3) on the CPU; from an output pixel's centre (x, y, 1) to where its value comes from.
        fill: value of each channel for what comes from outside.
    """
    count, _, size, _ = images.shape
    device = images.device
    centres = torch.arange(size, dtype=torch.float64) + 0.5
    columns = (maps[:, :, 0, None] * centres).float().to(device, non_blocking=True)  # (B, 2, S)
    rows = (maps[:, :, 1, None] * centres + maps[:, :, 2, None]).float().to(device, non_blocking=True)
    place = columns[:, :, None, :] + rows[:, :, :, None]  # (B, 2, S, S): x and y
    is_out = (place < 0) | (place >= size)
    is_outside = is_out[:, 0] | is_out[:, 1]
    place = place - 0.5
    corner = place.floor()
    share = place - corner  # of the right and of the lower neighbour
    left, upper = corner.clamp(0, size - 1).long().unbind(1)
    right, lower = (corner + 1).clamp(0, size - 1).long().unbind(1)
    flat = images.flatten(2)

    def at(row: Tensor, column: Tensor) -> Tensor:
        index = (row * size + column).view(count, 1, -1).expand(-1, 3, -1)
        return flat.gather(2, index).view(count, 3, size, size).float()

    across, down = share[:, :1], share[:, 1:]
    first, second = at(upper, left), at(lower, left)
    first = first + (at(upper, right) - first) * across
    second = second + (at(lower, right) - second) * across
    values = (first + (second - first) * down + _ALMOST_ONE).to(torch.uint8)
    colour = torch.tensor(fill, dtype=torch.uint8).to(device, non_blocking=True)[None, :, None, None]
    return torch.where(is_outside[:, None], colour, values)


def shear_maps(amount: Tensor, axis: int) -> Tensor:
    """Return maps that shift rows (axis 0) or columns (axis 1) by ``amount`` px a px, float64 (B,)."""
    maps = _unmoved(len(amount))
    maps[:, axis, 1 - axis] = amount
    return maps


def shift_maps(pixels: Tensor, axis: int) -> Tensor:
    """Return maps that shift along x (axis 0) or y (axis 1) by float64 (B,) pixels."""
    maps = _unmoved(len(pixels))
    maps[:, axis, 2] = pixels
    return maps


def rotation_maps(degrees: Tensor, size: int) -> Tensor:
    """Return maps that turn around the centre of the image, counter-clockwise by float64 (B,) degrees."""
    angle = -degrees * math.pi / 180
    cosine, sine = angle.cos(), angle.sin()
    middle = size / 2
    x = torch.stack((cosine, sine, middle - middle * (cosine + sine)), dim=1)
    y = torch.stack((-sine, cosine, middle - middle * (cosine - sine)), dim=1)
    return torch.stack((x, y), dim=1)


def _unmoved(count: int) -> Tensor:
    return torch.eye(2, 3, dtype=torch.float64).repeat(count, 1, 1)


def _values(images: Tensor) -> Tensor:
    return torch.arange(256, device=images.device)


def _for_channels(tables: Tensor) -> Tensor:
    """(B, 256) -> uint8 (B, 3, 256)."""
    return tables.to(torch.uint8)[:, None].expand(-1, 3, -1)


def _blended(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Return uint8 of ``first`` where the share is 0 and ``second`` where it is 1, cut off as Image.blend does."""
    return (first + share * (second - first)).clamp(0, 255).to(torch.uint8)
