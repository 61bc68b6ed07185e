"""Measure recovery: the plain loop and the fast ones side by side, on the same images and crops.

Loops take their iterations in turns, so whatever else the machine does hits all of them alike. A rate is
image-iterations a second over a whole schedule, the median of several rounds; a ratio is the median of the rounds'
ratios.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.bench.cases import Case, schedule
from delt_engine.bench.plain import PlainStep, recover_as_published
from delt_engine.config import RecoverConfig
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.tensors import normalise, to_pixels
from delt_engine.models.catalogue import build_network
from delt_engine.models.teachers import load_teacher
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.recovery.loop import RecoverStep, recover
from delt_engine.recovery.objective import Objective
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.seeding import generator

VISIBLE = 1e-3
"""Difference of a normalised value from which a pixel counts as another one."""

_PEAK_SIZE = 2048
_CHECKED = 8
_NUM_CLASSES = 2  # as many as the published IPC 50 and batch of 100 put into a batch

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class CaseResult:
    """What was measured of one case.

    Attributes:
        case: its name.
        title: in words.
        plain_rate: image-iterations a second of the plain loop; of ``early-late`` images a second without EarlyLate.
        fast_rate: of the fast loop; of ``early-late`` with EarlyLate.
        ratio: of both; of the times, where schedules are compared.
        max_abs_diff: largest difference between the final images of both, normalised; None between schedules. Adam's
            first step goes by the gradient's sign, so where that is a matter of rounding two learning rates lie
            between any two computations; see the next three.
        changed_percent: share of values that differ by more than :data:`VISIBLE`.
        plain_error: relative error of the plain loop's gradient at the start images, against float64.
        fast_error: likewise of the fast loop's.
        loss_difference_percent: of the last iteration's total loss.
        peak_percent: the fast loop's share of the measured matrix-multiply rate in its own format; more than 100
            where the library's convolutions are quicker than its matrix multiplication.
        plain_mb: what the plain loop keeps for its backward pass, at the full batch, MiB.
        fast_mb: likewise of the fast one.
        saved_percent: wall time that EarlyLate saves.
        scheduled_percent: image-iterations that it saves.
    """

    case: str
    title: str
    precision: str
    fast: str
    device: str
    threads: int
    plain_rate: float
    fast_rate: float
    ratio: float
    max_abs_diff: float | None = None
    changed_percent: float | None = None
    plain_error: float | None = None
    fast_error: float | None = None
    loss_difference_percent: float | None = None
    peak_percent: float | None = None
    plain_mb: float | None = None
    fast_mb: float | None = None
    saved_percent: float | None = None
    scheduled_percent: float | None = None

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values, without those that do not apply."""
        needed = ("max_abs_diff",)
        return {name: value for name, value in asdict(self).items() if value is not None or name in needed}


def bench_recovery(
    cases: Sequence[Case], *, quick: bool, rounds: int, device: torch.device, report: Report | None = None
) -> Iterator[CaseResult]:
    """Measure cases; those of the same network and size share one plain loop.

    Args:
        cases: what to measure.
        quick: with half as many rounds of the schedule.
        rounds: how often each is measured.
        device: where.
        report: told what is measured, how many cases are done, and of how many.
    """
    done = 0
    for _, group in groupby(cases, key=lambda case: case.setting):
        together = list(group)
        if report:
            report(together[0].title, done, len(cases))
        measure = _compare_schedules if together[0].compares_schedules else _compare_loops
        yield from measure(together, quick=quick, rounds=rounds, device=device)
        done += len(together)


@dataclass(frozen=True, eq=False)
class Material:
    """What the loops of a case are given: teacher, images ``(N, 3, S, S)``, labels, plan, crops."""

    network: nn.Module
    images: Tensor
    labels: Tensor
    plan: BatchPlan
    config: RecoverConfig
    crop_rows: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def fast(self, path: FastPath) -> Iterator[RecoverStep]:
        """Begin the engine's loop."""
        return recover(
            self.images, self.labels, self.network, self.plan, self.config, self.crop_rows, mean=self.mean,
            std=self.std, fast=path,
        )  # fmt: skip

    def plain(self) -> Iterator[PlainStep]:
        """Begin the plain loop, with a teacher of its own: hooks would measure for both."""
        network = copy.deepcopy(self.network)
        return recover_as_published(
            self.images, self.labels, network, self.plan, self.config, self.crop_rows, mean=self.mean, std=self.std
        )

    @property
    def image_iterations(self) -> int:
        """How many one round of the benchmark is."""
        return self.config.schedule.image_iterations(_NUM_CLASSES)


