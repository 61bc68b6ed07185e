"""Workers as real processes on one folder: one is killed, another leaves, and the images are those of one process."""

from __future__ import annotations

import pytest
from real_processes import DELT, pictures
from waiting import PATIENCE_S, wait_for

from delt_engine.jobs.leases import Leases
from delt_engine.pipeline.work import LEAD
from delt_engine.runs.store import Run
from delt_engine.runs.workers import workers_at

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.timeout(600)]


def at_batches(run: Run) -> list[int]:
    """The processes of the workers that are at a batch."""
    return [worker.process.pid for worker in workers_at(run.path) or () if worker.batch is not None]


def test_a_worker_is_killed_another_leaves_and_the_images_are_those_of_one_process(
    delt, answer, refusal, small, started, tmp_path
) -> None:
    # Batches of the n-th images of all classes: every strip is written by several workers.
    words = [*small, "--method", "cda", "--mi", "400", "--ri", "100", "--batch-size", "3"]
    words += ["--checkpoint-seconds", "0.05"]
    one, run = Run(tmp_path / "one"), Run(tmp_path / "many")
    assert delt("recover", *words, "--out", one.path, "--quiet").exit_code == 0
    told = answer("recover", *words, "--out", run.path, "--prepare-only")
    assert (told["status"], run.status, workers_at(run.path)) == ("queued", "queued", [])
    gate = Leases(run.path)  # nobody begins before all are there
    gate.join()
    assert gate.take(LEAD) == LEAD
    workers = {process.pid: process for process in (started(*DELT, "work", run.path, "--quiet") for _ in "123")}
    wait_for(lambda: len(workers_at(run.path) or ()) == 4)
    assert "4 workers are at it" in refusal("resume", run.path, code=1)
    gate.end()
    killed = wait_for(lambda: at_batches(run))[0]
    left = next(pid for pid in workers if pid != killed)
    workers[killed].kill()
    workers[left].terminate()
    codes = {pid: process.wait(PATIENCE_S) for pid, process in workers.items()}
    assert sorted(codes.values()) == [-9, 0, 75]
    assert (codes[killed], codes[left]) == (-9, 75)
    assert run.status == "finished"
    assert pictures(run) == pictures(one)
    assert run.record().image_iterations == one.record().image_iterations
    assert not (run.path / "ranks").exists()
    assert not (run.path / "checkpoint").exists()
    assert delt("work", run.path).exit_code == 0  # a job of an array that comes late
