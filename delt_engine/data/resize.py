"""Resizing of single images with PIL, in one place, so that every part sees the same pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image


def square_box(height: int, width: int) -> tuple[float, float, float, float]:
    """Return the largest centred square of an image as (top, left, height, width).

    >>> square_box(4, 10)
    (0.0, 3.0, 4, 4)
    """
    side = min(height, width)
    return (height - side) / 2, (width - side) / 2, side, side


def resize_box(image: np.ndarray | Image.Image, box: tuple[float, ...], image_size: int) -> np.ndarray:
    """Cut a box out of an image and resize it to a square, bicubic and antialiased.

    Args:
        image: uint8 (H, W, 3), or an RGB picture.
        box: top, left, height, width in pixels.
        image_size: S.

    Returns:
        uint8 (S, S, 3).
    """
    top, left, height, width = (float(value) for value in box)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    edges = (left, top, left + width, top + height)
    return np.asarray(picture.resize((image_size, image_size), Image.Resampling.BICUBIC, box=edges))
