"""Two runs side by side: the settings in which they differ, and what was measured in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from delt_engine.runs.events import StepEvent
from delt_engine.runs.naming import relevant_settings
from delt_engine.runs.store import Run


@dataclass(frozen=True)
class Difference:
    """A setting with two values.

    Args:
        name: as in an experiment file, "recover.iterations".
        title: what a reader calls it.
        values: of the first and of the second run.
    """

    name: str
    title: str
    values: tuple[Any, Any]


def differences(first: Run, second: Run) -> list[Difference]:
    """Return the settings in which two runs differ, in the order of the records.

    Raises:
        RunError: one of them cannot be read.
    """
    flat = [_flat(relevant_settings(run.experiment, run.record().kind)) for run in (first, second)]
    found = [
        Difference(name, title, (value, flat[1][name][1]))
        for name, (title, value) in flat[0].items()
        if value != flat[1][name][1]
    ]
    teachers = [run.record().teacher for run in (first, second)]
    if (
        all(teachers)
        and teachers[0].fingerprint != teachers[1].fingerprint
        and "teacher" not in {d.name for d in found}
    ):
        found.append(Difference("teacher", "Teacher", (teachers[0].name, teachers[1].name)))
    return found


def _flat(record: BaseModel, prefix: str = "") -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for name, field in type(record).model_fields.items():
        value = getattr(record, name)
        if isinstance(value, BaseModel):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = (field.title or name.replace("_", " "), value)
    return found


@dataclass(frozen=True)
class Measured:
    """What was measured in a run; None where it was not."""

    seconds: float | None
    image_iterations: int | None
    image_iterations_per_second: float | None
    first_picture_seconds: float | None
    memory_mb: float | None
    ce_loss: float | None
    bn_loss: float | None
    teacher_accuracy: float | None
    device: str
    threads: int | None


def measured(run: Run) -> Measured:
    """Return what was measured in a run.

    Raises:
        RunError: it cannot be read.
    """
    record, step = run.record(), run.latest_event(StepEvent)
    return Measured(
        seconds=record.seconds or None,
        image_iterations=record.image_iterations or None,
        image_iterations_per_second=record.image_iterations_per_second,
        first_picture_seconds=record.first_snapshot_seconds,
        memory_mb=step.memory_mb if step else None,
        ce_loss=step.ce_loss if step else None,
        bn_loss=step.bn_loss if step else None,
        teacher_accuracy=record.teacher.measured_accuracy if record.teacher else None,
        device=record.device_name or record.device or "",
        threads=record.threads,
    )
