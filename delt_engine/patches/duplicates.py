"""Patches of a class that are nearly the same picture, so that choosing both makes two images out of one.

Source: ours. Pictures are shrunk to 8 x 8 and compared by the root mean square difference of their pixels. The limit
was chosen on photographs: it finds copies, crops shifted by a little and black squares, and no two different objects.

Shapes: n patches, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image

LIMIT = 6.0
"""Levels of 0 to 255 below which two patches are near-duplicates."""

_SIDE = 8


def near_duplicates(image_u8: np.ndarray, limit: float = LIMIT) -> np.ndarray:
    """Return bool (n, n): which of the patches, uint8 (n, S, S, 3), are nearly the same; none is so with itself."""
    small = [np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)) for image in image_u8]
    vectors = np.array(small, np.float32).reshape(len(small), _SIDE * _SIDE * 3)
    squares = (vectors**2).sum(1)
    distances = squares[:, None] + squares[None] - 2 * vectors @ vectors.T
    alike = np.asarray(distances <= limit**2 * vectors.shape[1])
    np.fill_diagonal(alike, val=False)
    return alike


def repeats(order: Sequence[int], alike: np.ndarray, needed: int, kept: Collection[int] = ()) -> list[int]:
    """Return whom to leave out so that no two of the first ``needed`` are alike.

    ``order`` has positions in ``alike`` in the order in which they are taken; ``kept`` are never left out.

    >>> alike = np.zeros((4, 4), bool)
    >>> alike[0, 1] = alike[1, 0] = True
    >>> repeats([0, 1, 2, 3], alike, 2), repeats([0, 1, 2, 3], alike, 1), repeats([0, 1, 2, 3], alike, 2, kept=[1])
    ([1], [], [0])
    """
    taken, left_out = list(kept), []
    for place in order:
        if len(taken) >= needed:
            break
        if place in kept:
            continue
        if alike[place, taken].any():
            left_out.append(place)
        else:
            taken.append(place)
    return left_out
