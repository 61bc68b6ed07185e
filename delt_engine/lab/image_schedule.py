"""What an image gets over its own iterations: learning rate and smallest crop, counted from when it joins.

Both schedules run over the whole of MI, so an image that joins late meets them where they stand by then.

Source: DELT Table 8b (one cosine over MI), CDA Algorithm 1 (crop curriculum).
"""

from __future__ import annotations

from dataclasses import dataclass

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError
from delt_engine.recovery.batches import clock
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at


@dataclass(frozen=True)
class OwnTime:
    """Schedules of one image: at its own iteration ``iterations[i]``, from 0 to its last."""

    iterations: tuple[int, ...]
    learning_rates: tuple[float, ...]
    smallest_crops: tuple[float, ...]


def own_time(config: RecoverConfig, start_round: int, points: int = 60) -> OwnTime:
    """Return the schedules that an image meets which joins in ``start_round``.

    Args:
        config: of the run.
        start_round: from 1.
        points: how many iterations are told at most, evenly spread, the first and the last among them.

    Raises:
        ConfigError: the run has no such round.

    >>> late = own_time(RecoverConfig(), 8)
    >>> late.iterations[-1], round(late.learning_rates[0], 4), round(late.smallest_crops[0], 3)
    (499, 0.0095, 0.115)
    """
    rounds = config.schedule.num_rounds
    if not 1 <= start_round <= rounds:
        raise ConfigError(f"start_round: {start_round} given, but the run has rounds 1 to {rounds}.")
    first = (start_round - 1) * config.round_iterations
    last = config.iterations - first - 1
    own = sorted({round(at * last / max(1, points - 1)) for at in range(points)})
    times = [clock(first + iteration, config) for iteration in own]
    limits = (config.curriculum, config.milestone, config.min_crop, config.max_crop)
    return OwnTime(
        tuple(own),
        tuple(learning_rate_at(*time, config.learning_rate) for time in times),
        tuple(crop_scale_at(*time, *limits)[0] for time in times),
    )
