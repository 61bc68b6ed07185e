"""What a run takes on the disk, and what of it can be given up."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from delt_engine import files
from delt_engine.errors import RunError
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
    return _bytes(_files(folder))


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
    if not run.unreadable and run.is_active:
        raise RunError(f"run {run.id}: it is {run.status}, so nothing of it is deleted.")
    before = size_bytes(run.path)
    with files.as_run_error(run.path, "deleted"):
        if rounds:
            for path in list(_rounds_between(run.path)):
                path.unlink()
        if checkpoint and (run.path / "checkpoint").is_dir():
            shutil.rmtree(run.path / "checkpoint")
        for folder in filter(Path.is_dir, (run.path, run.path / "snapshots")):
            # Readers tell by these times that something is gone; the kernel's own move every few milliseconds only.
            os.utime(folder, ns=(time.time_ns(), time.time_ns()))
    return before - size_bytes(run.path)


def _rounds_between(path: Path) -> Iterator[Path]:
    try:
        folders = [entry for entry in (path / "snapshots").iterdir() if entry.is_dir()]
    except OSError:
        return
    for folder in folders:
        yield from sorted(folder.glob("round-*.png"), key=lambda strip: int(strip.stem.split("-")[1]))[1:-1]


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


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
