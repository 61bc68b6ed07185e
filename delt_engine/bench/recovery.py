"""Measure recovery: the plain loop and the fast ones side by side, on the same images and crops.

Loops take the rounds of their schedule in turns. The first iteration of a round is not timed: the libraries prepare
themselves for a number of images once, which is much of a round here and nothing of one of 500. A rate is
image-iterations a second over all rounds. A GPU is waited for at both ends of a turn and not within it. Where several
batches share the fast loop's step, the plain loop takes the same batches one after the other.

Figures of a case, where they apply:
    precision, fast, plain: number format of the fast loop, how it is computed, and the plain loop's number format.
    changed_percent: share of values that differ by more than :data:`VISIBLE`. Adam's first step goes by the gradient's
        sign, so where that is a matter of rounding two learning rates lie between any two computations.
    plain_error, fast_error: relative error of the gradient at the start images, against float64.
    loss_difference_percent: of the last iteration's total loss.
    peak_percent: the fast loop's share of the operations a second that the device was measured to give in its own
        format: the faster of a large matrix product and a large convolution.
    limit_rate, limit_percent: image-iterations a second of the teacher's convolutions alone in the fast loop's format,
        at the full batch, and the fast loop's share of it. Limit and peak take their turns with the loops; where the
        loop passes one of them the measurement failed, which ``failed`` says.
    plain_mb, fast_mb: what a loop saves for its backward pass at the full batch, MiB; packed batches together.
    memory_mb: peak of a CUDA device in the fast loop's turns, MiB; None elsewhere.
    saved_percent, scheduled_percent: of wall time and of image-iterations, what EarlyLate saves; there the rates are
        images a second, without and with it.
"""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor

from delt_engine.bench.cases import Case, fits, schedule
from delt_engine.bench.harness import Measured, Report, Side, measured, take_turns
from delt_engine.bench.limit import Convolutions, Peak, above_limits, operations
from delt_engine.bench.material import Material, material
from delt_engine.config import RecoverConfig
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.memory import saved
from delt_engine.recovery.objective import objective
from delt_engine.recovery.speed import FastPath, choose

Limit = Convolutions | Peak

VISIBLE = 1e-3
"""Difference of a normalised value from which a pixel counts as another one."""

_CHECKED = 4


def bench_recovery(
    cases: Sequence[Case],
    *,
    quick: bool,
    rounds: int,
    device: torch.device,
    report: Report | None = None,
    seconds: float = math.inf,
    leave_out: Callable[[Case], None] | None = None,
) -> Iterator[Measured]:
    """Measure cases; those of the same network and size share one plain loop.

    With ``quick`` the schedule is shorter. ``report`` is given what is measured, how many cases are done, of how many.
    Cases that would take longer than ``seconds`` together with those before are left out, and given to ``leave_out``.
    """
    done = 0
    spent: list[tuple[float, float]] = []
    with _published_convolutions():
        for _, group in groupby(cases, key=attrgetter("network", "image_size", "pack", "compares_schedules")):
            together = list(group)
            if not fits(together, spent, seconds):
                if leave_out:
                    list(map(leave_out, together))
                continue
            if report:
                report(together[0].title, done, len(cases))
            began = time.perf_counter()
            compare = _compare_schedules if together[0].compares_schedules else _compare_loops
            yield from compare(together, quick=quick, rounds=rounds, device=device)
            done += len(together)
            spent.append((sum(case.cost_s for case in together), time.perf_counter() - began))


@contextlib.contextmanager
def _published_convolutions() -> Iterator[None]:
    """Let float32 convolutions use TF32 on GPUs: PyTorch's default, which published code leaves as it is."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@dataclass
class Lane:
    """Loops of a round that are timed together: the engine's one, or the plain one of each batch that it packs."""

    given: Material
    loops: list[Generator[Any, None, None]]
    saved_mb: float = 0.0
    peak_mb: float | None = None
    """Most memory of a CUDA device in its turns."""
    last: list[Any] = field(default_factory=list)
    """Where each loop ended."""

    def __post_init__(self) -> None:
        each = self.given.config.round_iterations
        self.rounds = self.given.config.iterations // each
        self.side = Side(lambda _round: self.go(each - 1), self.begin_round)

    @property
    def seconds(self) -> float:
        """Seconds of all rounds, their first iterations left out."""
        return sum(self.side.seconds)

    @property
    def total_loss(self) -> float:
        """The last loss, the mean of the batches."""
        return mean(float(step.total_loss) for step in self.last)

    def go(self, count: int) -> None:
        """Take some iterations of each loop; a GPU is not waited for between them, as in a run."""
        for _ in range(count):
            self.last = [next(loop) for loop in self.loops]
        if self.given.images.is_cuda:
            self.peak_mb = max(self.peak_mb or 0.0, torch.cuda.max_memory_allocated(self.given.images.device) / 2**20)

    def begin_round(self, number: int) -> None:
        """Take the first iteration of a round; in the last one note what it saves for its backward pass."""
        if self.given.images.is_cuda:
            torch.cuda.reset_peak_memory_stats(self.given.images.device)
        if number < self.rounds - 1:
            self.go(1)
            return
        for loop in self.loops:
            with saved(self.given.teacher.network) as sizes:
                next(loop)
            self.saved_mb = max(self.saved_mb, sum(sizes.values()) / 2**20)

    def images(self, places: Sequence[Sequence[int]]) -> Tensor:
        """Return the plain loops' images in the order of the engine's."""
        found = torch.cat([step.images for step in self.last])
        order = torch.tensor([place for each in places for place in each], device=found.device)
        return torch.empty_like(found).index_copy_(0, order, found)


