"""What a run does about memory: it predicts the peak, tells it beside what was measured, and spares memory once.

Out of memory, the loop goes on from its last iteration with :mod:`delt_engine.recovery.objective`, which changes no
result; a resumed run stays with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import psutil
import torch

from delt_engine.config import RecoverConfig
from delt_engine.errors import RunError
from delt_engine.models.device import free_reserve, is_out_of_memory, peak_memory
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, RecoverStep
from delt_engine.recovery.memory import predict
from delt_engine.recovery.speed import FastPath
from delt_engine.runs.store import Run

_MB = 2**20


def predicted_mb(
    teacher: PreparedTeacher,
    config: RecoverConfig,
    fast: FastPath,
    image_size: int,
    plans: Sequence[BatchPlan],
    device: torch.device,
) -> float:
    """Return the peak that is expected, in MB: of the CUDA device, else of this process."""
    images = max(len(plan.slots) for plan in plans)
    step = predict(teacher, config, fast, image_size, images, device)
    if fast.low_memory and len(plans[0].members) > 1:
        step = replace(step, step=step.step // len(plans[0].members))
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
    return round((before + step.total) / _MB, 1)


def memory_record(predicted: float, device: torch.device) -> dict[str, Any]:
    """Return what a run's record says of memory, with what was measured so far."""
    of = "device" if device.type == "cuda" else "process"
    return {"of": of, "predicted_mb": predicted, "measured_mb": round(peak_memory(device) / _MB, 1)}


def spared(
    run: Run,
    start: Callable[[BatchState | None, FastPath], Iterator[RecoverStep]],
    state: BatchState | None,
    fast: FastPath,
    device: torch.device,
) -> Iterator[RecoverStep]:
    """Yield the steps of a batch; out of memory, go on from the last one in less.

    Args:
        run: told, and kept in its record.
        start: begins the loop at a state, computed in a way.
        state: where to begin.
        fast: how it is computed until memory runs out.
        device: where.

    Raises:
        RunError: out of memory all the same.
    """
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
                f"run {run.id}: {device} is out of memory also where memory is spared; take a smaller --batch-size, "
                f"which changes the images, or a smaller network."
            )
        fast = replace(fast, low_memory=True)
        run.update(speed={**run.record().speed, **fast.to_record()})
        for _ in run.note("Out of memory: going on with less of it, more slowly; this changes no image."):
            pass
        free_reserve(device)
        steps = start(state, fast)


def _versions(state: BatchState | None) -> tuple[int, ...]:
    """Return how often each tensor of a state was changed in place."""
    return () if state is None else tuple(t._version for t in (state.images, state.exp_avg, state.exp_avg_sq))
