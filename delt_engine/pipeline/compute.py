"""How a recovery is computed (speed and memory, chosen by the first rank at the start of the run) and what is done.

Out of memory, the loop goes on from its last iteration with :mod:`delt_engine.recovery.objective`, which changes no
result; a resumed run stays with it. Seconds are those in the loop, without waiting and loading; image-iterations are
those of all ranks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from delt_engine.errors import RunError
from delt_engine.files import KeyedStore
from delt_engine.models.device import forget_peak, free_reserve, is_out_of_memory, memory_in_use, peak_memory
from delt_engine.pipeline.context import RankCounts, StageContext
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, RecoverStep
from delt_engine.recovery.memory import predict
from delt_engine.recovery.speed import MOST_PACKED, FastPath, choose
from delt_engine.recovery.trial import best_pack, pack_rates
from delt_engine.runs.checkpoint import positions

MEASURED = ("cuda",)
"""Kinds of devices on which the number of batches a step is measured, where the settings leave it open."""

_PACKS, _MB = KeyedStore("packs"), 2**20
_SLACK = 16 * _MB  # between two looks at a process


def fast_path(
    context: StageContext, teacher: PreparedTeacher, fingerprint: str, most_packed: int | None = None
) -> FastPath:
    """Return how a run is computed: as its record says, or, at its start, as the settings mean on this device.

    On CUDA devices the number of batches a step is measured, see :mod:`delt_engine.recovery.trial`, and stored for the
    next run of the kind. Elsewhere it follows from the settings. So the same machine makes the same images again.
    ``most_packed`` is the most that is chosen where the settings leave it open; else every rank is to have work.
    """
    context.first(lambda: None if context.run.record().speed else _choose(context, teacher, fingerprint, most_packed))
    return FastPath.from_record(context.run.record().speed)


def _choose(context: StageContext, teacher: PreparedTeacher, fingerprint: str, most_packed: int | None) -> None:
    config, kind = context.experiment.recover, torch.device(context.device).type
    classes = len(context.inputs.classes)
    fast, rates = choose(config, kind, context.inputs.dataset.spec.image_size, classes), {}
    if not config.pack and not config.is_plain:
        # Every rank is to have work.
        most = most_packed or max(1, len(plan_batches(context.inputs.classes, config)) // context.rank.size)
        if kind in MEASURED:
            most = min(most, MOST_PACKED * config.batches_that_fill(classes))
            rates = _measured(context, teacher, fingerprint, fast, most)
        fast = replace(fast, pack=best_pack(rates) if kind in MEASURED else min(fast.pack, most))
    folding = teacher.folding(fast.precision) if fast.fold else None
    layers = {"folded": folding.folded, "layers": folding.layers} if folding else {"folded": 0}
    context.update(speed={**fast.to_record(), **layers})
    if (fast.precision, fast.pack, fast.compile) != ("float32", 1, False):
        measured = ", ".join(f"{number}: {rate:,.0f}" for number, rate in rates.items())
        more = f" Image-iterations/s measured with so many batches a step: {measured}." if len(rates) > 1 else ""
        context.note(f"Computed in {fast}.{more}")


def _measured(
    context: StageContext, teacher: PreparedTeacher, fingerprint: str, fast: FastPath, most: int
) -> dict[int, float]:
    """Return the rates of numbers of batches a step, up to ``most``; none where there is nothing to choose."""
    config, image_size = context.experiment.recover, context.inputs.dataset.spec.image_size
    if most <= 1:
        return {}
    classes = len(context.inputs.classes)
    machine, shape = (torch.__version__, context.run.record().device_name), (config.batch_size, config.ipc)
    few = (classes,) if config.batching == "one-per-class" else ()
    subject = (*machine, fingerprint, image_size, most, *shape, config.batching, *few, fast)
    with contextlib.suppress(TypeError, ValueError, AttributeError):
        return {int(number): float(rate) for number, rate in _PACKS.read(subject).items()}
    device = torch.device(context.device)
    with context.stop.loading():
        rates = pack_rates(teacher, config, fast, image_size=image_size, num_classes=classes, device=device, most=most)
    forget_peak(device)
    with contextlib.suppress(RunError):  # a disk that refuses costs the next run a measurement
        _PACKS.write(subject, rates)
    return rates


def predicted_mb(context: StageContext, teacher: PreparedTeacher, fast: FastPath, plans: Sequence[BatchPlan]) -> float:
    """Return the peak that is expected, in MB: of the CUDA device, else of this process."""
    config, device = context.experiment.recover, torch.device(context.device)
    images = max(len(plan.slots) for plan in plans)
    step = predict(teacher, config, fast, context.inputs.dataset.spec.image_size, images, device)
    if fast.low_memory and len(plans[0].members) > 1:
        step = replace(step, step=step.step // len(plans[0].members))
    return round((memory_in_use(device) + step.total) / _MB, 1)


class MemoryRecord:
    """What a run's record says of memory: the peak as predicted and measured, and by how much the loop grew to it.

    Made when the loop is about to begin; ``loop_mb`` is not there where a peak cannot be measured from then on.
    """

    def __init__(self, predicted: float, device: str) -> None:
        self._device, self._predicted = torch.device(device), predicted
        self._peak = peak_memory(self._device)
        forget_peak(self._device)
        self._before = memory_in_use(self._device)
        self._is_forgotten = peak_memory(self._device) <= self._before + _SLACK

    def now(self) -> dict[str, Any]:
        """Return the record so far."""
        peak = peak_memory(self._device)
        of, measured = "device" if self._device.type == "cuda" else "process", max(peak, self._peak)
        found = {"of": of, "predicted_mb": self._predicted, "measured_mb": round(measured / _MB, 1)}
        return found | ({"loop_mb": round(max(0, peak - self._before) / _MB, 1)} if self._is_forgotten else {})


def within_memory(
    context: StageContext,
    start: Callable[[BatchState | None, FastPath], Iterator[RecoverStep]],
    state: BatchState | None,
    fast: FastPath,
) -> Iterator[RecoverStep]:
    """Yield the steps of a batch; out of memory, go on from the last one in less, and stay with that.

    Args:
        context: of the stage.
        start: begins the loop at a state, computed in a way.
        state: where to begin.
        fast: how it is computed until memory runs out.

    Raises:
        RunError: out of memory all the same.
    """
    run = context.run
    steps, versions = start(state, fast), _versions(state)
    while True:
        try:
            for step in steps:
                state, versions = step.state, _versions(step.state)
                yield step
            return
        except (RuntimeError, MemoryError) as error:
            # A step that failed while it moved the images cannot be taken again.
            if not is_out_of_memory(error) or _versions(state) != versions:
                raise
        if fast.low_memory:
            raise RunError(
                f"run {run.id}: {context.device} is out of memory also where little is used; take a smaller "
                f"--batch-size, which changes the images, or a smaller network."
            )
        fast = replace(fast, low_memory=True)
        context.update(speed={**run.record().speed, **fast.to_record()})
        context.note("Out of memory: going on with less of it, more slowly; this changes no image.")
        free_reserve(torch.device(context.device))
        steps = start(state, fast)


def _versions(state: BatchState | None) -> tuple[int, ...]:
    """Return how often each tensor of a state was changed in place."""
    return () if state is None else tuple(t._version for t in (state.images, state.exp_avg, state.exp_avg_sq))


class Tally:
    """Counts the work on a run; every rank counts its own, and knows what the others have left.

    Args:
        context: of the stage.
        plans: all batches.
        is_done: whether a batch has all its images; asked in the first rank.

    Attributes:
        plans: all batches.
        pending: the batches that are to be worked on, in every rank the same.
        total: image-iterations of all batches.
    """

    def __init__(self, context: StageContext, plans: Sequence[BatchPlan], is_done: Callable[[BatchPlan], bool]) -> None:
        self._context, self._config = context, context.experiment.recover
        self._counts = RankCounts(context.run.path, context.rank, "recover")
        self.plans, self._by_number = plans, {plan.batch_index: plan for plan in plans}
        self.total = sum(self._worth(number, self._config.iterations) for number in self._by_number)
        begun, left = context.first(
            lambda: (positions(context.run), [plan.batch_index for plan in plans if not is_done(plan)])
        )
        self.pending = [self._by_number[number] for number in left]
        ahead = {number: begun[number].iteration if number in begun else 0 for number in left}
        whole = dict.fromkeys(self._by_number, self._config.iterations)
        self._done = {number: self._worth(number, completed) for number, completed in {**whole, **ahead}.items()}
        self._before = sum(self._done.values())
        seconds = [position.seconds for position in begun.values()]
        self._base, self._began = max([context.run.record().seconds, *seconds]), time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of work so far."""
        return self._base + time.monotonic() - self._began

    @property
    def done(self) -> int:
        """Image-iterations that all batches have behind them."""
        for number, completed in self._context.of_others().items():
            self._done[number] = self._worth(number, self._config.iterations if completed is None else completed)
        return self._before + self._counts.total(sum(self._done.values()) - self._before)

    def count(self, batch: int, completed: int) -> None:
        """Count the completed iterations of a batch of this rank."""
        self._done[batch] = self._worth(batch, completed)
        self._context.at_work(batch, completed)

    def save(self) -> None:
        """Write what was counted into the run's record."""
        done, seconds = self.done, self.seconds
        rate = round(done / seconds, 3) if seconds > 0 else None
        self._context.update(seconds=round(seconds, 3), image_iterations=done, image_iterations_per_second=rate)

    def _worth(self, batch: int, completed: int) -> int:
        return image_iterations(self._by_number[batch], completed, self._config.round_iterations)


def image_iterations(plan: BatchPlan, iterations: int, round_iterations: int) -> int:
    """Return how many image-iterations a batch has behind it after its first ``iterations``."""
    full, part = divmod(iterations, round_iterations)
    done = sum(plan.joined(number) for number in range(1, full + 1)) * round_iterations
    return done + (part * plan.joined(full + 1) if part else 0)
