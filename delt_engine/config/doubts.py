"""Settings that are allowed and make no sense together: what to say of them before they cost an hour.

Source: ours; each sentence has the figure it rests on.
"""

from __future__ import annotations

from delt_engine.config.experiment import Experiment
from delt_engine.config.real_data import SqueezeConfig
from delt_engine.config.recover import RecoverConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.config.students import EvaluateConfig

LONGEST_STEP = 2.0
"""Learning rate of Adam above which an image cannot settle: half of the way of a pixel from black to white, which is
about 4 (1 / std of the data). Published is 0.05 to 0.25."""

MOST_ADAM, MOST_SGD = 0.1, 2.0
"""Learning rates of a network, many times the largest published ones, 0.0025 and 0.2."""


def doubts(experiment: Experiment, kind: str) -> tuple[str, ...]:
    """Return what is doubtful about the stage that a run of a kind does, a sentence each."""
    found: tuple[str, ...] = ()
    if kind == "recover":
        found = (rounds_doubt(experiment.recover.schedule), step_doubt(experiment.recover))
    elif kind == "squeeze":
        found = (rate_doubt(experiment.squeeze),)
    elif kind == "evaluate":
        found = (rate_doubt(experiment.evaluate),)
    return tuple(filter(None, found))


def rounds_doubt(schedule: EarlyLateSchedule) -> str:
    """Return what is wrong with more rounds than images, in figures; "" where there are no more.

    >>> rounds_doubt(EarlyLateSchedule(10, 4000, 50))
    '80 rounds for 10 images: after round 10 none is left to join. The last image gets 3,550 iterations; saved: 5.6 %.'
    >>> rounds_doubt(EarlyLateSchedule(10, 4000, 400))
    ''
    """
    if not schedule.has_rounds or schedule.num_rounds <= schedule.ipc:
        return ""
    return (
        f"{schedule.num_rounds:,} rounds for {schedule.ipc:,} images: after round {schedule.ipc:,} none is left to "
        f"join. The last image gets {schedule.image_iterations_each[-1]:,} iterations; saved: "
        f"{schedule.saved_percent:.1f} %."
    )


def step_doubt(config: RecoverConfig) -> str:
    """Return what is wrong with a learning rate at which images cannot settle, "" with any other.

    >>> step_doubt(RecoverConfig(learning_rate=0.25)), step_doubt(RecoverConfig(learning_rate=5))[:48]
    ('', 'Learning rate 5: a step of Adam is about as long')
    """
    if not config.is_optimised or config.is_batch_to_batch or config.learning_rate <= LONGEST_STEP:
        return ""
    return (
        f"Learning rate {config.learning_rate:g}: a step of Adam is about as long, and a pixel has about 4 from black "
        "to white, so images jump between the two. Published are 0.05 to 0.25."
    )


def rate_doubt(config: SqueezeConfig | EvaluateConfig) -> str:
    """Return what is wrong with a learning rate at which the training of a network falls apart, "" with any other.

    >>> rate_doubt(EvaluateConfig()), rate_doubt(SqueezeConfig())
    ('', '')
    >>> rate_doubt(EvaluateConfig(learning_rate=1.0))
    'Learning rate 1 with adamw: published are at most 0.0025, and so far above training falls apart.'
    """
    is_sgd, rate = config.optimizer == "sgd", config.learning_rate
    most, published = (MOST_SGD, 0.2) if is_sgd else (MOST_ADAM, 0.0025)
    if rate is None or rate <= most:
        return ""
    return (
        f"Learning rate {rate:g} with {config.optimizer}: published are at most {published:g}, and so far above "
        "training falls apart."
    )