def material(case: Case, config: RecoverConfig, device: torch.device) -> Material:
    """Return teacher and images of a case: the shipped ones of photos, or seeded ones."""
    plan = plan_batches(_NUM_CLASSES, config)[0]
    labels = torch.tensor([slot.class_index for slot in plan.slots], device=device)
    if case.network:
        mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
        network = seeded_teacher(case.network, case.image_size, mean, std, device)
        pixels = smooth_pixels(len(plan.slots), case.image_size, "images")
    else:
        dataset = load_dataset("photos")
        teacher = load_teacher("photos", dataset=dataset, device=str(device))
        network, mean, std = teacher.network, teacher.card.mean, teacher.card.std
        pixels = to_pixels(dataset.train.pixels(range(len(plan.slots))))
    images = normalise(pixels, mean, std).to(device)
    rows = crop_plan(config, images.shape[-1], generator(0, "bench", "crops"))
    return Material(network, images, labels, plan, config, rows, mean, std)


def seeded_teacher(
    name: str, image_size: int, mean: Sequence[float], std: Sequence[float], device: torch.device
) -> nn.Module:
    """Return a network with seeded weights and the running statistics of random smooth images, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(name, 10, image_size=image_size)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
    network.train().to(device)
    with torch.no_grad():
        network(normalise(smooth_pixels(64, image_size, "statistics"), mean, std).to(device))
    return network.eval().requires_grad_(requires_grad=False)


def smooth_pixels(number: int, image_size: int, what: str) -> Tensor:
    """Return random images without fine detail, float ``(n, 3, S, S)`` in [0, 1]."""
    coarse = torch.rand(number, 3, 8, 8, generator=generator(0, "bench", what))
    return F.interpolate(coarse, size=(image_size, image_size), mode="bilinear")


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the measured rate of multiplying two large matrices, floating-point operations a second."""
    left = torch.rand(_PEAK_SIZE, _PEAK_SIZE, generator=generator(0, "bench", "peak")).to(device, dtype)
    times = [_seconds(lambda: left @ left, device) for _ in range(4)]
    return 2 * _PEAK_SIZE**3 / min(times)


def operations(network: nn.Module, image: Tensor) -> int:
    """Return the floating-point operations of convolutions and matrices in one image-iteration, ``image`` (1, ...)."""
    from torch.utils.flop_counter import FlopCounterMode

    leaf = image.clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        network(leaf).sum().backward()
    return counter.get_total_flops()


def gradient_errors(given: Material, paths: Sequence[FastPath]) -> list[float]:
    """Return the relative errors of the gradient at the first start images: of float32 as it is, then of each path."""
    images, labels = given.images[:_CHECKED], given.labels[:_CHECKED]
    exact = _gradient(copy.deepcopy(given.network).double(), given.config, images.double(), labels, FastPath())
    gradients = [_gradient(given.network, given.config, images, labels, path) for path in [FastPath(), *paths]]
    return [((gradient - exact).norm() / exact.norm()).item() for gradient in gradients]


def _gradient(network: nn.Module, config: RecoverConfig, images: Tensor, labels: Tensor, path: FastPath) -> Tensor:
    leaf = images.clone().requires_grad_()
    with Objective(network, config, path) as objective:
        (gradient,) = torch.autograd.grad(objective(leaf, labels).total, leaf)
    return gradient


