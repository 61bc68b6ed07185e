"""How fast a recovery would go on this device: the real loop for a few seconds, on noise that is thrown away.

Measured are iterations over a full batch and over the few images of the first round, since a device that is not busy
with few images is slow per image; :mod:`delt_engine.analysis.cost` predicts from both. What is in the images does not
change the time. The device's lock is held, so nothing else of ours runs meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from delt_engine.analysis.cost import Rate, fitted
from delt_engine.config import Experiment
from delt_engine.errors import RunError
from delt_engine.jobs.measured_rates import keep_rate, rate_key
from delt_engine.jobs.worker import DeviceLock, device_lock_name
from delt_engine.models.device import pick_device
from delt_engine.models.teachers import Teacher, load_teacher
from delt_engine.pipeline.inputs import Inputs, load_inputs
from delt_engine.pipeline.real_batches import matching_steps
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, Slot, pack_batches, plan_batches
from delt_engine.recovery.conv_statistics import gathered
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import RecoverStep, recover, start_noise
from delt_engine.recovery.matching import drop_plan
from delt_engine.runs.record import now
from delt_engine.seeding import generator

SECONDS = 2.5
"""Time spent in the loop, both batch sizes together."""

_WARM_UP = 2
_LEAST, _MOST = 3, 400
"""Fewest and most iterations that are timed of a batch."""

Report = Callable[[str, int, int], None]


def measure(experiment: Experiment, report: Report | None = None, seconds: float = SECONDS) -> Rate:
    """Measure, keep and return the rate of a recovery with these settings.

    Args:
        experiment: dataset, teacher, image size, batch and device count; MI and RI do not.
        report: told what is done, how much of it, and of how much.
        seconds: time spent in the loop.

    Raises:
        RunError: a run works on the device, so nothing can be measured.
        DataError, CheckpointError, ConfigError: as a run would.
    """
    inputs = load_inputs(experiment, report, needs_ranker=False, needs_committee=True)
    device = pick_device(experiment.device)
    lock = DeviceLock(device_lock_name(str(device)))
    if not lock.take():
        raise RunError(f"device: {device} is at work on a run, so its speed cannot be measured now.")
    try:
        own = experiment.squeeze.checkpoint
        teacher = load_teacher(str(inputs.teacher_path), dataset=inputs.dataset, device=str(device), **own)
        prepared = _prepared(teacher, inputs, experiment)
        together = experiment.recover.pack or experiment.recover.batches_that_fill(len(inputs.classes))
        plan = pack_batches(plan_batches(inputs.classes, experiment.recover), together)[0]
        sizes = sorted({plan.joined(plan.start_rounds[0]), len(plan.slots)})
        image_size = inputs.dataset.spec.image_size
        points = []
        for done, size in enumerate(sizes):
            if report:
                report("measure", done, len(sizes))
            # The first images of the batch, all of which join at once.
            part = BatchPlan(0, tuple(Slot(slot.class_index, slot.index, 1) for slot in plan.slots[:size]))
            images = start_noise(part, image_size, seed=experiment.seed).to(device)
            steps = _steps(prepared, part, experiment, images, inputs)
            points.append((size, _seconds_per_iteration(steps, seconds / len(sizes))))
    finally:
        lock.release()
    fixed, each = fitted(points)
    key = rate_key(experiment.replace(device=str(device)), len(inputs.classes), teacher.card.fingerprint, image_size)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    rate = Rate(key, fixed, each, name, "measured", now())
    keep_rate(rate)
    return rate


def _prepared(teacher: Teacher, inputs: Inputs, experiment: Experiment) -> PreparedTeacher:
    """Return what recovers, with statistics of noise where convolutions are matched: the time is the same."""
    device, config = next(teacher.network.parameters()).device, experiment.recover
    loaded = [teacher, *(load_teacher(str(path), device=device) for path, _ in inputs.committee)]
    members = []
    for one in loaded:
        size = one.card.image_size
        noise = [torch.randn(2, 3, size, size, device=device)]
        statistics = gathered(one.network, noise, config.patch_side) if config.conv_statistics else ()
        members.append(PreparedTeacher(one.network, one.card.mean, one.card.std, statistics))
    return replace(members[0], others=tuple(members[1:]))


def _steps(
    teacher: PreparedTeacher, plan: BatchPlan, experiment: Experiment, images: torch.Tensor, inputs: Inputs
) -> Iterator[RecoverStep]:
    """Return a loop with every image in it from the start, longer than anything that is timed."""
    length = _WARM_UP + _MOST + 1
    changes = {"iterations": length, "round_iterations": length, "bn_targets": "running"}
    config = experiment.recover.replace(**changes, early_late=False)
    labels = torch.tensor([slot.class_index for slot in plan.slots], device=images.device)
    rows = crop_plan(config, images.shape[-1], generator(experiment.seed, "measure"))
    if config.is_batch_to_batch:
        longer = experiment.replace(recover=config)
        return matching_steps(inputs.dataset.train, teacher, longer, images, labels, plan, rows)
    dropped = drop_plan(config, teacher, generator(experiment.seed, "drop"))
    return recover(images, labels, teacher, plan, config, rows, dropped=dropped)


def _seconds_per_iteration(steps: Iterator[RecoverStep], seconds: float) -> float:
    """Take steps for a while and return the time of one; the device is waited for every few only."""
    for _ in range(_WARM_UP):
        next(steps).losses()
    began, done = time.monotonic(), 0
    for step in steps:
        done += 1
        if done % _LEAST == 0 or done >= _MOST:
            step.losses()
            if time.monotonic() - began >= seconds or done >= _MOST:
                break
    return (time.monotonic() - began) / done
