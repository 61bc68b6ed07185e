"""Work that several ranks share, as the first one sees it: who does what, how far they are, whether all are there.

The others say what they do in event files of their own, ``ranks/<number>.jsonl``; the first rank reads them and puts
what it reads into the run's events, so that a reader of the run sees one run. With one process there is nobody to
read, and all work is its own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from delt_engine.errors import RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.worker import POLL_SECONDS, Wishes
from delt_engine.runs import locks
from delt_engine.runs.processes import is_running
from delt_engine.runs.record import ProcessRecord
from delt_engine.runs.store import Run

Event = dict[str, Any]

SETTLE_SECONDS = 5.0
"""How long the first rank waits for the others when the run is stopped."""

LOOK_SECONDS = 1.0
"""Seconds between two looks at whether the others' processes are there."""


class Shared:
    """One piece of work in the hands of all ranks.

    Args:
        run: what is worked on.
        work: what is done: ``rank``, ``recover``, ``evaluate``, ``squeeze``, ``train`` or ``relabel``.
        pieces: what is to be done, by number.
        adapt: makes of another rank's event what is put into the run's events.
        facts: what the order says beside that, where the run itself does not.
        is_joint: every piece is in the hands of all ranks at once; otherwise each is in those of one.
    """

    def __init__(
        self,
        run: Run,
        work: str,
        pieces: Sequence[int],
        adapt: Callable[[Event], Event] = dict,
        facts: Mapping[str, Any] | None = None,
        is_joint: bool = False,
    ) -> None:
        rank = ranks.this_rank()
        self._run, self._adapt, self._looked = run, adapt, 0.0
        # Of a joint piece nothing is missing once the first rank is through, whatever became of the others then.
        self._ends = ("done", "stopped") if is_joint else ("done",)
        shares = [list(pieces if is_joint else pieces[number :: rank.size]) for number in range(rank.size)]
        self.mine, self._shares = shares[0], shares
        self._others = {number: _Other(run, number) for number in range(1, rank.size)}
        if not self._others:
            return
        shutil.rmtree(run.path / locks.FOLDER, ignore_errors=True)
        (run.path / locks.FOLDER).mkdir()
        ranks.channel().say({"do": work, "run": str(run.path), "shares": shares, **(facts or {})})

    def news(self) -> Iterator[Event]:
        """Put what the others have done since into the run's events, and yield that.

        Raises:
            RunError: one of them failed, or its process is gone.
        """
        yield from self._told()
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            yield from self._left()
            for number, other in self._others.items():
                if other.is_lost:
                    yield from self._told()  # its last words
                    raise self._lost(number)

    def rest(self, wishes: Wishes) -> Iterator[Event]:
        """Wait until the others are done as well, and clear away what they wrote for us.

        Raises:
            RunCancelled: asked to stop while waiting, here or in another rank alone.
            RunError: as :meth:`news`.
        """
        while not all(other.state in self._ends for other in self._others.values()):
            wishes.check()
            if "stopped" not in self._ends:
                self._stop_with_others()
            time.sleep(POLL_SECONDS / 2)
            yield from self.news()
        if self._others:
            shutil.rmtree(self._run.path / locks.FOLDER, ignore_errors=True)

    def leave(self) -> None:
        """Clear away what the others wrote, where nothing of theirs is missing; a wish or a loss comes too late."""
        with contextlib.suppress(RunError):
            self.settle()
        if self._others:
            shutil.rmtree(self._run.path / locks.FOLDER, ignore_errors=True)

    def attend(self, wishes: Wishes) -> None:
        """Look after the others while they come together for a joint piece.

        Raises:
            RunCancelled: asked to stop, here or in another rank.
            RunError: as :meth:`news`.
        """
        wishes.check()
        list(self.news())
        self._stop_with_others()

    def settle(self) -> None:
        """Wait until the others have stopped too, where the run stops; a rank that cannot is left.

        Raises:
            RunError: as :meth:`news`.
        """
        until = time.monotonic() + SETTLE_SECONDS
        list(self.news())
        while any(other.state == "working" for other in self._others.values()) and time.monotonic() < until:
            time.sleep(POLL_SECONDS / 2)
            list(self.news())

    def _stop_with_others(self) -> None:
        if any(other.state == "stopped" for other in self._others.values()):
            raise RunCancelled(self._run.requested() or "pause")  # a machine may tell one process alone that it goes

    def _lost(self, number: int) -> RunError:
        return RunError(f"run {self._run.id}: the process of rank {number} is gone; `delt resume` goes on.")

    def _left(self) -> Iterator[Event]:
        """Look for ranks that were told to stop while they waited for orders: they left without a word in the run."""
        if all(other.state for other in self._others.values()):
            return
        left = ranks.channel().left()
        yield from self._told()  # what was done before it left
        for number in sorted(left):
            if self._others[number].state is None and not self._shares[number]:
                self._others[number].state = "done"  # nothing of its is missing
            elif self._others[number].state is None:
                self._others[number].state = "stopped"
                event = {"kind": "note", "text": f"Rank {number} was asked to stop and has left."}
                self._run.event(event)
                yield event

    def _told(self) -> Iterator[Event]:
        for number, other in self._others.items():
            for event in other.read():
                if event.get("state") == "failed":
                    raise RunError(event["error"])
                if event["kind"] == "note":
                    yield from self._run.note(event["text"])
                elif event["kind"] != "rank":
                    told = self._adapt({**event, "rank": number})
                    self._run.event(told)
                    yield told


class _Other:
    """One of the other ranks, by its event file."""

    def __init__(self, run: Run, number: int) -> None:
        self._path: Path = run.path / locks.FOLDER / f"{number}.jsonl"
        self._end = 0
        self._process: ProcessRecord | None = None
        self.state: str | None = None

    def read(self) -> list[Event]:
        """Return the events since the last call; a line that is being written waits for the next."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._end)
                added = file.read()
        except OSError:
            return []
        whole = added[: added.rfind(b"\n") + 1]
        self._end += len(whole)
        events = [json.loads(line) for line in whole.splitlines() if line.strip()]
        for event in events:
            if event["kind"] == "rank":
                self.state = event["state"]
                self._process = ProcessRecord(**event["process"]) if "process" in event else self._process
        return events

    @property
    def is_lost(self) -> bool:
        """Whether it began and its process is gone before it said how it ended."""
        return self.state == "working" and self._process is not None and not is_running(self._process)
