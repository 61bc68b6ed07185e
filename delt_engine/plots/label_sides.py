"""Where the labels of points stand so that they do not run into each other."""

from __future__ import annotations

from collections.abc import Sequence

_WIDE, _HIGH = 640, 340
"""Size of the figure that places are reckoned in, pixels: about the smallest the app shows."""
_LETTER, _LINE, _MARK = 7.0, 16.0, 9.0
"""Width of a letter, height of a line, and half a mark, pixels."""
_SIDES = {
    "middle right": (0, 0.5),
    "middle left": (-1, 0.5),
    "top right": (0, 1.3),
    "bottom right": (0, -0.3),
    "top left": (-1, 1.3),
    "bottom left": (-1, -0.3),
}
"""Where a label may stand at its point: its left edge and its middle, in its own width and height."""


def label_sides(spots: Sequence[tuple[float, float]], labels: Sequence[str]) -> list[str]:
    """Return on which side of its point each label stands so that no two overlap, as far as that can be.

    Args:
        spots: places of the points, from 0 to 1 in a small figure.
        labels: their words.

    >>> label_sides([(0.1, 0.5), (0.1, 0.52)], ["RDED", "Random real"])
    ['middle right', 'top right']
    """
    taken: list[tuple[float, float, float, float]] = []
    marks = [(_WIDE * x - _MARK, _HIGH * y - _MARK, _WIDE * x + _MARK, _HIGH * y + _MARK) for x, y in spots]
    found = []
    for at, ((x, y), label) in enumerate(zip(spots, labels, strict=True)):
        width, boxes = _LETTER * len(label), {}
        others = [*taken, *(mark for number, mark in enumerate(marks) if number != at)]
        for side, (across, up) in _SIDES.items():
            left, middle = _WIDE * x + (12 if across == 0 else -12 - width), _HIGH * y + _LINE * (up - 0.5)
            boxes[side] = (left, middle - _LINE / 2, left + width, middle + _LINE / 2)
        side = min(boxes, key=lambda one: sum(map(_overlap, [boxes[one]] * len(others), others)) + _outside(boxes[one]))
        taken.append(boxes[side])
        found.append(side)
    return found


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    wide, high = (min(one[at + 2], other[at + 2]) - max(one[at], other[at]) for at in (0, 1))
    return max(0.0, wide) * max(0.0, high)


def _outside(box: tuple[float, ...]) -> float:
    return _LINE * (max(0.0, -box[0]) + max(0.0, box[2] - _WIDE))