def in_turns(lanes: list[Lane], device: torch.device, limits: Sequence[Limit] = ()) -> list[Lane]:
    """Take lanes through their schedules, round by round in turns, limits after each, and close their loops."""
    beside = [Side(lambda _round: [limit.take_turn() for limit in limits])] if limits else []
    take_turns([*(lane.side for lane in lanes), *beside], range(lanes[0].rounds), device)
    for lane in lanes:
        for loop in lane.loops:
            loop.close()
    return lanes


def side_by_side(
    given: Material, paths: Sequence[FastPath], device: torch.device, limits: Sequence[Limit] = ()
) -> list[Lane]:
    """Take all loops through the schedule; the plain ones first."""
    return in_turns([Lane(given, given.plain()), *(Lane(given, [given.fast(path)]) for path in paths)], device, limits)


def _compare_loops(cases: Sequence[Case], *, quick: bool, rounds: int, device: torch.device) -> Iterator[Measured]:
    given = material(cases[0], schedule(cases[0], quick=quick, device_type=device.type), device)
    network = given.teacher.network
    paths = [fast_path(case, given, device) for case in cases]
    convolutions = [Convolutions(network, given.images, path.precision) for path in paths]
    peaks = [Peak(device, getattr(torch, path.precision)) for path in paths]
    runs = [side_by_side(given, paths, device, [*convolutions, *peaks]) for _ in range(rounds)]
    each, errors = operations(network, given.images[:1]), gradient_errors(given, paths)
    for number, (case, path) in enumerate(zip(cases, paths, strict=True), start=1):
        plain, fast = runs[-1][0], runs[-1][number]
        gaps = (fast.last[0].state.images - plain.images(given.places)).abs()
        fast_s, work = [run[number].seconds for run in runs], image_iterations(given)
        rate, limit_rate = work / median(fast_s), convolutions[number - 1].rate
        peak_percent = 100 * rate * each / peaks[number - 1].rate
        yield measured(
            case,
            device,
            [run[0].seconds for run in runs],
            fast_s,
            work=work,
            max_abs_diff=gaps.max().item(),
            precision=path.precision,
            fast=str(path),
            changed_percent=100 * (gaps > VISIBLE).float().mean().item(),
            plain_error=errors[0],
            fast_error=errors[number],
            loss_difference_percent=100 * abs(fast.total_loss - plain.total_loss) / abs(plain.total_loss),
            peak_percent=peak_percent,
            limit_rate=limit_rate,
            limit_percent=100 * rate / limit_rate,
            failed=above_limits(rate, limit_rate, peak_percent),
            plain_mb=plain.saved_mb,
            fast_mb=fast.saved_mb,
            memory_mb=fast.peak_mb,
            plain="float32, TF32 convolutions" if device.type == "cuda" else "float32",
        )


def _compare_schedules(cases: Sequence[Case], *, quick: bool, rounds: int, device: torch.device) -> Iterator[Measured]:
    """Measure the fast loop with and without EarlyLate, round by round in turns."""
    for case in cases:
        config = schedule(case, quick=quick, device_type=device.type)
        pair = [material(case, config.replace(early_late=early_late), device) for early_late in (False, True)]
        path = fast_path(case, pair[0], device)
        runs = [in_turns([Lane(given, [given.fast(path)]) for given in pair], device) for _ in range(rounds)]
        off, on = ([run[side].seconds for run in runs] for side in (0, 1))
        ratio = median(without / with_it for without, with_it in zip(off, on, strict=True))
        yield measured(
            case,
            device,
            off,
            on,
            work=len(pair[0].images),
            precision=path.precision,
            fast=str(path),
            saved_percent=100 * (1 - 1 / ratio),
            scheduled_percent=config.schedule.saved_percent,
        )


def fast_path(case: Case, given: Material, device: torch.device) -> FastPath:
    """Return how a case's fast loop is computed."""
    wanted = given.config.replace(precision=case.precision, pack=case.pack)
    return choose(wanted, device.type, given.images.shape[-1])


def image_iterations(given: Material) -> int:
    """Return the image-iterations of a measurement that are timed: those of all but the first iteration of a round."""
    each = given.config.round_iterations
    return sum((each - 1) * given.plan.joined(number + 1) for number in range(given.config.iterations // each))


def gradient_errors(given: Material, paths: Sequence[FastPath]) -> list[float]:
    """Return the relative errors of the gradient at the first start images: of float32 as it is, then of each path."""
    images, labels, teacher = given.images[:_CHECKED], given.labels[:_CHECKED], given.teacher
    double = PreparedTeacher(copy.deepcopy(teacher.network).double(), teacher.mean, teacher.std)
    exact = _gradient(double, given.config, images.double(), labels, FastPath())
    gradients = [_gradient(teacher, given.config, images, labels, path) for path in [FastPath(), *paths]]
    return [((gradient - exact).norm() / exact.norm()).item() for gradient in gradients]


def _gradient(
    teacher: PreparedTeacher, config: RecoverConfig, images: Tensor, labels: Tensor, path: FastPath
) -> Tensor:
    leaf = images.clone().requires_grad_()
    with objective(teacher, config, path) as losses_of:
        (gradient,) = torch.autograd.grad(losses_of(leaf, labels).total, leaf)
    return gradient
