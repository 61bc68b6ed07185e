"""What kill -9 does to workers: many at one run, one of them killed every few seconds, and another one in its place.

One run of one process is the reference. The workers' run has to end in its pictures, byte for byte, every worker that
was left alone has to say that it went well, and a batch may be taken again only where its worker was killed.

Source: ours; :mod:`delt_engine.bench.chaos` kills runs of one process.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from delt_engine.bench.chaos import PATIENCE, delt, made, make_home, pictures
from delt_engine.errors import RunError
from delt_engine.runs.store import Run
from delt_engine.runs.workers import workers_at

SETTINGS: dict[str, Any] = {
    "ipc": 40,
    "iterations": 1600,
    "round_iterations": 400,
    "batching": "images",
    "batch_size": 4,
}
"""Thirty batches of some seconds on one core; a class is in all of them, so that its strips are written by many."""

_POLL = 0.02


def kill_workers(
    folder: Path,
    workers: int,
    kills: int,
    *,
    every: float = 3.0,
    seed: int = 0,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, int]:
    """Let ``workers`` share a run in ``folder``, which is their home as well, and kill one every so many seconds.

    Returns:
        Counts: workers, kills, those of them at a batch, batches, how many were taken again, pictures compared.

    Raises:
        RunError: the run does not end, a worker fails, or a picture differs from that of one process.
    """
    make_home(folder)
    reference, run = made(folder, "reference", SETTINGS), made(folder, "shared", SETTINGS)
    _wait_for(_started(reference, "resume"), reference)
    draw, counts = random.Random(seed), {"workers": workers, "kills": 0, "kills_at_a_batch": 0}
    alive, until = [_started(run, "work") for _ in range(workers)], time.monotonic() + PATIENCE
    next_kill = time.monotonic() + every
    while run.status != "finished":
        if time.monotonic() > until:
            raise RunError(f"chaos: {run.path} does not end: {run.status}, {run.error or ''}")
        at_batches = [one.process.pid for one in workers_at(run.path) or () if one.batch is not None]
        if counts["kills"] < kills and at_batches and time.monotonic() >= next_kill:
            victim = draw.choice([process for process in alive if process.is_alive()])
            counts["kills"] += 1
            counts["kills_at_a_batch"] += victim.pid in at_batches
            victim.kill()
            victim.join()
            alive[alive.index(victim)] = _started(run, "work")
            report("kill", counts["kills"], kills)
            next_kill, until = time.monotonic() + every, time.monotonic() + PATIENCE
        time.sleep(_POLL)
    for process in alive:
        _wait_for(process, run)
    found = pictures(run)
    if found != pictures(reference):
        raise RunError(f"chaos: {run.path} is not what {reference.path} is.")
    taken = re.findall(r"takes (batch-\d+)", (run.path / "log.txt").read_text(encoding="utf-8"))
    return {**counts, "batches": len(set(taken)), "taken_again": len(taken) - len(set(taken)), "pictures": len(found)}


def _started(run: Run, word: str) -> BaseProcess:
    process = get_context("fork").Process(target=delt, args=([word, str(run.path), "--quiet"], run.path / "log.txt"))
    process.start()
    return process


def _wait_for(process: BaseProcess, run: Run) -> None:
    process.join(PATIENCE)
    if process.exitcode != 0:
        raise RunError(f"chaos: a process at {run.path} ended with {process.exitcode}: {run.last_words()}")
