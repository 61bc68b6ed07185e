"""Which run another one was made from, in what two runs differ, and what was measured in each.

The link is a small file beside the new run, ``parent.json``, written once when it is started; the run it came from is
not touched, and neither is run.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from delt_engine import files
from delt_engine.config.settings import Settings
from delt_engine.errors import RunError
from delt_engine.runs.events import StepEvent
from delt_engine.runs.record import relevant_settings
from delt_engine.runs.store import Run

_FILE = "parent.json"


@dataclass(frozen=True)
class Change:
    """A setting, as "recover.iterations", with its values before and after, or of the first and the second run."""

    name: str
    title: str
    values: tuple[Any, Any]

    @property
    def words(self) -> tuple[str, str]:
        """Both values as people write them."""
        return in_words(self.values[0]), in_words(self.values[1])


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


def save_parent(run: Run, parent_id: str) -> None:
    """Write down which run this one repeats with changes.

    Raises:
        RunError: the file cannot be written.
    """
    files.write_bytes(run.path / _FILE, (json.dumps({"parent": parent_id}) + "\n").encode())


def parent_of(run: Run) -> Run | None:
    """Return the run this one was made from, None when there is none or it is gone."""
    try:
        return Run.open(str(files.read_json(run.path / _FILE)["parent"]))
    except (TypeError, KeyError, RunError):
        return None


def changes(before: Settings, after: Settings, prefix: str = "") -> tuple[Change, ...]:
    """Return the settings that differ between two records of one kind, in their order; stages are gone through."""
    found: list[Change] = []
    for name, info in type(after).model_fields.items():
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(new, Settings):
            found += changes(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append(Change(prefix + name, info.title or name.replace("_", " ").capitalize(), (old, new)))
    return tuple(found)


def run_changes(first: Run, second: Run) -> tuple[Change, ...]:
    """Return in what two runs differ: the settings that their kind uses, and the weights of teacher and ranker.

    Raises:
        RunError: one of them cannot be read.
    """
    one, other = first.record(), second.record()
    found = changes(relevant_settings(one.experiment, one.kind), relevant_settings(other.experiment, other.kind))
    for role, before, after in (("teacher", one.teacher, other.teacher), ("ranker", one.ranker, other.ranker)):
        is_told = role in {change.name for change in found}
        if before and after and not is_told and before.fingerprint != after.fingerprint:
            found = (*found, Change(role, role.capitalize(), (before.name, after.name)))
    return found


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


def in_words(value: Any) -> str:
    """Return a setting's value as people write it.

    >>> in_words(True), in_words(None), in_words(0.25), in_words(4000), in_words(("cat", "coffee"))
    ('on', '–', '0.25', '4,000', 'cat, coffee')
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "–"
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
