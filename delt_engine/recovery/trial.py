"""How many batches should take a step together? A short measurement with the run's own teacher, on its own device.

Small steps leave a GPU idle between them, so several batches share one; where a few fill it, more gain nothing and take
memory. So the number is doubled for as long as the rate rises. What is computed is a run in small: all images joined,
five iterations, thrown away.

Source: ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from delt_engine.config import RecoverConfig
from delt_engine.models.device import free_reserve, is_out_of_memory, wait_for
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, pack_batches, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import recover
from delt_engine.recovery.speed import FastPath
from delt_engine.seeding import generator

PREPARED, TIMED = 2, 3
"""Iterations of each number of batches: the first ones prepare the device, the others are timed."""

GAIN = 1.05
"""How much faster twice as many batches have to be."""


def pack_rates(
    teacher: PreparedTeacher,
    config: RecoverConfig,
    fast: FastPath,
    *,
    image_size: int,
    device: torch.device,
    most: int,
    num_classes: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[int, float]:
    """Measure image-iterations a second with 1, 2, 4, ... batches a step, for as long as the rate rises.

    Args:
        config: batches are as large as in these settings.
        fast: how it is computed, whatever its ``pack`` is.
        most: batches at most.
        num_classes: of the run.
        clock: tells the seconds.

    Returns:
        Number of batches to rate, in the order measured; the last one may be slower than the one before. Numbers for
        which the memory does not suffice are left out, so it may be empty.
    """
    changes = {"iterations": PREPARED + TIMED, "round_iterations": PREPARED + TIMED, "bn_targets": "running"}
    trial = config.replace(**changes, early_late=False)

    def plan_of(number: int) -> BatchPlan:
        if config.batching == "one-per-class":
            plans = plan_batches(min(num_classes, config.batch_size), trial.replace(ipc=number))
        else:
            each = max(1, config.batch_size // config.ipc) if config.batching == "classes" else config.batch_size
            plans = plan_batches(each * number, trial)
        return pack_batches(plans, number)[0]

    def rate_of(number: int) -> float:
        plan = plan_of(number)
        count = len(plan.slots)
        images = torch.randn(count, 3, image_size, image_size, generator=generator(0, "trial")).to(device)
        labels = torch.zeros(count, dtype=torch.long, device=device)
        rows = torch.stack([crop_plan(trial, image_size, generator(0, "trial", key)) for key in plan.members])
        loop = recover(images, labels, teacher, plan, trial, rows, fast=replace(fast, pack=number))
        for _ in range(PREPARED):
            next(loop)
        wait_for(device)
        began = clock()
        for _ in range(TIMED):
            next(loop)
        wait_for(device)
        seconds = clock() - began
        loop.close()
        return TIMED * count / seconds

    rates: dict[int, float] = {}
    number = 1
    while number <= most:
        try:
            rate = rate_of(number)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            free_reserve(device)
            break
        best = max(rates.values(), default=0.0)
        rates[number] = rate
        if rate < GAIN * best:
            break
        number *= 2
    return rates


def best_pack(rates: dict[int, float]) -> int:
    """Return the smallest number of batches that no other one beats by more than :data:`GAIN`; 1 without rates.

    >>> best_pack({1: 100.0, 2: 180.0, 4: 187.0}), best_pack({})
    (2, 1)
    """
    highest = max(rates.values(), default=0.0)
    return next((number for number, rate in rates.items() if rate * GAIN >= highest), 1)
