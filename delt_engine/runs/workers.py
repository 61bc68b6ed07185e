"""Who works on a run that many workers share: one small file a worker, which it writes again every few seconds.

The files are in the folder of ranks, which is there while several are at work; so a run has workers, or waits for
them, while the folder ``ranks/workers`` is there. Nothing of it is needed once they have left.

Source: ours. What takes work by these files is :mod:`delt_engine.jobs.leases`.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from delt_engine.runs.processes import PATIENCE, RANKS_FOLDER, boot_name, hostname, is_running
from delt_engine.runs.record import ProcessRecord

FOLDER = f"{RANKS_FOLDER}/workers"


class WorkerRecord(BaseModel):
    """What a worker says of itself.

    ``token`` is unlike that of any other worker. ``beats`` grows while it lives: others compare it with what they read
    before, so no two clocks have to agree. ``space`` is where its process number counts, on Linux: containers of one
    machine may have their own. ``batch`` is the one it is at, with as many completed iterations; None between two.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    token: str
    process: ProcessRecord
    space: str = ""
    beats: int = 0
    batch: int | None = None
    iteration: int = 0

    @property
    def is_near(self) -> bool:
        """Whether its process can be asked about from here."""
        own, here = self.process, (hostname(), boot_name(), process_space())
        return (own.hostname, own.boot, self.space) == here


def process_space() -> str:
    """Return what Linux calls the space in which process numbers count; "" elsewhere."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 (the link points to no file)
    except OSError:
        return ""


def worker_path(run_path: Path, number: int) -> Path:
    """Return the file of a worker."""
    return run_path / FOLDER / f"worker-{number}.json"


def read_worker(path: Path) -> WorkerRecord | None:
    """Return what a worker says; None where there is no such file, or half of one."""
    with contextlib.suppress(OSError, ValidationError):
        return WorkerRecord.model_validate_json(path.read_bytes())
    return None


def workers_at(run_path: Path) -> list[WorkerRecord] | None:
    """Return the workers of a run that are there as far as one look tells; None where it is not theirs.

    Of one on another machine only the time of its file is known, as for all signs of life.
    """
    if not (run_path / FOLDER).is_dir():
        return None
    found = ((path, read_worker(path)) for path in (run_path / FOLDER).glob("worker-*.json"))
    there = [worker for path, worker in found if worker is not None and _is_there(path, worker)]
    return sorted(there, key=lambda worker: worker.number)


def _is_there(path: Path, worker: WorkerRecord) -> bool:
    if worker.is_near:
        return is_running(worker.process)
    try:
        return time.time() - path.stat().st_mtime < PATIENCE
    except OSError:
        return False
