"""Near-duplicates: copies, shifts and black squares are found, other pictures are not."""

from __future__ import annotations

import numpy as np

from delt_engine.patches.duplicates import near_duplicates, repeats


def test_copies_and_small_shifts_are_alike_and_other_pictures_are_not() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 4, 4, 3), np.uint8)
    smooth = coarse.repeat(8, 1).repeat(8, 2)  # (3, 32, 32, 3)
    shifted = np.clip(smooth[0].astype(int) + 4, 0, 255).astype(np.uint8)
    dark = np.zeros((2, 32, 32, 3), np.uint8)
    alike = near_duplicates(np.concatenate([smooth, shifted[None], dark]))
    assert sorted(map(tuple, np.argwhere(alike).tolist())) == [(0, 3), (3, 0), (4, 5), (5, 4)]
    assert near_duplicates(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 0)


def test_one_of_each_is_kept_and_the_pinned_one_before_all() -> None:
    alike = np.zeros((5, 5), bool)
    for one, other in ((0, 2), (2, 4), (1, 3)):
        alike[one, other] = alike[other, one] = True
    assert repeats([2, 0, 4, 1, 3], alike, 3) == [0, 4, 3]  # there is no third that is like none of them
    assert repeats([2, 0, 4, 1, 3], alike, 2) == [0, 4]
    assert repeats([2, 0, 4, 1, 3], alike, 3, kept=[4]) == [2]
