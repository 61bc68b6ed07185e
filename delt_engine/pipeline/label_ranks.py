"""Stored labels written by one process or by several ranks, which share the epochs.

Epochs depend on nothing but their number, so the store is the same to the byte on a CPU with as many threads. Files
appear whole, so a store goes on wherever it was stopped, with any number of ranks.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from delt_engine import files
from delt_engine.errors import DataError, RunCancelled
from delt_engine.jobs import ranks
from delt_engine.jobs.worker import claimed_folder, listening
from delt_engine.pipeline.context import RankCounts
from delt_engine.pipeline.relabel import RelabelJob
from delt_engine.runs.events import StageEvent
from delt_engine.runs.locks import FOLDER


def write_labels(job: RelabelJob, out: str | Path, report: Callable[[StageEvent], None]) -> None:
    """Write the labels that are not there yet.

    Args:
        job: what is labelled, by whom and how.
        out: the folder.
        report: is told how many batches of all are done, after every batch of this process.

    Raises:
        RunCancelled: Ctrl-C or SIGTERM; whole epochs are kept.
        RunError: another process writes there, or a rank is gone.
        DataError: the folder holds something else, the disk refuses, or there is no room.
    """
    path, rank = Path(out).expanduser().absolute(), ranks.this_rank()
    with contextlib.ExitStack() as held, listening(None) as stop:
        ranks.first(lambda: held.enter_context(claimed_folder(path)) and None, stop.check)
        try:
            with stop.loading():
                ranks.first(lambda: job.begin(path).remove_unfinished(), stop.check)
                store = job.begin(path)
            missing = ranks.first(lambda: _missing(job, path, rank.size), stop.check)
            counts, total = RankCounts(path, rank, "labels"), job.config.epochs * job.steps
            before = total - len(missing) * job.steps
            for done, _ in enumerate(job.write(store, rank.share(missing)), start=1):
                report(StageEvent(stage="relabel", done=before + counts.total(done), total=total))
                stop.check()
            ranks.barrier(stop.check)
        except RunCancelled:
            raise RunCancelled(f"labels {path}: whole epochs are kept, and the same command goes on.") from None
        finally:
            if rank.is_first:
                shutil.rmtree(path / FOLDER, ignore_errors=True)
                with contextlib.suppress(DataError):
                    job.begin(path).remove_unfinished()


def _missing(job: RelabelJob, path: Path, size: int) -> list[int]:
    """Return the epochs that are to be written, and make room for what several ranks tell each other."""
    with files.as_run_error(path):
        shutil.rmtree(path / FOLDER, ignore_errors=True)
        if size > 1:
            (path / FOLDER).mkdir()
    return list(job.begin(path).missing)