@dataclass
class _Lane:
    """One loop of a round: the time it took, and where it ended."""

    steps: Iterator[Any]
    seconds: float = 0.0
    kept_mb: float = 0.0
    last: Any = None

    def take(self, device: torch.device) -> None:
        self.seconds += _seconds(self._next, device)

    def take_weighed(self, device: torch.device, known: set[int]) -> None:
        """Take an iteration and note what it keeps for the backward pass."""
        kept: dict[int, int] = {}

        def weigh(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
            self.take(device)
        self.kept_mb = sum(kept.values()) / 2**20

    def _next(self) -> None:
        self.last = next(self.steps)


def _seconds(work: Callable[[], Any], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def _compare_loops(cases: Sequence[Case], *, quick: bool, rounds: int, device: torch.device) -> Iterator[CaseResult]:
    given = material(cases[0], schedule(cases[0], quick=quick), device)
    paths = [_fast_path(case, given, device) for case in cases]
    _warm_up(given, paths)
    runs = [_side_by_side(given, paths, device) for _ in range(rounds)]
    each, errors = operations(given.network, given.images[:1]), gradient_errors(given, paths)
    for number, (case, path) in enumerate(zip(cases, paths, strict=True), start=1):
        plain, fast = [run[0].seconds for run in runs], [run[number].seconds for run in runs]
        rate = given.image_iterations / median(fast)
        last = runs[-1][0], runs[-1][number]
        gaps = (last[1].last.state.images - last[0].last.images).abs()
        losses = [float(lane.last.total_loss) for lane in last]
        peak = matrix_rate(device, getattr(torch, path.precision))
        yield CaseResult(
            case.name, case.title, path.precision, str(path), str(device), torch.get_num_threads(),
            plain_rate=given.image_iterations / median(plain),
            fast_rate=rate,
            ratio=median(p / f for p, f in zip(plain, fast, strict=True)),
            max_abs_diff=gaps.max().item(),
            changed_percent=100 * (gaps > VISIBLE).float().mean().item(),
            plain_error=errors[0],
            fast_error=errors[number],
            loss_difference_percent=100 * abs(losses[1] - losses[0]) / abs(losses[0]),
            peak_percent=100 * rate * each / peak,
            plain_mb=last[0].kept_mb,
            fast_mb=last[1].kept_mb,
        )  # fmt: skip


def _fast_path(case: Case, given: Material, device: torch.device) -> FastPath:
    wanted = given.config.replace(precision=case.precision, pack=1)
    return choose(wanted, device.type, given.images.shape[-1])


def _warm_up(given: Material, paths: Sequence[FastPath]) -> None:
    next(given.plain())
    for path in paths:
        next(given.fast(path)).losses()


def _side_by_side(given: Material, paths: Sequence[FastPath], device: torch.device) -> list[_Lane]:
    """Take all loops through the schedule, iteration by iteration in turns; the plain one first."""
    lanes = [_Lane(given.plain())]
    lanes += [_Lane(given.fast(path)) for path in paths]
    known = {tensor.untyped_storage().data_ptr() for tensor in given.network.state_dict().values()}
    for iteration in range(given.config.iterations):
        for lane in lanes:
            if iteration + 1 < given.config.iterations:
                lane.take(device)
            else:
                lane.take_weighed(device, known)
    for lane in lanes:
        lane.steps.close()
    return lanes


def _compare_schedules(
    cases: Sequence[Case], *, quick: bool, rounds: int, device: torch.device
) -> Iterator[CaseResult]:
    """Measure the fast loop with and without EarlyLate, each through its whole schedule."""
    for case in cases:
        config = schedule(case, quick=quick)
        pair = [material(case, config.replace(early_late=early_late), device) for early_late in (False, True)]
        path = _fast_path(case, pair[0], device)
        for given in pair:
            _warm_up(given, [path])
        runs = [[_seconds(partial(_all, given, path), device) for given in pair] for _ in range(rounds)]
        off, on = (median(run[side] for run in runs) for side in (0, 1))
        ratio = median(run[0] / run[1] for run in runs)
        number = len(pair[0].images)
        yield CaseResult(
            case.name, case.title, path.precision, str(path), str(device), torch.get_num_threads(),
            plain_rate=number / off, fast_rate=number / on, ratio=ratio, saved_percent=100 * (1 - 1 / ratio),
            scheduled_percent=config.schedule.saved_percent,
        )  # fmt: skip


def _all(given: Material, path: FastPath) -> None:
    for _ in given.fast(path):
        pass
