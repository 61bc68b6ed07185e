"""What happened in a run: frozen records, one a kind, written as JSON lines and read back at any time.

One line is one event: its ``kind``, its fields and ``time`` (ISO 8601, UTC). A writer may be killed in the middle of a
line; the next writer begins a new one. Readers pass over every line that is not one of these records, whether it is
torn, damaged, of a later version or of another program.

Of several ranks at one run the events of all but the first have ``rank``; ``t`` and ``image_iterations`` are those of
the whole run, and steps of different batches may follow each other. A run that goes on after it was killed repeats
the steps since its last checkpoint; the later ones count.
"""

from __future__ import annotations

import json
import os
import threading
from array import array
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, BinaryIO, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from delt_engine.files import as_run_error, check_file
from delt_engine.runs.record import now

_E = TypeVar("_E", bound="Event")

Count = Annotated[int, Field(ge=0, le=2**53)]
Total = Annotated[int, Field(ge=1, le=2**53)]
Seconds = Annotated[float, Field(ge=0)]


class Event(BaseModel):
    """Something that happened; numbers are finite, counts are not negative.

    ``rank`` is which of several ranks it happened in, ``time`` is added when it is written.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    kind: ClassVar[str] = ""

    rank: Count = 0
    time: str = ""

    def __str__(self) -> str:
        """Return it as the log tells it."""
        said = {name: value for name, value in self.model_dump(exclude_unset=True).items() if name != "time"}
        return f"{self.kind}: " + (
            str(*said.values()) if len(said) == 1 else " ".join(f"{k}={v}" for k, v in said.items())
        )


class StatusEvent(Event):
    """The run has another status."""

    kind = "status"
    status: str


class NoteEvent(Event):
    """A sentence worth knowing."""

    kind = "note"
    text: str


class StageEvent(Event):
    """How far a stage is: rank, scores, select, images, relabel, or what is read.

    ``cached`` of a ranking or scores that were made before; ``timing`` of a ranking that was made now, where its time
    went.
    """

    kind = "stage"
    stage: str
    done: Count = 0
    total: Count = 0
    cached: bool = False
    timing: dict[str, Any] | None = None


class MemoryEvent(Event):
    """The peak of memory that a recovery is expected to have, in MB."""

    kind = "memory"
    predicted_mb: Seconds


class TimedEvent(Event):
    """An event at ``t`` seconds of work since the run began, without waiting and loading."""

    t: Seconds


class _OfBatch(TimedEvent):
    """An event of a recovery: ``batch`` from 0, ``round`` from 1."""

    batch: Count = 0
    batches: Total = 1
    round: Count
    rounds: Total


class StepEvent(_OfBatch):
    """After an iteration (index ``iteration``) of a recovery; thinned out in time.

    DM and DC have no cross-entropy and no BatchNorm loss; their ``total_loss`` is the distance to real images.
    ``start_rounds`` are those in which images joined, with the mean cross-entropy of the images of each;
    ``memory_mb`` is the most memory of the process (of the device, on a GPU) so far.
    """

    kind = "step"
    iteration: Count
    iterations: Total
    joined: Count
    ce_loss: float | None = None
    bn_loss: float | None = None
    total_loss: float
    start_rounds: tuple[Count, ...] = ()
    start_ce_losses: tuple[float, ...] = ()
    learning_rate: float
    crop_min: float
    image_iterations: Count
    image_iterations_total: Total
    memory_mb: Seconds | None = None


class RoundEvent(_OfBatch):
    """A snapshot of ``classes`` is written after ``iteration`` iterations; ``partial`` if before the round's end."""

    kind = "round"
    iteration: Count
    partial: bool = False
    classes: tuple[Count, ...] = ()


class _OfTraining(TimedEvent):
    """An event of a training: ``epoch`` from 1, ``loss`` the mean over the epoch so far."""

    epoch: Count
    epochs: Total
    loss: float


class _OfStudent(_OfTraining):
    student: Count
    students: Total
    learning_rate: float


class _Step(_OfTraining):
    """After ``step`` of the ``steps`` of an epoch, from 1; thinned out in time."""

    kind = "step"
    step: Count
    steps: Total

    @property
    def steps_done(self) -> int:
        """Steps of the whole training so far."""
        return (self.epoch - 1) * self.steps + self.step


class SqueezeStepEvent(_Step):
    """After a step of a teacher's training; the accuracy in percent is over the epoch so far."""

    train_accuracy: float
    learning_rate: float = 0.0


class SqueezeEpochEvent(_OfTraining):
    """After an epoch of a teacher's training; accuracies in percent."""

    kind = "epoch"
    train_accuracy: float
    test_accuracy: float | None = None
    seconds: Seconds = 0.0


class StudentStepEvent(_Step, _OfStudent):
    """After a step of a student's training (``student`` from 0)."""


class StudentEpochEvent(_OfStudent):
    """After an epoch of a student; accuracies in percent, none where the epoch was not tested."""

    kind = "epoch"
    top1: float | None = None
    top5: float | None = None
    top1_ema: float | None = None


