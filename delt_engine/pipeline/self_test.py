"""A recovery in small that ends within seconds: two digits, four iterations, held to stored losses.

Losses of a sound installation differ in the last digits between processors and devices, so they are compared within a
share.
"""

from __future__ import annotations

from dataclasses import dataclass

from delt_engine.config import RankConfig, RecoverConfig, SelectConfig
from delt_engine.data.catalogue import load_dataset
from delt_engine.models.device import pick_device
from delt_engine.models.teachers import load_teacher
from delt_engine.patches.ranking import Ranking, rank
from delt_engine.patches.selection import select
from delt_engine.pipeline.in_memory import recover
from delt_engine.recovery.loop import RecoverStep

CLASSES = (0, 1)
CONFIG = RecoverConfig(ipc=2, iterations=4, round_iterations=2, precision="float32")
EXPECTED = (1.1242, 0.9001, 0.7609, 2.8540)
"""Total losses of a sound installation. Source: ours, float32 on a CPU, torch 2.14; threads move the fourth digit."""
SHARE = 0.02
"""How much of a loss it may differ; rounding moves it by less than a thousandth."""


@dataclass(frozen=True)
class SelfTest:
    """Where the test ran, and the total loss of each iteration."""

    device: str
    losses: tuple[float, ...]

    @property
    def is_sound(self) -> bool:
        """Whether these are the stored losses."""
        pairs = zip(self.losses, EXPECTED, strict=False)
        is_near = all(abs(found - expected) <= SHARE * expected for found, expected in pairs)
        return is_near and len(self.losses) == len(EXPECTED)


def self_test(device: str = "auto") -> SelfTest:
    """Recover two images of two digits.

    Raises:
        DeltError: the shipped teacher or the dataset cannot be read.
    """
    place, dataset = pick_device(device), load_dataset("digits")
    teacher = load_teacher("digits", dataset=dataset, device=place)
    *_, ranking = rank(dataset, teacher, RankConfig(), seed=0, device=place, classes=CLASSES, workers=0)
    assert isinstance(ranking, Ranking)  # the last of what it yields
    chosen = select(ranking, dataset.train.names, CONFIG.schedule, SelectConfig(), seed=0, classes=CLASSES)
    steps = recover(dataset, teacher, CONFIG, chosen, classes=CLASSES, device=str(place))
    return SelfTest(str(place), tuple(step.losses()[2] for step in steps if isinstance(step, RecoverStep)))
