"""What a run says about itself: the record kept in run.json.

Everything that repeats a run or explains its images stands in one :class:`RunRecord`; it is validated when it is
read, so a damaged or foreign file is named as such and never half understood.

Source: DESIGN section 4, "A run is a folder".
"""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib import metadata
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from delt_engine import __version__
from delt_engine.config import Experiment
from delt_engine.errors import RunError

SCHEMA_VERSION = 1
STATUSES = ("queued", "running", "paused", "finished", "cancelled", "failed")
"""Statuses that are written; ``interrupted`` is derived for a run whose process is gone."""

NO_ROUNDS = "IPC 1 has no rounds: one image a class joins in round 1 and gets all iterations."

KINDS = ("recover", "squeeze", "rank", "evaluate")

Status = Literal["queued", "running", "paused", "finished", "cancelled", "failed"]
Kind = Literal["recover", "squeeze", "rank", "evaluate"]


class _Record(BaseModel):
    """Base of the records: frozen, and names that a later version added are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ProcessRecord(_Record):
    """A process that can be told from a later one with the same number."""

    pid: int
    created: float
    hostname: str


class DatasetRecord(_Record):
    """Which data a run used, with the names and statistics that its images are read with."""

    name: str
    title: str
    fingerprint: str
    image_size: int
    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class TeacherRecord(_Record):
    """Which teacher a run used; ``ref`` is its name or its file, accuracies are in percent."""

    name: str
    network: str
    fingerprint: str
    ref: str = "auto"
    accuracy: float | None = None
    measured_accuracy: float | None = None
    measured_sample: int | None = None


class RunOptions(_Record):
    """How a run is worked on; nothing here changes an image.

    ``ranks`` changes last digits of a network, on a CPU more: there BatchNorm sees each rank's part of a batch.
    ``live_seconds``: shortest time between two live strips, 0 turns them off. ``checkpoint_seconds``: longest time
    without a checkpoint. ``snapshot_classes``: how many classes get snapshots and live strips, the first ones; all
    when None. ``teacher_check``: refuse a teacher that is near chance. ``keep_teacher``: put a squeezed teacher where
    ``auto`` finds it. ``ranks``: processes that share the work on this machine; 0 for one a card.
    """

    live_seconds: float = Field(1.0, ge=0)
    checkpoint_seconds: float = Field(30.0, gt=0)
    snapshot_classes: int | None = Field(None, ge=0)
    teacher_check: bool = True
    keep_teacher: bool = True
    ranks: int = Field(0, ge=0, le=1024)


class RunRecord(_Record):
    """Everything in run.json. Times are ISO 8601 in UTC, ``seconds`` counts work and not waiting.

    ``source`` is what an evaluation trains on: the id or the folder of a run, a folder of images, or ``real``.
    ``machine`` is what it was computed on: processor, instruction set, torch and threads. ``speed`` is how a recovery
    is computed (precision, folding, packing), settled at its start. ``memory`` is its peak, predicted and measured,
    in MB.
    """

    schema_version: int = SCHEMA_VERSION
    id: str
    kind: Kind = "recover"
    status: Status = "queued"
    source: str = ""
    experiment: Experiment
    options: RunOptions = RunOptions()
    command: tuple[str, ...] = ()
    seed: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    created: str
    started: str | None = None
    finished: str | None = None
    dataset: DatasetRecord | None = None
    teacher: TeacherRecord | None = None
    classes: tuple[int, ...] = ()
    device: str | None = None
    device_name: str | None = None
    threads: int | None = None
    process: ProcessRecord | None = None
    seconds: float = 0.0
    image_iterations: int = 0
    image_iterations_per_second: float | None = None
    first_snapshot_seconds: float | None = None
    machine: dict[str, Any] = Field(default_factory=dict)
    speed: dict[str, Any] = Field(default_factory=dict)
    memory: dict[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    result: dict[str, Any] = Field(default_factory=dict)

    def to_json(self) -> str:
        """Return the record as the text of run.json."""
        return self.model_dump_json(indent=2) + "\n"

    def changed(self, **changes: Any) -> RunRecord:
        """Return a validated copy with ``changes``.

        Raises:
            RunError: a change that is not allowed, for instance an unknown status.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        unknown = set(changes) - set(values)
        if unknown:
            raise RunError(f"run.json: there is no entry named {sorted(unknown)[0]!r}.")
        try:
            return type(self)(**{**values, **changes})
        except ValidationError as error:
            raise RunError(f"run.json: {_first_complaint(error)}.") from None


def _first_complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}"


def read_record(text: str | bytes, run_id: str) -> RunRecord:
    """Read the text of a run.json.

    Args:
        text: what the file holds.
        run_id: name of the run for the message.

    Raises:
        RunError: not JSON, a newer schema, or a missing or wrong entry.
    """
    try:
        record = RunRecord.model_validate_json(text)
    except ValidationError as error:
        raise RunError(f"run {run_id}: run.json cannot be read ({_first_complaint(error)}).") from None
    if record.schema_version > SCHEMA_VERSION:
        raise RunError(
            f"run {run_id}: run.json has schema version {record.schema_version}, "
            f"but this version of DELT Studio reads up to {SCHEMA_VERSION}."
        )
    return record


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def versions() -> dict[str, str]:
    """Return the versions that decide a result, without importing torch.

    >>> sorted(versions())
    ['delt', 'python', 'torch', 'torchvision']
    """
    found = {"delt": __version__, "python": platform.python_version()}
    for package in ("torch", "torchvision"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
