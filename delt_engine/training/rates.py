"""The learning rate over the epochs of a student: stepped once an epoch, as published evaluation code does.

Source: DELT evaluation/validation (half-cosine: the factor is half of 1 + cos(pi * epoch / epochs / 2), so it ends at
half its start; other papers call that slowed down by 2); SRe2L's IN-1K training (cosine); EDC's CIFAR-10 training
(a tenth at epochs 800, 900 and 950 of 1,000).
"""

from __future__ import annotations

import math

from delt_engine.config.students import EvaluateConfig

_STEPS = (16, 18, 19)  # twentieths of the epochs: 80, 90 and 95 %


def learning_rate_at(config: EvaluateConfig, epoch_index: int, rate: float) -> float:
    """Return the learning rate of an epoch.

    Args:
        config: its schedule and number of epochs.
        epoch_index: 0 for the first epoch; ``config.epochs`` gives where the schedule ends.
        rate: the learning rate at the start.

    >>> config = EvaluateConfig(epochs=300)
    >>> learning_rate_at(config, 0, 0.001), round(learning_rate_at(config, 300, 0.001), 9)
    (0.001, 0.0005)
    """
    if config.lr_schedule == "steps":
        passed = sum(20 * epoch_index >= part * config.epochs for part in _STEPS)
        return rate / 10**passed
    slowed = 2 if config.lr_schedule == "half-cosine" else 1
    return rate * (1 + math.cos(math.pi * epoch_index / config.epochs / slowed)) / 2
