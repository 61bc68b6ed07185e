"""A run is a folder: create it, open it, read what is in it, and ask its process for something.

The process that works on a run is the only writer of run.json (of several ranks the first), and with the other ranks
of events.jsonl; everybody else reads, and asks through the control file. Class numbers are those of the dataset,
also in a run of some classes; image numbers count within the class in the order in which images join.

Source: DESIGN section 4, "A run is a folder".
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np

from delt_engine import access, files
from delt_engine.config import Experiment
from delt_engine.errors import RunError
from delt_engine.paths import assets_dir, expanded, runs_dir
from delt_engine.runs import events, strips
from delt_engine.runs.events import Event, NoteEvent, RoundEvent, StatusEvent
from delt_engine.runs.log import last_lines
from delt_engine.runs.processes import alone
from delt_engine.runs.record import (
    Kind,
    ProcessRecord,
    RunOptions,
    RunRecord,
    class_folders,
    now,
    read_record,
    relevant_settings,
    versions,
    with_absolute_paths,
)
from delt_engine.runs.status import job_process, status_of

if TYPE_CHECKING:
    from delt_engine.patches.selection import SelectedImage

_E = TypeVar("_E", bound=Event)
_logger = logging.getLogger(__name__)
StopRequest = Literal["cancel", "pause"]

_PREPARED = {"run.json", "job.json", "log.txt", "control", "queue", "labels.json", "parent.json"}
"""What a folder may hold while its run is queued and nothing has been made yet."""


class Run:
    """One run folder. Nothing is held open; run.json is read again when it has changed."""

    def __init__(self, path: str | Path) -> None:
        self.path = expanded(path).absolute()
        self._file = str(self.path / "run.json")  # as text: a list of runs looks at thousands in one go

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    # Creating and opening

    @classmethod
    def create(
        cls,
        path: str | Path,
        experiment: Experiment,
        kind: Kind = "recover",
        command: Sequence[str] = (),
        options: RunOptions | None = None,
        source: str = "",
    ) -> Run:
        """Make a queued run in a new or empty folder.

        Args:
            command: the command line that makes it again.
            source: what an evaluation trains on.

        Raises:
            RunError: the folder holds something, or cannot be written; nothing in it is touched.
        """
        run = cls(path)
        experiment = relevant_settings(with_absolute_paths(experiment), kind)
        check_free(run.path)
        record = RunRecord(
            id=run.id,
            kind=kind,
            source=source,
            experiment=experiment,
            options=options or RunOptions(),
            command=tuple(command),
            seed=experiment.seed,
            versions=versions(),
            created=now(),
        )
        if not files.create_bytes(run.path / "run.json", record.to_json().encode()):
            check_free(run.path)  # another command was quicker by a moment
        return run

    @classmethod
    def open(cls, ref: str | Path) -> Run:
        """Open a run by its folder or by its id among this user's runs and the examples.

        Raises:
            RunError: there is no such run.
        """
        places = [expanded(ref)]
        if str(ref) and Path(ref).name == str(ref):
            places += [runs_dir() / ref, assets_dir() / "examples" / ref]
        for place in filter(access.is_allowed, places):
            with contextlib.suppress(OSError):  # a name that is too long for the system
                if (place / "run.json").is_file():
                    return cls(place)
        raise RunError(f"run: {ref} is neither a run folder (with a run.json in it) nor the id of a run.")

    # The record

    @property
    def id(self) -> str:
        """Name of the folder."""
        return self.path.name

    def record(self) -> RunRecord:
        """Return what run.json says now.

        Raises:
            RunError: it is missing, damaged, or of a later version.
        """
        try:
            stat = os.stat(self._file)  # noqa: PTH116 (as above)
            return _read_once(self._file, (stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError as error:
            raise RunError(f"run {self.id}: run.json cannot be read ({files.reason(error)}).") from None

    @property
    def unreadable(self) -> str | None:
        """Why run.json cannot be read, as a sentence, or None."""
        try:
            self.record()
        except RunError as error:
            return str(error)
        return None

    @property
    def status(self) -> str:
        """Status as written, ``interrupted`` or ``unreadable``: see :func:`delt_engine.runs.status.status_of`."""
        return status_of(self.path, self.record)

    @property
    def is_active(self) -> bool:
        """Whether a process works on the run or waits for the device."""
        return self.status in ("queued", "running")

    @property
    def error(self) -> str | None:
        """What went wrong, as a sentence: as recorded, or the last words of the process, or None."""
        if self.unreadable:
            return self.unreadable
        if self.record().error:
            return self.record().error
        words, status = self.last_words(), self.status
        if status == "failed":
            return words or "The process ended without a word."
        if status == "interrupted":
            return f"The process is gone; its last words: {words}" if words else "The process is gone."
        return None

    @property
    def experiment(self) -> Experiment:
        """All settings of the run."""
        return self.record().experiment

    def update(self, **changes: Any) -> RunRecord:
        """Change entries of run.json, whole or not at all.

        Raises:
            RunError: the run is finished, an entry is not allowed, or the file cannot be written.
        """
        record = self.record()
        if record.status == "finished":
            raise RunError(f"run {self.id}: it is finished, and a finished run is never altered.")
        record = record.changed(**changes)
        files.write_bytes(self.path / "run.json", record.to_json().encode(), durable="status" in changes)
        return record

    def set_status(self, status: str, **changes: Any) -> None:
        """Write the status to the events and to run.json, with other ``changes``."""
        self.event(StatusEvent(status=status))
        self.update(status=status, **changes)

    # Events

    def event(self, event: Event) -> None:
        """Append one line to events.jsonl.

        Raises:
            RunError: the run is finished, or the file cannot be written.
        """
        if self.record().status == "finished":
            raise RunError(f"run {self.id}: it is finished, and a finished run is never altered.")
        with alone(self.path, "events"):
            events.append(self.path / "events.jsonl", event)
        is_rare = isinstance(event, (StatusEvent, NoteEvent, RoundEvent))
        _logger.log(logging.INFO if is_rare else logging.DEBUG, "%s", event)

    def note(self, text: str) -> NoteEvent | None:
        """Keep something worth knowing, once, in the record and the events; return the event if it is new."""
        if text in self.record().notes:
            return None
        self.update(notes=(*self.record().notes, text))
        event = NoteEvent(text=text)
        self.event(event)
        return event

    def events(
        self,
        kind: type[_E] = Event,  # type: ignore[assignment]  # a type variable takes no default value (mypy 3737)
        **choice: int | None,
    ) -> list[_E]:
        """Return the events in order, or a choice of them: see :func:`delt_engine.runs.events.read`."""
        return events.read(self.path / "events.jsonl", kind, **choice)

    def latest_event(self, kind: type[_E] = Event) -> _E | None:  # type: ignore[assignment]  # as in events
        """Return the last event of a kind without reading the whole file, or None."""
        return events.latest(self.path / "events.jsonl", kind)

    # What was made

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of all classes of the dataset; empty while the run has not read it yet."""
        dataset = self.record().dataset
        return dataset.class_names if dataset else ()

    @property
    def classes(self) -> tuple[int, ...]:
        """Numbers of the classes this run recovers; empty while the dataset is not read yet."""
        known = len(self.class_names)  # once: every look at a record asks the disk whether it has changed
        return tuple(number for number in self.record().classes if 0 <= number < known)

    @property
    def image_size(self) -> int | None:
        """Side of the images in pixels; None while the dataset is not read yet."""
        dataset = self.record().dataset
        return dataset.image_size if dataset else self.experiment.image_size

    def class_folder(self, class_index: int) -> str:
        """Return the folder name of a class.

        Raises:
            RunError: there is no such class, or the dataset is not read yet.
        """
        folders = class_folders(self.class_names)
        if not 0 <= class_index < len(folders):
            raise RunError(f"run {self.id}: class {class_index} given, but it has {len(folders)} classes.")
        return folders[class_index]

    def image_path(self, class_index: int, index: int) -> Path:
        """Return where the finished image ``index`` of a class is or will be."""
        return self.path / "images" / self.class_folder(class_index) / f"{index:04d}.png"

    def snapshot_path(self, class_index: int, round_number: int) -> Path:
        """Return where the images of a class after round ``round_number`` are, their strip; 0 is the start images.

        Of a finished run that keeps no strip of its last round, as those that ship, or none of the class at all, it is
        the folder of its images.
        """
        strip = self.path / "snapshots" / self.class_folder(class_index) / f"round-{round_number:02d}.png"
        record = self.record()
        if record.status != "finished" or round_number != record.experiment.recover.schedule.num_rounds:
            return strip
        images = self.image_path(class_index, 0).parent
        return images if not strip.exists() and images.is_dir() else strip

    def live_path(self, class_index: int) -> Path:
        """Return the strip of a class as it was a moment ago; there only while its batch is worked on."""
        return self.path / "live" / f"{self.class_folder(class_index)}.png"

    def snapshot_images(self, class_index: int, round_number: int) -> np.ndarray:
        """Return the images of a class after a round: uint8 (n, S, S, 3), waiting ones as they start.

        Raises:
            RunError: that round is not written.
        """
        return strips.split_strip(strips.read_strip(self.snapshot_path(class_index, round_number)))

    def rounds_written(self, class_index: int) -> list[int]:
        """Return the rounds of a class whose images are there, in order; 0 is the start images."""
        folder = self.path / "snapshots" / self.class_folder(class_index)
        names = (re.fullmatch(r"round-(\d+)\.png", path.name) for path in folder.glob("round-*.png"))
        written = {int(name.group(1)) for name in names if name}
        last = self.experiment.recover.schedule.num_rounds
        if last not in written and self.snapshot_path(class_index, last).is_dir():
            written.add(last)
        return sorted(written)

    def selection(self) -> tuple[SelectedImage, ...]:
        """Return where each image came from: patches, probabilities, ranks, start round.

        Raises:
            RunError: the run has not selected yet.
        """
        path = self.path / "selection.csv"
        try:
            stat = path.stat()
        except OSError:
            raise RunError(f"run {self.id}: there is no selection.csv yet.") from None
        return _selection_once(str(path), (stat.st_ino, stat.st_mtime_ns, stat.st_size))

    # The process

    def request(self, stop: StopRequest | None) -> None:
        """Ask the process of the run to stop, or take the request back with None."""
        path = self.path / "control"
        if stop is None:
            with files.as_run_error(path, "removed"):
                path.unlink(missing_ok=True)
        else:
            files.write_bytes(path, stop.encode())

    def requested(self) -> StopRequest | None:
        """Return what the process was asked for, or None."""
        try:
            files.check_file(self.path / "control")
            found = (self.path / "control").read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return None
        return cast("StopRequest", found) if found in ("cancel", "pause") else None

    def job_process(self) -> ProcessRecord | None:
        """Return the process that was started for the run, which may not have reached run.json yet."""
        return job_process(self.path)

    def last_words(self) -> str:
        """Return the last line of log.txt, where a detached process writes, or an empty text."""
        return next(iter(last_lines(self.path, 1)), "").strip()


