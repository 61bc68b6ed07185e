"""What a run takes on the disk, what of it can be given up, and deleted runs until the trash is emptied.

A run is deleted by moving it to a folder beside the others. A move within one disk is a rename, so it takes no time
however large the run is, and nothing is half deleted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from delt_engine import access, files
from delt_engine.errors import RunError
from delt_engine.jobs import queue
from delt_engine.jobs.worker import alone_at
from delt_engine.paths import runs_dir
from delt_engine.runs.store import Run
from delt_engine.runs.titles import check_own

_ACTIVE_SECONDS = 30
"""How long a measure of a run at work is good for."""


@dataclass(frozen=True)
class Use:
    """Bytes on the disk: all, the rounds between start and end, and what only a resume needs."""

    total: int
    rounds: int
    checkpoint: int


def use(run: Run) -> Use:
    """Measure a run's folder; again only when the run has moved on."""
    active = int(time.time() // _ACTIVE_SECONDS) if not run.unreadable and run.is_active else 0
    return _measured(run.path, _stamp(run.path), _stamp(run.path / "run.json"), _stamp(run.path / "snapshots"), active)


@lru_cache(maxsize=2048)
def _measured(path: Path, *_versions: int) -> Use:
    return Use(size_bytes(path), _bytes(_rounds_between(path)), size_bytes(path / "checkpoint"))


def size_bytes(folder: Path) -> int:
    """Return what a folder takes on the disk, links counted once."""
    return _bytes(Path(parent, name) for parent, _, names in os.walk(folder) for name in names)


def free(run: Run, *, rounds: bool = False, checkpoint: bool = False) -> int:
    """Delete what a run can be looked at without; return how many bytes that freed.

    Args:
        run: a run that is not at work.
        rounds: the pictures of all rounds but the start and the last.
        checkpoint: what a resume needs; the batch, teacher or student at work then begins again.

    Raises:
        RunError: it is at work, an example, or a file cannot be deleted.
    """
    check_own(run)
    before = size_bytes(run.path)
    with _idle(run, "so nothing of it is deleted"), files.as_run_error(run.path, "deleted"):
        if rounds:
            for path in list(_rounds_between(run.path)):
                path.unlink()
        if checkpoint and (run.path / "checkpoint").is_dir():
            shutil.rmtree(run.path / "checkpoint")
        for folder in filter(Path.is_dir, (run.path, run.path / "snapshots")):
            # Readers tell by these times that something is gone; the kernel's own move every few milliseconds only.
            os.utime(folder, ns=(time.time_ns(), time.time_ns()))
    return before - size_bytes(run.path)


@contextlib.contextmanager
def _idle(run: Run, sentence: str) -> Iterator[None]:
    """Keep processes off a run that none is at, else refuse; looked at again once nobody can begin any more."""

    def check() -> None:
        if run.is_active:
            raise RunError(f"run {run.id}: it is {run.status}, {sentence}.")

    check()
    with alone_at(run):
        check()
        yield


def _rounds_between(path: Path) -> Iterator[Path]:
    try:
        folders = [entry for entry in (path / "snapshots").iterdir() if entry.is_dir()]
    except OSError:
        return
    for folder in folders:
        yield from sorted(folder.glob("round-*.png"), key=lambda strip: int(strip.stem.split("-")[1]))[1:-1]


def _bytes(paths: Iterable[Path]) -> int:
    seen: dict[tuple[int, int], int] = {}
    for path in paths:
        try:
            stat = path.lstat()
        except OSError:
            continue
        blocks = getattr(stat, "st_blocks", None)
        seen[stat.st_dev, stat.st_ino] = stat.st_size if blocks is None else blocks * 512
    return sum(seen.values())


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def trash_dir() -> Path:
    """Return the folder of the deleted runs."""
    return runs_dir() / ".trash"


def delete(run: Run) -> str:
    """Move a run to the trash and return its id, with which it can be brought back.

    Raises:
        RunError: it is at work, an example, not among this user's runs (any more), or cannot be moved.
    """
    check_own(run)
    if run.path.parent != runs_dir() or run.id == "..":
        raise RunError(f"run {run.id}: it is in {run.path.parent}, and only runs in {runs_dir()} are deleted here.")
    with _idle(run, "so stop it before it is deleted"), files.as_run_error(run.path, "deleted"):
        if not run.path.is_dir():  # somebody else has deleted it: what is in the trash is this run
            raise RunError(f"run {run.id}: it is not in {runs_dir()} any more, so it cannot be deleted.")
        queue.leave(run)
        trash_dir().mkdir(parents=True, exist_ok=True)
        if (trash_dir() / run.id).exists():  # an older one of the same name is gone for good
            shutil.rmtree(trash_dir() / run.id)
        run.path.replace(trash_dir() / run.id)
    return run.id


def restore(run_id: str) -> Run:
    """Bring a deleted run back.

    Raises:
        RunError: it is not in the trash any more, or its place is taken.
    """
    access.check_change("bring a run back")
    there, back = trash_dir() / Path(run_id).name, runs_dir() / Path(run_id).name
    if not there.is_dir():
        raise RunError(f"run {run_id}: it is not in the trash any more.")
    if back.exists():
        raise RunError(f"run {run_id}: another run has taken its place.")
    with files.as_run_error(there, "brought back"):
        there.replace(back)
    return Run(back)


def trashed() -> list[Run]:
    """Return the runs in the trash, by name, the unreadable ones included."""
    try:
        return sorted((Run(entry) for entry in trash_dir().iterdir() if entry.is_dir()), key=lambda run: run.id)
    except OSError:
        return []


def empty_trash() -> int:
    """Delete what is in the trash for good and return how many bytes that freed.

    Raises:
        RunError: something cannot be deleted.
    """
    access.check_change("empty the trash")
    freed = sum(size_bytes(run.path) for run in trashed())
    for run in trashed():
        with files.as_run_error(run.path, "deleted"):
            shutil.rmtree(run.path)
    return freed
