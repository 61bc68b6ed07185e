"""Measure recovery: the plain loop and the fast ones side by side, on the same images and crops.

Loops take the rounds of their schedule in turns, so whatever else the machine does hits all of them alike. The first
iteration of a round is not timed: the libraries prepare themselves for a number of images once, which is much of a
round here and nothing of one of 500. A rate is image-iterations a second over all rounds, the median of several
measurements; a ratio is the median of their ratios. A GPU is waited for at both ends of a turn and not within it. Where
several batches share the fast loop's step, the plain loop takes the same batches one after the other.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor, nn

from delt_engine.bench.cases import Case, schedule
from delt_engine.bench.limit import convolution_rate
from delt_engine.bench.material import Material, material
from delt_engine.config import RecoverConfig
from delt_engine.models.device import wait_for
from delt_engine.recovery.objective import Objective
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.seeding import generator

VISIBLE = 1e-3
"""Difference of a normalised value from which a pixel counts as another one."""

_PEAK_SIZE = 2048
_GPU_TIMES = 4  # how much larger on a GPU, where a product of that size takes less time than starting it
_CHECKED = 4

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
        limit_rate: image-iterations a second of the teacher's convolutions alone in the fast loop's format, at the full
            batch: what no loop can pass.
        plain_mb: what the plain loop keeps for its backward pass, at the full batch, MiB.
        fast_mb: likewise of the fast one; packed batches together.
        saved_percent: wall time that EarlyLate saves.
        scheduled_percent: image-iterations that it saves.
        plain: number format of the plain loop.
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
    limit_rate: float | None = None
    plain_mb: float | None = None
    fast_mb: float | None = None
    saved_percent: float | None = None
    scheduled_percent: float | None = None
    plain: str | None = None

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
    with _published_convolutions():
        for _, group in groupby(cases, key=lambda case: case.setting):
            together = list(group)
            if report:
                report(together[0].title, done, len(cases))
            measure = _compare_schedules if together[0].compares_schedules else _compare_loops
            yield from measure(together, quick=quick, rounds=rounds, device=device)
            done += len(together)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the measured rate of multiplying two large matrices, floating-point operations a second."""
    size = _PEAK_SIZE * (_GPU_TIMES if device.type == "cuda" else 1)
    left = torch.rand(size, size, generator=generator(0, "bench", "peak")).to(device, dtype)
    times = [_seconds(lambda: left @ left, device) for _ in range(4)]
    return 2 * size**3 / min(times)


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
    """Loops of a round that are timed together: the engine's one, or the plain one of each batch that it packs."""

    given: Material
    loops: list[Iterator[Any]]
    seconds: float = 0.0
    kept_mb: float = 0.0
    last: list[Any] = field(default_factory=list)
    """Where each loop ended."""

    def take(self, count: int, device: torch.device) -> None:
        """Take some iterations of each loop; a GPU is not waited for between them, as in a run."""
        self.seconds += _seconds(partial(self.go, count), device)

    def weigh(self, known: set[int]) -> None:
        """Take an iteration of each loop and note the most that one of them keeps for its backward pass."""
        kept: list[dict[int, int]] = []

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in known:
                kept[-1][storage.data_ptr()] = storage.nbytes()
            return tensor

        for loop in self.loops:
            kept.append({})
            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                next(loop)
        self.kept_mb = max(sum(sizes.values()) for sizes in kept) / 2**20

    def go(self, count: int) -> None:
        """Take some iterations of each loop."""
        for _ in range(count):
            self.last = [next(loop) for loop in self.loops]

    def images(self, places: Sequence[Sequence[int]]) -> Tensor:
        """Return the plain loops' images in the order of the engine's."""
        found = torch.cat([step.images for step in self.last])
        order = torch.tensor([place for each in places for place in each], device=found.device)
        return torch.empty_like(found).index_copy_(0, order, found)

    @property
    def total_loss(self) -> float:
        """The last loss, the mean of the batches."""
        return mean(float(step.total_loss) for step in self.last)


