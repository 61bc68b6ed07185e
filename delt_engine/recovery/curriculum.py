"""How hard the crops are, and how large the steps, at each iteration.

The lower bound alpha of RandomResizedCrop's scale is the difficulty: near 1 the network sees the whole image
(easy), near beta_l = 0.08 it may see a small part (hard). ``fraction`` is s / (milestone * MI) below.

Source: CDA Sec. 2, Algorithm 1, Table 2 (constant easy / hard), Table 3 (reverse), Fig. 4; the learning rate is
one cosine over MI (DELT Table 8b).
Differs: Algorithm 1 prints ``beta_l + gamma * (beta_u + cos(pi s/T)) / 2`` and ``beta_l + gamma * (beta_u - s/T)``, and
Sec. 3.1 gives gamma = 0.92, which is beta_u - beta_l at their defaults of 1 and 0.08. With that difference as gamma the
bounds run from beta_u to beta_l whatever these are, as Fig. 4 shows and the published code does (lower bound at the
start of DELT's eight rounds: 1, .965, .865, .716, .54, .364, .215, .115). "step" holds beta_u while s <= T, as
Algorithm 1 has it; the published code turns one iteration earlier, at s = T. "reverse" is the step scheduler turned
round (CDA Sec. 3.4): the default range first, the whole image after the milestone.
"""

from __future__ import annotations

import math

_ROUNDING = 1e-6
"""Iterations: a milestone such as 0.29 of 100 is a little below 29 in floating point."""


def crop_scale_at(
    iteration: int,
    iterations: int,
    curriculum: str = "cosine",
    milestone: float = 1.0,
    min_crop: float = 0.08,
    max_crop: float = 1.0,
) -> tuple[float, float]:
    """Return the (lower, upper) bounds of RandomResizedCrop's area scale at one iteration s (from 0) of MI.

    Args:
        curriculum: cosine, linear, step, constant or reverse. ``constant`` keeps (min_crop, max_crop): raise min_crop
            for CDA's constant *easy* learning, lower max_crop for constant *hard*.
        milestone: share of MI after which the bound stays at ``min_crop``, in (0, 1].
        min_crop: beta_l, lower bound at the end.
        max_crop: beta_u.

    >>> [round(crop_scale_at(s, 4000)[0], 3) for s in range(0, 4000, 500)]
    [1.0, 0.965, 0.865, 0.716, 0.54, 0.364, 0.215, 0.115]
    """
    turn = milestone * iterations
    if curriculum == "constant":
        return min_crop, max_crop
    is_over = iteration > turn + _ROUNDING
    if curriculum == "reverse":
        return (max_crop, max_crop) if is_over else (min_crop, max_crop)
    if is_over:
        return min_crop, max_crop
    fraction = min(1.0, iteration / turn)
    if curriculum == "step":
        share = 1.0
    elif curriculum == "linear":
        share = 1.0 - fraction
    else:
        share = (1.0 + math.cos(math.pi * fraction)) / 2.0
    return min_crop + (max_crop - min_crop) * share, max_crop


def learning_rate_at(iteration: int, iterations: int, learning_rate: float = 0.25) -> float:
    """Return the cosine learning rate at one iteration: ``learning_rate`` at 0, falling towards 0 at MI.

    Source: DELT Table 8b (cosine decay, base 0.25), without warm-up or restart.

    >>> [round(learning_rate_at(s, 4000), 4) for s in range(0, 4000, 500)]
    [0.25, 0.2405, 0.2134, 0.1728, 0.125, 0.0772, 0.0366, 0.0095]
    """
    return 0.5 * learning_rate * (1.0 + math.cos(math.pi * iteration / iterations))
