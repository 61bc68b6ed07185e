"""What the recover stage works with, and how a run is computed: settled once, at its start."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from delt_engine.config import Experiment, RecoverConfig
from delt_engine.errors import RunError
from delt_engine.files import KeyedStore
from delt_engine.jobs.ranks import this_rank
from delt_engine.jobs.worker import Wishes
from delt_engine.models.device import forget_peak
from delt_engine.models.teachers import Teacher
from delt_engine.patches.selection import SelectedImage
from delt_engine.pipeline.inputs import Inputs
from delt_engine.recovery.batches import plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.speed import MOST_PACKED, FastPath, choose
from delt_engine.recovery.trial import best_pack, pack_rates
from delt_engine.runs.store import Run

_PACKS = KeyedStore("packs")
MEASURED = ("cuda",)
"""Kinds of devices on which the number of batches a step is measured, where the settings leave it open."""


@dataclass(frozen=True, eq=False)
class RecoverJob:
    """What the recover stage works with."""

    run: Run
    inputs: Inputs
    teacher: Teacher
    selection: tuple[SelectedImage, ...]
    device: torch.device
    wishes: Wishes

    @cached_property
    def prepared(self) -> PreparedTeacher:
        """The teacher as the loop uses it."""
        return PreparedTeacher.of(self.teacher)

    @property
    def experiment(self) -> Experiment:
        """All settings."""
        return self.run.experiment


def settled(job: RecoverJob) -> Generator[dict[str, Any], None, FastPath]:
    """Return how a run is computed: as its record says, or, at its start, as the settings mean on this device.

    On CUDA devices the number of batches a step is measured, see :mod:`delt_engine.recovery.trial`, and kept for the
    next run of the kind. Elsewhere it follows from the settings. So the same machine makes the same images again.
    """
    kept = job.run.record().speed
    if kept:
        return FastPath.from_record(kept)
    config = job.experiment.recover
    fast, rates = choose(config, job.device.type, job.inputs.dataset.spec.image_size), {}
    if not config.pack and job.device.type in MEASURED:
        rates = _measured(job, fast)
        fast = replace(fast, pack=best_pack(rates))
    folding = job.prepared.folding(fast.precision) if fast.fold else None
    layers = {"folded": folding.folded, "layers": folding.layers} if folding else {"folded": 0}
    job.run.update(speed={**fast.to_record(), **layers})
    if (fast.precision, fast.pack, fast.compile) != ("float32", 1, False):
        measured = ", ".join(f"{number}: {rate:,.0f}" for number, rate in rates.items())
        told = f" Image-iterations/s measured with so many batches a step: {measured}." if len(rates) > 1 else ""
        yield from job.run.note(f"Computed in {fast}.{told}")
    return fast


def _measured(job: RecoverJob, fast: FastPath) -> dict[int, float]:
    """Return the rates of numbers of batches a step, none where there is nothing to choose."""
    config = job.experiment.recover
    most, image_size = _most_batches(config, job.inputs.classes), job.inputs.dataset.spec.image_size
    if most <= 1:
        return {}
    subject = (
        torch.__version__,
        job.run.record().device_name,
        job.teacher.card.fingerprint,
        image_size,
        most,
        config.batch_size,
        config.ipc,
        config.batching,
        fast,
    )
    with contextlib.suppress(TypeError, ValueError, AttributeError):
        return {int(number): float(rate) for number, rate in _PACKS.read(subject).items()}
    with job.wishes.at_once():
        rates = pack_rates(job.prepared, config, fast, image_size=image_size, device=job.device, most=most)
    forget_peak(job.device)
    with contextlib.suppress(RunError):  # a disk that refuses costs the next run a measurement
        _PACKS.write(subject, rates)
    return rates


def _most_batches(config: RecoverConfig, classes: Sequence[int]) -> int:
    """Return how many batches may share a step, so that every rank has work."""
    return min(MOST_PACKED, len(plan_batches(classes, config)) // this_rank().size)