class StudentEvent(Event):
    """What one student reached once it is trained: see :class:`delt_engine.training.records.StudentResult`."""

    kind = "student"
    student: Count
    students: Total
    seed: int = 0
    top1_last: float
    top1_best: float
    best_epoch: Count = 0
    top1_ema: float | None = None
    top1_ema_best: float | None = None
    top5_last: float | None = None
    per_class: tuple[float, ...] = ()
    curve: tuple[tuple[int, float], ...] = ()
    ema_curve: tuple[tuple[int, float], ...] = ()
    seconds: Seconds = 0.0


RECORDS: tuple[type[Event], ...] = (
    StatusEvent,
    NoteEvent,
    StageEvent,
    MemoryEvent,
    StepEvent,
    StudentStepEvent,
    SqueezeStepEvent,
    RoundEvent,
    StudentEpochEvent,
    SqueezeEpochEvent,
    StudentEvent,
)
"""All that can be in a file; of those of one kind the first that fits a line."""


def to_line(event: Event) -> bytes:
    """Return an event as a line of JSON, with the time of now."""
    values = {"kind": event.kind, **event.model_dump(exclude_unset=True), "time": now()}
    return json.dumps(values, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> Event | None:
    """Return the event on a line; None where there is none."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    for record in RECORDS:
        if record.kind == values.get("kind"):
            try:
                return record.model_validate(values)
            except ValidationError:
                continue
    return None


def append(path: Path, event: Event) -> None:
    """Append one event.

    Raises:
        RunError: the system refused.
    """
    line = to_line(event)
    with as_run_error(path), path.open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        file.write(line)


def read(
    path: Path,
    kind: type[_E] = Event,  # type: ignore[assignment]  # a type variable takes no default value (mypy 3737)
    *,
    batch: int | None = None,
    last: int | None = None,
    most: int | None = None,
) -> list[_E]:
    """Return all events of a kind, or all, in order; none when there is no file.

    Of a file that is looked at again and again only what was added is searched, and only what is asked for is parsed
    and returned, so a run that is followed for hours takes no more memory than one that has just begun.

    Args:
        kind: only events of this class and of those that are derived from it.
        batch: only events of this batch; those that name none count as the first one's.
        last: only so many, the newest.
        most: only so many, evenly chosen, the first and the newest among them.
    """
    return _index_of(path).events(kind, batch, last, most)


_HEAD_BYTES = 128
"""What a file begins with, its first event's time among it, tells it from another of the same number."""


class _Index:
    """Where the events of a file begin, as far as it was read, which records they are, and their batches."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._inode, self._end, self._head = 0, 0, b""
        self._starts, self._records, self._batches = array("q"), array("b"), array("q")

    def events(self, kind: type[_E], batch: int | None, last: int | None, most: int | None) -> list[_E]:
        with self._lock:
            try:
                check_file(self._path)
                with self._path.open("rb") as file:
                    self._read_on(file)
                    lines = [
                        file.readline() for start in self._chosen(kind, batch, last, most) if file.seek(start) >= 0
                    ]
            except OSError:
                self._restart(inode=0)
                return []
        return [event for event in map(from_line, lines) if isinstance(event, kind)]

    def _read_on(self, file: BinaryIO) -> None:
        found = os.fstat(file.fileno())
        is_known = found.st_ino == self._inode and found.st_size >= self._end
        if not is_known or file.read(len(self._head)) != self._head:  # a new file may get the number of an old one
            self._restart(found.st_ino)
        file.seek(0)
        self._head = file.read(min(_HEAD_BYTES, found.st_size))
        file.seek(self._end)
        for line in file.read().split(b"\n")[:-1]:
            event = from_line(line)
            if event is not None:
                self._starts.append(self._end)
                self._records.append(RECORDS.index(type(event)))
                self._batches.append(getattr(event, "batch", 0))
            self._end += len(line) + 1

    def _chosen(self, kind: type[Event], batch: int | None, last: int | None, most: int | None) -> Sequence[int]:
        wanted = {number for number, record in enumerate(RECORDS) if issubclass(record, kind)}
        rows = zip(self._starts, self._records, self._batches, strict=True)
        starts = [start for start, record, of in rows if record in wanted and batch in (None, of)]
        if last is not None:
            starts = starts[max(0, len(starts) - last) :]
        if most is not None and len(starts) > most > 1:
            starts = [starts[place * (len(starts) - 1) // (most - 1)] for place in range(most)]
        return starts

    def _restart(self, inode: int) -> None:
        self._inode, self._end, self._head = inode, 0, b""
        for column in (self._starts, self._records, self._batches):
            del column[:]


@lru_cache(maxsize=8)
def _index_of(path: Path) -> _Index:
    return _Index(path)


def latest(path: Path, kind: type[_E] = Event) -> _E | None:  # type: ignore[assignment]  # as in read
    """Return the last event of a kind, or of all; only the end of a long file is read."""
    try:
        check_file(path)
        with path.open("rb") as file:
            size, block = file.seek(0, os.SEEK_END), 65536
            while True:
                start = max(0, size - block)
                file.seek(start)
                lines = file.read().split(b"\n")[1 if start else 0 : -1]
                found = next((event for event in map(from_line, reversed(lines)) if isinstance(event, kind)), None)
                if found is not None or start == 0:
                    return found
                block *= 8
    except OSError:
        return None
