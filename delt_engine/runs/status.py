"""What became of a run: as its record says, unless the process that wrote it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from delt_engine import files
from delt_engine.errors import RunError
from delt_engine.runs.processes import is_running
from delt_engine.runs.record import ProcessRecord, RunRecord
from delt_engine.runs.workers import workers_at

_START_PATIENCE = 60.0
"""Seconds a queued run may be without a process before it counts as interrupted."""


def status_of(path: Path, read: Callable[[], RunRecord]) -> str:
    """Return the status as written, or ``interrupted`` (process gone), or ``unreadable`` (no record).

    A queued run whose process died before it wrote anything is ``failed``. ``read`` returns what run.json says now.
    """
    try:  # looked at once: the next moment it may be deleted
        record, written = read(), (path / "run.json").stat().st_mtime
    except (RunError, OSError):
        return "unreadable"
    if record.status not in ("queued", "running"):
        return record.status
    workers = workers_at(path)
    if workers is not None:  # queued, it waits for the first one
        return record.status if workers or record.status == "queued" else "interrupted"
    worker = record.process or job_process(path)
    if worker is None:
        age = time.time() - written
        return "queued" if abs(age) < _START_PATIENCE else "interrupted"  # the clock may have been set back
    if is_running(worker):
        return record.status
    try:
        is_known = read() == record
    except RunError:
        is_known = False
    if not is_known:  # written between the two looks, before the process went
        return status_of(path, read)
    return "interrupted" if record.process else "failed"


def job_process(path: Path) -> ProcessRecord | None:
    """Return the process that was started for a run, which may not have reached run.json yet."""
    try:
        files.check_file(path / "job.json")
        return ProcessRecord.model_validate_json((path / "job.json").read_bytes())
    except (OSError, ValueError):
        return None
