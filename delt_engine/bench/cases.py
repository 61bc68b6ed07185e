"""What is measured: the cases of each benchmark, by name; torch-free.

A case of recovery runs the published schedule (MI 4K, RI 500, IPC 50, batches of 100: DELT Table 8b) with fewer
iterations a round, so the number of joined images goes through the same values and image-iterations have the same
proportions. The first iteration of a round is not timed.

Source: the schedule is DELT's; which cases is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError
from delt_engine.models.processor import has_slow_bfloat16

ROUNDS = 8
"""Rounds of the published schedule."""

_QUICK_ROUNDS = 3

QUICK_SECONDS = 52.0
"""What a quick measurement on a CPU may take, so that the command with its start is below a minute."""

_SMALL_ITERATIONS, _GPU_ITERATIONS = 6, 20
"""Iterations a round of a small network, and on a GPU; ours."""


@dataclass(frozen=True)
class Named:
    """A case of any benchmark: what ``--case`` takes, and what it is."""

    name: str
    title: str


AnyCase = TypeVar("AnyCase", bound=Named)


@dataclass(frozen=True)
class Case(Named):
    """One line of the recovery benchmark.

    Args:
        network: a name of the catalogue; empty for the shipped teacher of the built-in photographs.
        precision: number format of the fast loop; the plain one is in float32.
        is_quick: whether ``--quick`` takes it.
        is_for_gpu: whether it is taken on CUDA devices only, where it is not asked for by name.
        pack: how many batches the fast loop takes a step with.
        cost_s: seconds of a quick measurement on two idle cores with AVX-512 and bfloat16; with others' they say how
            long it will take elsewhere.
        compares_schedules: the fast loop without EarlyLate stands where the plain loop stands elsewhere.
    """

    network: str = "resnet18"
    image_size: int = 32
    precision: str = "float32"
    is_quick: bool = True
    compares_schedules: bool = False
    is_for_gpu: bool = False
    pack: int = 1
    cost_s: float = 0.0


CASES = (
    Case("photos", "ResNet-18 of a quarter width, photos, float32", network="", cost_s=4.3),
    Case("early-late", "EarlyLate on and off, photos", network="", compares_schedules=True, cost_s=2.6),
    Case("resnet18-32", "ResNet-18, 32 px, float32", cost_s=15.0),
    Case("resnet18-32-bfloat16", "ResNet-18, 32 px, bfloat16", precision="bfloat16", cost_s=5.0),
    Case("resnet18-64", "ResNet-18, 64 px, float32", image_size=64, is_quick=False),
    Case("resnet18-64-bfloat16", "ResNet-18, 64 px, bfloat16", image_size=64, precision="bfloat16", is_quick=False),
    Case(
        "resnet18-32-packed",
        "ResNet-18, 32 px, bfloat16, ten batches a step",
        precision="bfloat16",
        pack=10,
        is_for_gpu=True,
    ),
    Case("resnet18-224", "ResNet-18, 224 px, bfloat16", image_size=224, precision="bfloat16", is_for_gpu=True),
    Case("resnet50-224", "ResNet-50, 224 px, bfloat16", "resnet50", 224, "bfloat16", is_for_gpu=True),
)
"""Ten batches of 100 images are what ``--pack 0`` takes on a GPU at 32 px."""


@dataclass(frozen=True)
class RankCase(Named):
    """One line of the ranking benchmark: pictures and the network that scores them."""

    image_size: int
    width: float  # of the network
    images: int  # how many; a third of them with --quick
    is_files: bool = True


RANK_CASES = (
    RankCase("arrays-32", "pictures of 32 px in an array, quarter-width ResNet-18", 32, 0.25, 1500, False),
    RankCase("files-32", "photographs in files at 32 px, quarter-width ResNet-18", 32, 0.25, 240),
    RankCase("files-224", "photographs in files at 224 px, quarter-width ResNet-18", 224, 0.25, 192),
)


@dataclass(frozen=True)
class EvaluateCase(Named):
    """One line of the students' benchmark: a ResNet-18 on the built-in photographs."""

    has_teacher: bool
    width: float = 0.25  # of the student; a teacher of another width has seeded weights
    batch_size: int = 50
    precision: str = "float32"  # of the engine's side
    students: int = 1  # of several, those side by side are held to the same ones in turn


EVALUATE_CASES = (
    EvaluateCase("photos-soft", "quarter-width ResNet-18, 32 px, the teacher's labels on the fly", has_teacher=True),
    EvaluateCase("photos-hard", "quarter-width ResNet-18, 32 px, hard labels", has_teacher=False),
)