@lru_cache(maxsize=2048)  # a list of runs is drawn again and again
def _read_once(file: str, _version: tuple[int, int, int]) -> RunRecord:
    path = Path(file)
    files.check_file(path)
    return read_record(path.read_bytes(), path.parent.name)


@lru_cache(maxsize=1)  # of a large run it takes a second to read, and a run that begins asks three times
def _selection_once(file: str, _stamp: tuple[int, int, int]) -> tuple[SelectedImage, ...]:
    from delt_engine.patches.selection import read_selection

    return read_selection(file)


def check_free(path: Path) -> None:
    """Refuse a folder that cannot take a new run.

    Raises:
        RunError: it is a file, or something is in it.
    """
    with files.as_run_error(path, "read"):
        if path.exists() and not path.is_dir():
            raise RunError(f"out: {path} is a file, but the run needs a new or an empty folder.")
        if (path / "run.json").exists():
            run = Run(path)
            raise RunError(
                f"out: {run.path} holds a {run.record().kind} run that is {run.status}, but the run needs a new or an "
                "empty folder; `delt resume` goes on with an unfinished run."
            )
        names = [entry.name for entry in path.iterdir()] if path.exists() else []
    if any(name not in _PREPARED and not files.is_unfinished(name, _PREPARED) for name in names):
        raise RunError(f"out: {path} is not empty, but the run needs a new or an empty folder.")


def list_runs(folder: str | Path | None = None) -> list[Run]:
    """Return the runs in a folder, by default this user's, newest first, those with an unreadable run.json included."""
    folder = Path(folder) if folder is not None else runs_dir()
    try:
        runs = [Run(entry) for entry in folder.iterdir() if (entry / "run.json").is_file()]
    except OSError:
        return []
    return sorted(runs, key=lambda run: (_created(run), run.id), reverse=True)


def _created(run: Run) -> str:
    try:
        return run.record().created
    except RunError:
        return ""
