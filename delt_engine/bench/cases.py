"""What is measured: networks, image sizes and schedules of the recovery benchmark; torch-free.

A case runs the published schedule (MI 4K, RI 500, IPC 50, batches of 100: DELT Table 8b) with fewer iterations a
round, so the number of joined images goes through the same values and image-iterations have the same proportions.

Source: the schedule is DELT's; which cases is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError

ROUNDS = 8
"""Rounds of the published schedule."""


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=_HasName)


@dataclass(frozen=True)
class Case:
    """One line of the benchmark.

    Args:
        name: what ``--case`` takes.
        title: what it is.
        network: a name of the catalogue; empty for the shipped teacher of the built-in photographs.
        image_size: S.
        precision: number format of the fast loop; the plain one is in float32.
        is_quick: whether ``--quick`` takes it.
        compares_schedules: the fast loop without EarlyLate stands where the plain loop stands elsewhere.
    """

    name: str
    title: str
    network: str = "resnet18"
    image_size: int = 32
    precision: str = "float32"
    is_quick: bool = True
    compares_schedules: bool = False

    @property
    def setting(self) -> tuple[str, int, bool]:
        """What cases share that are measured side by side."""
        return self.network, self.image_size, self.compares_schedules


CASES = (
    Case("resnet18-32", "ResNet-18, 32 px, float32"),
    Case("resnet18-32-bfloat16", "ResNet-18, 32 px, bfloat16", precision="bfloat16"),
    Case("photos", "ResNet-18 of a quarter width, photos, float32", network=""),
    Case("early-late", "EarlyLate on and off, photos", network="", compares_schedules=True),
    Case("resnet18-64", "ResNet-18, 64 px, float32", image_size=64, is_quick=False),
    Case("resnet18-64-bfloat16", "ResNet-18, 64 px, bfloat16", image_size=64, precision="bfloat16", is_quick=False),
)


def find_cases(names: Sequence[str], *, quick: bool) -> tuple[Case, ...]:
    """Return the cases of some names; all, or with ``quick`` the quick ones, when none is given.

    Raises:
        ConfigError: there is no such case.

    >>> [case.name for case in find_cases((), quick=True)]
    ['resnet18-32', 'resnet18-32-bfloat16', 'photos', 'early-late']
    """
    return named(CASES, names) or tuple(case for case in CASES if case.is_quick or not quick)


def named(cases: Sequence[Named], names: Sequence[str]) -> tuple[Named, ...]:
    """Return the cases of some names, each once.

    Raises:
        ConfigError: there is no such case.
    """
    known = {case.name: case for case in cases}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"case: {unknown[0]!r} given, but it must be one of {', '.join(known)}.")
    return tuple(known[name] for name in dict.fromkeys(names))


def schedule(case: Case, *, quick: bool) -> RecoverConfig:
    """Return the published settings with a few iterations a round.

    Small networks get more of them. With ``quick`` large ones have half as many rounds, with twice the newcomers.

    >>> schedule(CASES[0], quick=False).schedule.newcomers
    (7, 7, 6, 6, 6, 6, 6, 6)
    """
    each = 1 if case.network or quick else 4
    num_rounds = ROUNDS // 2 if quick and case.network else ROUNDS
    return RecoverConfig(ipc=50, batch_size=100, iterations=each * num_rounds, round_iterations=each)