def _seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Return the seconds that some work takes. A GPU works on by itself, so it is waited for before and after."""
    wait_for(device)
    began = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - began


@contextlib.contextmanager
def _published_convolutions() -> Iterator[None]:
    """Let float32 convolutions use TF32 on GPUs: PyTorch's default, which published code leaves as it is."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _compare_loops(cases: Sequence[Case], *, quick: bool, rounds: int, device: torch.device) -> Iterator[CaseResult]:
    given = material(cases[0], schedule(cases[0], quick=quick, device_type=device.type), device)
    paths = [_fast_path(case, given, device) for case in cases]
    runs = [_side_by_side(given, paths, device) for _ in range(rounds)]
    each, errors = operations(given.network, given.images[:1]), gradient_errors(given, paths)
    timed = image_iterations(given)
    for number, (case, path) in enumerate(zip(cases, paths, strict=True), start=1):
        plain, fast = [run[0].seconds for run in runs], [run[number].seconds for run in runs]
        rate = timed / median(fast)
        last = runs[-1][0], runs[-1][number]
        gaps = (last[1].last[0].state.images - last[0].images(given.places)).abs()
        losses = [lane.total_loss for lane in last]
        peak = matrix_rate(device, getattr(torch, path.precision))
        yield CaseResult(
            case.name,
            case.title,
            path.precision,
            str(path),
            str(device),
            torch.get_num_threads(),
            plain_rate=timed / median(plain),
            fast_rate=rate,
            ratio=median(p / f for p, f in zip(plain, fast, strict=True)),
            max_abs_diff=gaps.max().item(),
            changed_percent=100 * (gaps > VISIBLE).float().mean().item(),
            plain_error=errors[0],
            fast_error=errors[number],
            loss_difference_percent=100 * abs(losses[1] - losses[0]) / abs(losses[0]),
            peak_percent=100 * rate * each / peak,
            limit_rate=convolution_rate(given.network, given.images, path.precision),
            plain_mb=last[0].kept_mb,
            fast_mb=last[1].kept_mb,
            plain="float32, TF32 convolutions" if device.type == "cuda" else "float32",
        )


def _fast_path(case: Case, given: Material, device: torch.device) -> FastPath:
    wanted = given.config.replace(precision=case.precision, pack=case.pack)
    return choose(wanted, device.type, given.images.shape[-1])


def _side_by_side(given: Material, paths: Sequence[FastPath], device: torch.device) -> list[_Lane]:
    """Take all loops through the schedule; the plain ones first."""
    return _in_turns([_Lane(given, given.plain()), *(_Lane(given, [given.fast(path)]) for path in paths)], device)


def _in_turns(lanes: list[_Lane], device: torch.device) -> list[_Lane]:
    """Take lanes through their schedules, round by round in turns, and close them."""
    config = lanes[0].given.config
    known = {
        tensor.untyped_storage().data_ptr() for lane in lanes for tensor in lane.given.network.state_dict().values()
    }
    for first in range(0, config.iterations, config.round_iterations):
        is_last = first + config.round_iterations == config.iterations
        for lane in lanes:
            if is_last:
                lane.weigh(known)
            else:
                lane.go(1)
            lane.take(config.round_iterations - 1, device)
    for lane in lanes:
        for loop in lane.loops:
            loop.close()
    return lanes


def image_iterations(given: Material) -> int:
    """Return the image-iterations of a measurement that are timed: those of all but the first iteration of a round."""
    each = given.config.round_iterations
    return sum(given.joined(iteration) for iteration in range(given.config.iterations) if iteration % each)


def _compare_schedules(
    cases: Sequence[Case], *, quick: bool, rounds: int, device: torch.device
) -> Iterator[CaseResult]:
    """Measure the fast loop with and without EarlyLate, round by round in turns."""
    for case in cases:
        config = schedule(case, quick=quick, device_type=device.type)
        pair = [material(case, config.replace(early_late=early_late), device) for early_late in (False, True)]
        path = _fast_path(case, pair[0], device)
        runs = [_in_turns([_Lane(given, [given.fast(path)]) for given in pair], device) for _ in range(rounds)]
        off, on = (median(run[side].seconds for run in runs) for side in (0, 1))
        ratio = median(run[0].seconds / run[1].seconds for run in runs)
        number = len(pair[0].images)
        yield CaseResult(
            case.name,
            case.title,
            path.precision,
            str(path),
            str(device),
            torch.get_num_threads(),
            plain_rate=number / off,
            fast_rate=number / on,
            ratio=ratio,
            saved_percent=100 * (1 - 1 / ratio),
            scheduled_percent=config.schedule.saved_percent,
        )
