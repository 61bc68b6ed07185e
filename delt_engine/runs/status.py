"""What became of a run: as its record says, unless the process that wrote it is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from delt_engine.errors import RunError
from delt_engine.runs.processes import is_running
from delt_engine.runs.workers import workers_at

if TYPE_CHECKING:
    from delt_engine.runs.store import Run

_START_PATIENCE = 60.0
"""Seconds a queued run may be without a process before it counts as interrupted."""


def status_of(run: Run) -> str:
    """Return the status as written, or ``interrupted`` (process gone), or ``unreadable`` (no record).

    A queued run whose process died before it wrote anything is ``failed``.
    """
    try:  # looked at once: the next moment it may be deleted
        record, written = run.record(), (run.path / "run.json").stat().st_mtime
    except (RunError, OSError):
        return "unreadable"
    if record.status not in ("queued", "running"):
        return record.status
    workers = workers_at(run.path)
    if workers is not None:  # queued, it waits for the first one
        return record.status if workers or record.status == "queued" else "interrupted"
    worker = record.process or run.job_process()
    if worker is None:
        age = time.time() - written
        return "queued" if abs(age) < _START_PATIENCE else "interrupted"  # the clock may have been set back
    if is_running(worker):
        return record.status
    if run.unreadable or run.record() != record:  # written between the two looks, before the process went
        return status_of(run)
    return "interrupted" if record.process else "failed"


def error_of(run: Run) -> str | None:
    """Return what went wrong, as a sentence: as recorded, or the last words of the process, or None."""
    if run.unreadable:
        return run.unreadable
    if run.record().error:
        return run.record().error
    words, status = run.last_words(), run.status
    if status == "failed":
        return words or "The process ended without a word."
    if status == "interrupted":
        return f"The process is gone; its last words: {words}" if words else "The process is gone."
    return None
