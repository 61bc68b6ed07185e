"""What is measured: the cases of each benchmark, by name; torch-free.

A case of recovery runs the published schedule (MI 4K, RI 500, IPC 50, batches of 100: DELT Table 8b) with fewer
iterations a round, so the number of joined images goes through the same values and image-iterations have the same
proportions. The first iteration of a round is not timed.

Source: the schedule is DELT's; which cases is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError
from delt_engine.models.processor import has_slow_bfloat16

ROUNDS = 8
"""Rounds of the published schedule."""

_QUICK_ROUNDS = 3

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
        compares_schedules: the fast loop without EarlyLate stands where the plain loop stands elsewhere.
    """

    network: str = "resnet18"
    image_size: int = 32
    precision: str = "float32"
    is_quick: bool = True
    compares_schedules: bool = False
    is_for_gpu: bool = False
    pack: int = 1

    @property
    def setting(self) -> tuple[str, int, int, bool]:
        """What cases share that are measured side by side."""
        return self.network, self.image_size, self.pack, self.compares_schedules


CASES = (
    Case("resnet18-32", "ResNet-18, 32 px, float32"),
    Case("resnet18-32-bfloat16", "ResNet-18, 32 px, bfloat16", precision="bfloat16"),
    Case("photos", "ResNet-18 of a quarter width, photos, float32", network=""),
    Case("early-late", "EarlyLate on and off, photos", network="", compares_schedules=True),
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
    RankCase("files-224", "photographs in files at 224 px, quarter-width ResNet-18", 224, 0.25, 96),
)


@dataclass(frozen=True)
class EvaluateCase(Named):
    """One line of the students' benchmark: a student of a quarter-width ResNet-18 on the built-in photographs."""

    has_teacher: bool


EVALUATE_CASES = (
    EvaluateCase("photos-soft", "quarter-width ResNet-18, 32 px, the teacher's labels on the fly", has_teacher=True),
    EvaluateCase("photos-hard", "quarter-width ResNet-18, 32 px, hard labels", has_teacher=False),
)


def find_cases(names: Sequence[str], *, quick: bool, device_type: str = "cpu") -> tuple[Case, ...]:
    """Return the recovery cases of some names; when none is given those for a device, quick ones with ``quick``.

    A quick measurement leaves bfloat16 out on a processor that imitates it, see :func:`left_out`.

    Raises:
        ConfigError: there is no such case.

    >>> [case.name for case in find_cases((), quick=True) if case.precision == "float32"]
    ['resnet18-32', 'photos', 'early-late']
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
    three rounds with more newcomers, and so does the small one where it is not schedules that are compared.

    >>> schedule(CASES[0], quick=False).schedule.newcomers, schedule(CASES[0], quick=True).schedule.newcomers
    ((7, 7, 6, 6, 6, 6, 6, 6), (17, 17, 16))
    """
    each = _GPU_ITERATIONS if device_type == "cuda" else 2 if case.network else _SMALL_ITERATIONS
    num_rounds = ROUNDS
    if quick:
        num_rounds, each = ROUNDS if case.compares_schedules else _QUICK_ROUNDS, max(2, 2 * each // 3)
    return RecoverConfig(ipc=50, batch_size=100, iterations=each * num_rounds, round_iterations=each)
