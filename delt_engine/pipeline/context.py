"""What every stage of a run has around it, and how ranks that share a stage come to its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from delt_engine import files
from delt_engine.config import Experiment
from delt_engine.errors import DeltError, RanksLost, RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.ranks import Rank
from delt_engine.jobs.worker import StopRequests
from delt_engine.pipeline.inputs import Inputs
from delt_engine.runs import processes
from delt_engine.runs.events import Event, NoteEvent
from delt_engine.runs.record import now
from delt_engine.runs.store import Run

_T = TypeVar("_T")
Report = Callable[[Event], None]
"""Takes every event of a run once it is written."""

_ENDS = (None, "pause", "cancel", "failed")
"""How a rank's share may end; the last one that any rank says counts for all."""


@dataclass(frozen=True, eq=False)
class StageContext:
    """What a stage works with; run.json is changed by the first rank alone, ``device`` is this rank's."""

    run: Run
    inputs: Inputs
    device: str
    stop: StopRequests
    report: Report
    rank: Rank

    @property
    def experiment(self) -> Experiment:
        """Settings of the run."""
        return self.run.experiment

    def event(self, event: Event) -> None:
        """Write an event into the run and show it to whoever listens."""
        if not self.rank.is_first:
            event = event.model_copy(update={"rank": self.rank.number})
        self.run.event(event)
        self.report(event)

    def note(self, text: str) -> None:
        """Keep something worth knowing, once."""
        if self.rank.is_first:
            event = self.run.note(text)
            if event is not None:
                self.report(event)
        elif text not in {note.text for note in self.run.events(NoteEvent)}:
            self.event(NoteEvent(text=text))

    def update(self, **changes: Any) -> None:
        """Change run.json, from the first rank."""
        if self.rank.is_first:
            self.run.update(**changes)

    def first(self, make: Callable[[], Any]) -> Any:
        """Return in every rank what the first one makes; see :func:`delt_engine.jobs.ranks.first`."""
        return ranks.first(make, self.stop.check)

    def divide(self, batches: Mapping[int, _T], work: Callable[[_T], None]) -> None:
        """Do this rank's share of some batches, which are given by their numbers."""
        for number in self.rank.share(list(batches)):
            work(batches[number])

    def of_others(self) -> dict[int, int | None]:
        """Return how many iterations batches of others have behind them, None for all; of ranks their counts tell."""
        return {}

    def at_work(self, batch: int, completed: int) -> None:
        """Take note of where this process is."""

    @contextlib.contextmanager
    def sharing(self) -> Iterator[None]:
        """Work on this rank's share; left when all ranks are through with theirs, or when all have stopped.

        Raises:
            RunCancelled: any rank was asked to stop.
            RunError: any rank failed; the sentence is that rank's.
            RanksLost: one is gone.
        """
        error: Exception | None = None
        try:
            yield
        except RanksLost:
            raise
        except Exception as caught:  # noqa: BLE001 - it is raised once the others have stopped too
            error = caught
            if not isinstance(error, RunCancelled) and self.rank.size > 1:
                leave_failure(self.run, error)
                self.run.request("pause")
        try:
            ranks.barrier(self.stop.check if error is None else _go_on)
        except RunCancelled as stopped:
            error = stopped
        own = None if error is None else str(error) if isinstance(error, RunCancelled) else "failed"
        end = _ENDS[ranks.agreed(_ENDS.index(own))]
        if error is not None and own == end:
            raise error
        if end == "failed":
            raise RunError(left_failure(self.run) or f"run {self.run.id}: another rank has failed.")
        if end is not None:
            raise RunCancelled(end)


class RankCounts:
    """How much of the work in a folder all ranks have done together; each leaves its own count for the others."""

    def __init__(self, path: Path, rank: Rank, work: str) -> None:
        folder = path / processes.RANKS_FOLDER
        self._own = folder / f"{work}-{rank.number}"
        self._others = [folder / f"{work}-{number}" for number in range(rank.size) if number != rank.number]

    def total(self, own: int) -> int:
        """Return what all ranks have done, of which this one has done ``own``."""
        if self._others:
            files.write_bytes(self._own, str(own).encode())
        return own + sum(map(_count_in, self._others))


def leave_failure(run: Run, error: Exception) -> None:
    """Leave the sentence of this rank's error where the first one finds it."""
    with contextlib.suppress(DeltError):
        if not _failure_path(run).is_file():
            files.write_bytes(_failure_path(run), failure_sentence(error).encode())


def left_failure(run: Run) -> str | None:
    """Return the sentence that another rank has left, or None."""
    try:
        return _failure_path(run).read_text(encoding="utf-8")
    except OSError:
        return None


def failure_sentence(error: Exception) -> str:
    """Return what is said of an error."""
    return str(error) if isinstance(error, DeltError) else f"{type(error).__name__}: {error}"


_LOWER = {
    "squeeze": "--batch-size or --width",
    "evaluate": "--student-batch-size or --student-width",
    "rank": "--rank-batch-size",
}


def in_words(run: Run, error: Exception) -> Exception:
    """Return an error of a stage; one of memory, which a stage cannot do anything about, as one sentence."""
    from delt_engine.models.device import is_out_of_memory

    if isinstance(error, DeltError) or not is_out_of_memory(error):
        return error
    record = run.record()
    lower = _LOWER.get(record.kind, "--batch-size, which changes the images, or take a smaller network")
    return RunError(
        f"run {run.id}: {record.device or record.experiment.device} is out of memory; lower {lower}, or free memory "
        f"and `delt resume`, which goes on from the last checkpoint."
    )


def note_failure(run: Run, error: Exception) -> None:
    """Write into the run that it failed, and why."""
    how = {"error": left_failure(run) or failure_sentence(error), "finished": now(), "process": None}
    with contextlib.suppress(DeltError):  # a full disk may refuse this as well, or the event alone
        try:
            run.set_status("failed", **how)
        except DeltError:
            run.update(status="failed", **how)


def _failure_path(run: Run) -> Path:
    return run.path / processes.RANKS_FOLDER / "failed"


def _count_in(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _go_on() -> None:
    """Wait for the others whatever is asked: this rank has stopped already."""
