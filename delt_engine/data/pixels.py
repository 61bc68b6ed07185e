"""From uint8 images to torch tensors and back; the only module of the data layer that knows torch.

``pixels`` are float (n, 3, S, S) in [0, 1]; ``images`` are pixels minus mean, divided by std, per channel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from delt_engine.errors import ShapeError


def to_pixels(image_u8: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """Return float32 pixels (n, 3, S, S) in [0, 1] of uint8 images (n, S, S, 3).

    Raises:
        ShapeError: another shape or type.
    """
    if image_u8.ndim != 4 or image_u8.shape[3] != 3 or image_u8.dtype != np.uint8:
        raise ShapeError(
            f"image_u8: {image_u8.dtype} of shape {tuple(image_u8.shape)} given, but uint8 (n, S, S, 3) is needed."
        )
    tensor = torch.from_numpy(np.ascontiguousarray(image_u8)).to(device)
    return tensor.permute(0, 3, 1, 2).contiguous().float().div_(255)  # (n, S, S, 3) -> (n, 3, S, S)


def to_u8(pixels: Tensor) -> np.ndarray:
    """Return uint8 images (n, S, S, 3) of pixels (n, 3, S, S), clipped to [0, 1] and rounded to the nearest level.

    Raises:
        ShapeError: another shape.
    """
    _check_images("pixels", pixels)
    levels = pixels.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()  # (n, 3, S, S) -> (n, S, S, 3)


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return images: pixels (n, 3, S, S) minus ``mean``, divided by ``std``, per channel.

    Raises:
        ShapeError: another shape, or not three channels of statistics.
    """
    _check_images("pixels", pixels)
    return (pixels - _per_channel("mean", mean, pixels)) / _per_channel("std", std, pixels)


def denormalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return pixels of images: the inverse of :func:`normalise`, not clipped.

    Raises:
        ShapeError: another shape, or not three channels of statistics.
    """
    _check_images("images", images)
    return images * _per_channel("std", std, images) + _per_channel("mean", mean, images)


def value_bounds(
    mean: Sequence[float], std: Sequence[float], device: str | torch.device = "cpu"
) -> tuple[Tensor, Tensor]:
    """Return what black and white are after :func:`normalise`: two float32 (1, 3, 1, 1).

    >>> low, high = value_bounds((0.5, 0.5, 0.25), (0.5, 0.25, 0.25))
    >>> low.flatten().tolist(), high.flatten().tolist()
    ([-1.0, -2.0, -1.0], [1.0, 2.0, 3.0])
    """
    black = torch.zeros(1, 3, 1, 1, device=device)
    return normalise(black, mean, std), normalise(torch.ones_like(black), mean, std)


def _check_images(name: str, tensor: Tensor) -> None:
    if tensor.ndim != 4 or tensor.shape[1] != 3:
        raise ShapeError(f"{name}: shape {tuple(tensor.shape)} given, but (n, 3, S, S) is needed.")


def _per_channel(name: str, values: Sequence[float], like: Tensor) -> Tensor:
    """Return (1, 3, 1, 1) of three values, on the device and in the type of ``like``."""
    if len(values) != 3:
        raise ShapeError(f"{name}: {len(values)} values given, but one for each of 3 channels is needed.")
    return torch.tensor(tuple(values), dtype=like.dtype, device=like.device).view(1, 3, 1, 1)