GPU_CASES = ("resnet18-224", "resnet50-224", "resnet18-32-packed")
GPU_STUDENT = EvaluateCase(
    "resnet18-32-soft", "ResNet-18, 32 px, the teacher's labels on the fly", True, 1.0, 100, "bfloat16"
)
GPU_STUDENTS = replace(
    GPU_STUDENT, name="resnet18-32-beside", title="three of these students, side by side and in turn", students=3
)
"""What ``delt bench gpu`` measures on a card: the CIFAR-10 row's networks and batches, and those of ImageNet."""

DRY_CASES = (
    Case("photos", "ResNet-18 of a quarter width, 32 px", network=""),
    Case("photos-packed", "ResNet-18 of a quarter width, 32 px, two batches a step", network="", pack=2),
)
DRY_STUDENT = EvaluateCase("photos-soft", "quarter-width ResNet-18, 32 px, the teacher's labels on the fly", True)
DRY_STUDENTS = replace(
    DRY_STUDENT, name="photos-beside", title="three of these students, side by side and in turn", students=3
)
"""What it takes in their place where no card is."""


def find_cases(names: Sequence[str], *, quick: bool, device_type: str = "cpu") -> tuple[Case, ...]:
    """Return the recovery cases of some names; when none is given those for a device, quick ones with ``quick``.

    A quick measurement leaves bfloat16 out on a processor that imitates it, see :func:`left_out`.

    Raises:
        ConfigError: there is no such case.

    >>> [case.name for case in find_cases((), quick=True) if case.precision == "float32"]
    ['photos', 'early-late', 'resnet18-32']
    >>> [case.name for case in find_cases((), quick=True, device_type="cuda")][4:]
    ['resnet18-32-packed', 'resnet18-224', 'resnet50-224']
    """
    if names:
        return named(CASES, names)
    fitting = [case for case in CASES if device_type == "cuda" or not case.is_for_gpu]
    slow = left_out(device_type) if quick else ()
    return tuple(case for case in fitting if (case.is_quick or not quick) and case not in slow)


def left_out(device_type: str) -> tuple[Case, ...]:
    """Return the cases that a quick measurement leaves out on a CPU, since it imitates bfloat16."""
    if device_type != "cpu" or not has_slow_bfloat16():
        return ()
    return tuple(case for case in CASES if case.is_quick and not case.is_for_gpu and case.precision == "bfloat16")


def fits(cases: Sequence[Case], spent: Sequence[tuple[float, float]], seconds: float) -> bool:
    """Return whether further cases can be measured quickly within some seconds, as far as the ones before tell.

    Args:
        spent: of each measurement so far the cost, by ``cost_s``, and the seconds it took.

    >>> fits(CASES[2:3], [(4.3, 8.6)], 52.0), fits(CASES[2:3], [(4.3, 13.0)], 52.0)
    (True, False)
    """
    pace = max((took / cost for cost, took in spent if cost), default=0.0)
    return sum(took for _, took in spent) + pace * sum(case.cost_s for case in cases) <= seconds


def named(cases: Sequence[AnyCase], names: Sequence[str]) -> tuple[AnyCase, ...]:
    """Return the cases of some names, each once.

    Raises:
        ConfigError: there is no such case.
    """
    known = {case.name: case for case in cases}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"case: {unknown[0]!r} given, but it must be one of {', '.join(known)}.")
    return tuple(known[name] for name in dict.fromkeys(names))


def schedule(case: Case, *, quick: bool, device_type: str = "cpu") -> RecoverConfig:
    """Return the published settings with a few iterations a round, two at least.

    Small networks get more of them, and GPUs, whose iterations are short. With ``quick`` networks of full width have
    three rounds with more newcomers, and so does the small one; where schedules are compared rounds are shorter.

    >>> case = named(CASES, ["resnet18-32"])[0]
    >>> schedule(case, quick=False).schedule.newcomers, schedule(case, quick=True).schedule.newcomers
    ((7, 7, 6, 6, 6, 6, 6, 6), (17, 17, 16))
    """
    each = _GPU_ITERATIONS if device_type == "cuda" else 2 if case.network else _SMALL_ITERATIONS
    num_rounds = ROUNDS
    if quick:
        num_rounds, each = _QUICK_ROUNDS, max(2, 2 * each // 3)
        if case.compares_schedules:
            num_rounds, each = ROUNDS, max(2, each // 2)
    return RecoverConfig(ipc=50, batch_size=100, iterations=each * num_rounds, round_iterations=each)
