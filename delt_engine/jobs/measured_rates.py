"""How fast this machine is, as far as it is known: saved short measurements, and finished runs.

A measurement is one small JSON file in ``<home>/rates/``, named by what it is for, so a new one replaces the old.
Finished runs count as measurements of what they ran.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from delt_engine.analysis.cost import Rate, RateKey, largest_batch, rate_teacher
from delt_engine.config import Experiment
from delt_engine.files import KeyedStore
from delt_engine.jobs.worker import device_lock_name
from delt_engine.paths import runs_dir
from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run

_RATES = KeyedStore("rates")


def rate_key(experiment: Experiment, num_classes: int, teacher: str, image_size: int) -> RateKey:
    """Return what the speed of a run depends on; the device is guessed where the experiment says ``auto``.

    ``teacher`` is the fingerprint of its teacher, ``image_size`` in pixels.
    """
    device = device_lock_name(experiment.device).partition("-")[0]
    config = experiment.recover
    return RateKey(device, rate_teacher(config, teacher), image_size, largest_batch(config, num_classes))


def keep_rate(rate: Rate) -> Path:
    """Save a measurement and return its file.

    Raises:
        RunError: the disk refuses.
    """
    return _RATES.write((rate.key, rate.device_name), asdict(rate))


def kept_rates() -> list[Rate]:
    """Return the saved measurements, newest first; what cannot be read is left out."""
    found = []
    for values in _RATES.records():
        with contextlib.suppress(TypeError, KeyError):
            found.append(Rate(**{**values, "key": RateKey(**values["key"])}))
    return sorted(found, key=lambda rate: rate.name, reverse=True)


def rate_of(run: Run) -> Rate | None:
    """Return the mean rate of a finished recovery, None of anything else."""
    if run.status != "finished":
        return None
    record = run.record()
    rate = record.image_iterations_per_second
    if record.kind != "recover" or not rate or record.dataset is None or record.teacher is None:
        return None
    config = record.experiment.recover
    batch = largest_batch(config, max(1, len(record.classes)))
    device = (record.device or "cpu").partition(":")[0]
    key = RateKey(device, rate_teacher(config, record.teacher.fingerprint), record.dataset.image_size, batch)
    is_here = run.path.parent == runs_dir()
    memory = record.memory.get("measured_mb")
    if memory is None:  # of a version that did not keep it
        step = run.latest_event(StepEvent)
        memory = step.memory_mb if step else None
    return Rate(key, 0.0, 1.0 / rate, record.device_name or device, "run", run.id, is_here=is_here, memory_mb=memory)


def known_rates(runs: Iterable[Run]) -> list[Rate]:
    """Return all that is known, the newest measurements first, then the runs in their order."""
    return [*kept_rates(), *(rate for rate in map(rate_of, runs) if rate)]
