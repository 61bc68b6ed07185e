"""Runs whose process hangs: noticed by their silence, ended, and gone on with from their last checkpoint."""

from __future__ import annotations

from delt_engine import access
from delt_engine.errors import RunError
from delt_engine.jobs import start
from delt_engine.runs.heartbeat import silence, silent_since
from delt_engine.runs.processes import PATIENCE, hostname
from delt_engine.runs.store import Run

__all__ = ["end_and_resume", "free", "is_silent", "silence", "silent_since"]


def is_silent(run: Run) -> bool:
    """Return whether a run at work has given no sign of life for longer than its steps take."""
    return silent_since(run) is not None


def free(run: Run) -> None:
    """End whatever process is at a run, so that another one can go on; nothing where there is none.

    A process on another machine cannot be ended from here. It counts as gone once it has been silent; should it live
    all the same, the lock of the run keeps the next one out.

    Raises:
        RunError: the process is on another machine, and gave a sign of life a moment ago.
    """
    access.check_change("stop a run")
    process = None if run.unreadable else run.record().process
    if process is not None and process.hostname != hostname():
        seconds = silence(run)
        if run.is_active and (seconds is None or seconds < PATIENCE):
            raise RunError(
                f"run {run.id}: its process {process.pid} is on {process.hostname}, so it cannot be ended from here; "
                f"it counts as gone after {PATIENCE:.0f} seconds without a sign of life."
            )
        start.mark_stopped(run, "pause")
    elif run.is_active:
        if run.requested() is None:
            run.request("pause")
        start.stop_hard(run)


def end_and_resume(run: Run) -> None:
    """End a run's process and start one that goes on from the last checkpoint; it blocks for about two seconds.

    Raises:
        RunError: the process cannot be ended, or the run cannot go on.
    """
    free(run)
    start.resume(run)
