"""Deleted runs: moved to a folder beside the others, from where they come back until the trash is emptied.

A move within one disk is a rename, so it takes no time however large the run is, and nothing is half deleted.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from delt_engine import files
from delt_engine.errors import RunError
from delt_engine.jobs import queue
from delt_engine.paths import runs_dir
from delt_engine.runs.space import size_bytes
from delt_engine.runs.store import Run
from delt_engine.runs.titles import check_own


def trash_dir() -> Path:
    """Return the folder of the deleted runs."""
    return runs_dir() / ".trash"


def delete(run: Run) -> str:
    """Move a run to the trash and return its id, with which it can be brought back.

    Raises:
        RunError: it is at work, an example, not among this user's runs, or cannot be moved.
    """
    check_own(run)
    if run.is_active:
        raise RunError(f"run {run.id}: it is {run.status}, so stop it before it is deleted.")
    if run.path.parent != runs_dir():
        raise RunError(f"run {run.id}: it is in {run.path.parent}, and only runs in {runs_dir()} are deleted here.")
    queue.leave(run)
    with files.as_run_error(run.path, "deleted"):
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


def empty() -> int:
    """Delete what is in the trash for good and return how many bytes that freed.

    Raises:
        RunError: something cannot be deleted.
    """
    freed = sum(size_bytes(run.path) for run in trashed())
    for run in trashed():
        with files.as_run_error(run.path, "deleted"):
            shutil.rmtree(run.path)
    return freed
