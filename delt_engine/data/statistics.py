"""Mean and standard deviation of a dataset's pixels, per channel: what normalisation subtracts and divides by."""

from __future__ import annotations

import numpy as np

from delt_engine.data.dataset import ImageSet
from delt_engine.errors import DataError

Channels = tuple[float, float, float]

SAMPLE_BYTES = 64 * 2**20
"""Pixels looked at, in bytes; evenly spaced images of a larger set give the same four digits."""

MIN_STD = 0.01
"""Smallest standard deviation returned, so that a set of one flat colour can still be divided by it."""


def channel_statistics(pixels: np.ndarray) -> tuple[Channels, Channels]:
    """Return mean and standard deviation per channel over all images and places.

    Args:
        pixels: uint8 (n, H, W, 3).

    Returns:
        (mean, std) of pixels in [0, 1], rounded to four digits; std at least :data:`MIN_STD`.

    Raises:
        DataError: there are no pixels.

    >>> channel_statistics(np.array([[[[0, 51, 255], [255, 51, 255]]]], dtype=np.uint8))
    ((0.5, 0.2, 1.0), (0.5, 0.01, 0.01))
    """
    if pixels.size == 0:
        raise DataError("pixels: none given, but mean and standard deviation need at least one image.")
    levels = np.arange(256) / 255
    counts = np.stack([np.bincount(pixels[..., channel].reshape(-1), minlength=256) for channel in range(3)])
    shares = counts / counts.sum(axis=1, keepdims=True)  # (3, 256)
    mean = shares @ levels
    std = np.sqrt(np.maximum(shares @ levels**2 - mean**2, 0))
    return _rounded(mean), _rounded(np.maximum(std, MIN_STD))


def statistics_of(images: ImageSet) -> tuple[Channels, Channels]:
    """Return mean and standard deviation of a set at its own image size, from evenly spaced images if it is large."""
    most = max(1, SAMPLE_BYTES // (images.image_size**2 * 3))
    step = max(1, -(-len(images) // most))
    return channel_statistics(images.pixels(np.arange(0, len(images), step)))


def _rounded(values: np.ndarray) -> Channels:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue
