"""In what order patches of a class are taken, and in what order the taken ones join; ranks in, ranks out.

A *rank* is a patch's place among its class's patches sorted by true-class probability, 0 the hardest.

Source: DELT Sec. 3 "Selection Criteria", Appendix D, Tables 4b, 10 and 11; data_selection.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def median_order(n: int, median: str = "published") -> list[int]:
    """Return 0 .. n-1 from the median outwards: the start, then +1, -1, +2, -2, ..., leaving out what is not there.

    ``published`` starts at ceil(n/2) as the published code does, which of an odd number is the one above the middle;
    ``exact`` starts at the middle itself, as DELT's text and Fig. 4 say. Of an even number both start at the upper one
    of the two in the middle. One patch has only index 0.

    Source: DELT Appendix D ("back and forth expanding the window around the median"); data_selection.py
    ``store_medium``.

    >>> median_order(10), median_order(5), median_order(5, "exact"), median_order(1)
    ([5, 6, 4, 7, 3, 8, 2, 9, 1, 0], [3, 4, 2, 1, 0], [2, 3, 1, 4, 0], [0])
    """
    middle = n // 2 if median == "exact" else math.ceil(n / 2)
    steps = [0] + [sign * step for step in range(1, n + 1) for sign in (1, -1)]
    return [middle + step for step in steps if 0 <= middle + step < n]


def criterion_order(
    n: int,
    criterion: str,
    rng: np.random.Generator,
    median: str = "published",
    scores: np.ndarray | None = None,
) -> list[int]:
    """Return the ranks 0 .. n-1 in the order in which a criterion takes them; see :func:`median_order`.

    With ``scores``, of each rank one, the highest come first, of equal ones the harder.

    >>> criterion_order(4, "top", np.random.default_rng(0))
    [3, 2, 1, 0]
    """
    if scores is not None:
        return np.argsort(-scores, kind="stable").tolist()
    if criterion == "medium":
        return median_order(n, median)
    if criterion == "random":
        return rng.permutation(n).tolist()
    return list(range(n)) if criterion == "min" else list(range(n - 1, -1, -1))


def joining_order(taken: Sequence[int], order: str, rng: np.random.Generator) -> list[int]:
    """Return ranks, given as the criterion took them, in the order in which they join.

    ``delt`` keeps the order, ``ascending`` and ``descending`` go by rank, ``random`` shuffles.
    """
    if order == "delt":
        return list(taken)
    if order == "random":
        return rng.permutation(np.asarray(taken, dtype=np.int64)).tolist()
    return sorted(taken, reverse=order == "descending")


def repeated(image_index: np.ndarray) -> set[int]:
    """Return the ranks whose training image stands again at a higher rank: all its crops but the most probable.

    Source: RDED keeps one of the crops of an image.

    >>> repeated(np.array([4, 7, 4, 9, 7]))
    {0, 1}
    """
    last = {int(image): rank for rank, image in enumerate(image_index)}
    return {rank for rank, image in enumerate(image_index) if last[int(image)] != rank}
