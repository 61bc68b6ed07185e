"""Leases: how workers on a shared disk divide a run among themselves, with nothing between them but files.

A worker joins by a file of its own, which it writes again with a higher count every few seconds
(:mod:`delt_engine.runs.workers`). A piece of work, a batch or the lead, is taken by making the file
``<name>.<generation>`` with the worker's token in it; of several that try at once one makes it. It is free where there
is no such file, or where the worker of the last generation has left: its file is gone, its process is, or its count
has not grown for :data:`~delt_engine.runs.processes.PATIENCE` seconds of the clock of the one that looks. So no two
machines' clocks are compared, and nothing is ever removed that somebody else could be about to take.

A worker whose file others have removed was silent for too long. It finds that out at its next sign of life and leaves
the batch; should both have worked on it, they have written the same bytes.

Source: ours; leases and their generations as in Gray and Cheriton, "Leases" (SOSP 1989), and fencing tokens.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from delt_engine import files
from delt_engine.errors import LeaseLost
from delt_engine.runs.processes import GAP, PATIENCE, is_running, remove_ranks, this_process
from delt_engine.runs.workers import FOLDER, WorkerRecord, process_space, read_worker, worker_path, workers_at

_DONE, _FAILED, _BATCH = "done", "failed", "batch-"


def batch_name(number: int) -> str:
    """Return what the lease of a batch is called.

    >>> batch_name(3)
    'batch-00003'
    """
    return f"{_BATCH}{number:05d}"


@dataclass
class Leases:
    """What one worker holds of a run, and what it knows of the others."""

    run_path: Path
    clock: Callable[[], float] = time.monotonic
    batch: int | None = None
    iteration: int = 0
    _own: WorkerRecord | None = None
    _next_beat: float = 0.0
    _next_look: float = 0.0
    _progress: dict[int, int | None] = field(default_factory=dict)
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.run_path / FOLDER

    @property
    def own(self) -> WorkerRecord:
        """This worker, which has joined."""
        assert self._own is not None
        return self._own

    def join(self) -> None:
        """Become a worker of the run, by a number that none of those that are there has."""
        who = {"token": secrets.token_hex(8), "process": this_process(), "space": process_space()}
        for number in itertools.count(1):
            record = WorkerRecord(number=number, **who)
            if files.create_bytes(worker_path(self.run_path, number), record.model_dump_json().encode()):
                self._own, self._next_beat, self.batch = record, self.clock() + GAP, None
                return

    def beat(self) -> None:
        """Give a sign of life where it is time for one; a disk that refuses is no reason to stop.

        Raises:
            LeaseLost: others have taken this worker for dead.
        """
        if self._own is None or self.clock() < self._next_beat:
            return
        self._next_beat = self.clock() + GAP
        path = worker_path(self.run_path, self._own.number)
        found = read_worker(path)
        if not path.exists() or (found is not None and found.token != self._own.token):
            raise LeaseLost(f"worker {self._own.number}: it was silent for so long that others have taken its work.")
        changes = {"beats": self._own.beats + 1, "batch": self.batch, "iteration": self.iteration}
        self._own = self._own.model_copy(update=changes)
        files.try_write(path, self._own.model_dump_json().encode())

    def say(self, batch: int | None) -> None:
        """Tell the others at once at which batch this worker is."""
        self.batch, self.iteration, self._next_beat = batch, 0, 0.0
        self.beat()

    def end(self) -> None:
        """Leave the run; all that this worker holds is free."""
        if self._own is None:
            return
        path = worker_path(self.run_path, self._own.number)
        found = read_worker(path)
        if found is not None and found.token == self._own.token:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._own = None

    def take(self, *names: str) -> str | None:
        """Take the first piece of work that is free; None where none of them is. Pieces that are done are not given."""
        if not self.folder.is_dir():  # the run was finished, or is gone
            return None
        generations = self._generations()
        claim = json.dumps({"number": self.own.number, "token": self.own.token}).encode()
        for name in names:
            generation = generations.get(name, 0)
            if generation and self._is_held(name, generation):
                continue
            if not files.create_bytes(self.folder / f"{name}.{generation + 1}", claim):
                continue
            if not (self.folder / f"{name}.{_DONE}").exists():  # by who has left since it was looked for
                return name
        return None

    def release(self, name: str) -> None:
        """Let others have a piece of work that this worker holds."""
        generation = self._generations().get(name, 0)
        if generation and self._claim(name, generation).get("token") == self.own.token:
            files.try_write(self.folder / f"{name}.{generation}", b"{}")

    def set_done(self, name: str, *, done: bool = True) -> None:
        """Say that a piece of work is done, or that it has to be done again."""
        path = self.folder / f"{name}.{_DONE}"
        if done:
            files.write_bytes(path, b"")
        else:
            path.unlink(missing_ok=True)

    def set_failed(self, name: str, sentence: str) -> None:
        """Say why a piece of work cannot be done, so that nobody tries it again."""
        files.write_bytes(self.folder / f"{name}.{_FAILED}", sentence.encode())

    def forget_failures(self) -> None:
        """Let everything be tried again."""
        for path in self.folder.glob(f"*.{_FAILED}"):
            path.unlink(missing_ok=True)

    def done(self) -> set[str]:
        """Return what is done."""
        return {path.stem for path in self.folder.glob(f"*.{_DONE}")}

    def failures(self) -> dict[str, str]:
        """Return what cannot be done, and why."""
        found = {}
        for path in self.folder.glob(f"*.{_FAILED}"):
            with contextlib.suppress(OSError):
                found[path.stem] = path.read_text(encoding="utf-8")
        return found

    def remove(self) -> None:
        """Remove everything that the workers of a run left; it is finished."""
        remove_ranks(self.run_path)

    def progress(self) -> dict[int, int | None]:
        """Return how many iterations the batches of others have behind them, None for all; at most a moment old."""
        if self.clock() >= self._next_look:
            self._next_look = self.clock() + GAP
            others = [worker for worker in workers_at(self.run_path) or () if worker.token != self.own.token]
            found: dict[int, int | None] = {one.batch: one.iteration for one in others if one.batch is not None}
            found |= {int(name.removeprefix(_BATCH)): None for name in self.done() if name.startswith(_BATCH)}
            self._progress = found
        return self._progress

    def _generations(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in self.folder.glob("*.*"):
            if path.suffix[1:].isdigit():
                found[path.stem] = max(found.get(path.stem, 0), int(path.suffix[1:]))
        return found

    def _claim(self, name: str, generation: int) -> dict[str, str | int]:
        found = files.read_json(self.folder / f"{name}.{generation}")
        return found if isinstance(found, dict) else {}

    def _is_held(self, name: str, generation: int) -> bool:
        """Return whether the worker that took a piece of work last is still at it."""
        path = self.folder / f"{name}.{generation}"
        if files.read_json(path) is None:  # about to be written, on a disk without hard links
            return path.exists() and not self._is_silent(path.name, 0)
        claim = self._claim(name, generation)
        token, number = str(claim.get("token", "")), int(claim.get("number", 0))
        if not token or token == self.own.token:
            return False
        file = worker_path(self.run_path, number)
        worker = read_worker(file)
        if worker is None:
            return file.exists()
        if worker.token != token:
            return False
        is_gone = worker.is_near and not is_running(worker.process)
        if not is_gone and not self._is_silent(token, worker.beats):
            return True
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)  # that is how it learns of it, should it live all the same
        return False

    def _is_silent(self, who: str, beats: int) -> bool:
        before, now = self._seen.get(who), self.clock()
        if before is None or before[0] != beats:
            self._seen[who] = (beats, now)
            return False
        return now - before[1] >= PATIENCE
