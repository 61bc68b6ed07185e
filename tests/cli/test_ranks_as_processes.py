"""Several ranks at one run, as real processes under torch's launcher: the images are those of one process."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from real_processes import DELT, LAUNCHER, pictures, ranks_of
from waiting import PATIENCE_S, said_after, wait_for

from delt_engine.runs.events import StatusEvent, StepEvent
from delt_engine.runs.store import Run

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.timeout(600)]
THREE_BATCHES = ["--batch-size", "4", "--checkpoint-seconds", "0.05", "--quiet"]


def both_at_work(run: Run, times: int) -> bool:
    """Whether both ranks are in the middle of a batch since the run was begun for the n-th time."""
    since, found = 0, set()
    for event in run.events() if (run.path / "run.json").is_file() else ():
        if event == StatusEvent(status="running", time=event.time):
            since, found = since + 1, set()
        elif isinstance(event, StepEvent):
            found.add(event.rank)
    return since == times and found == {0, 1}


def test_a_killed_rank_is_started_again_and_the_images_are_those_of_one_process(delt, small, started, tmp_path):
    words = [*small, "--mi", "400", "--ri", "100", *THREE_BATCHES]
    assert delt("recover", *words, "--out", tmp_path / "one").exit_code == 0
    run = Run(tmp_path / "two")
    launcher = started(*LAUNCHER, "--max-restarts", "1", *DELT, "recover", *words, "--out", run.path)
    wait_for(lambda: both_at_work(run, 1))
    ranks_of(launcher)["1"].kill()
    said = launcher.communicate(timeout=PATIENCE_S)[1]
    assert launcher.returncode == 0, said
    assert run.status == "finished"
    assert [event.status for event in run.events(StatusEvent)].count("running") == 2
    assert pictures(run) == pictures(Run(tmp_path / "one"))
    steps = run.events(StepEvent)
    assert max(step.image_iterations for step in steps) == steps[-1].image_iterations_total
    assert run.record().image_iterations == steps[-1].image_iterations_total
    assert not (run.path / "ranks").exists()
    assert not (run.path / "checkpoint").exists()


def test_all_ranks_pause_by_request_or_by_a_signal_to_one_and_one_process_goes_on(delt, small, started, tmp_path):
    # Batches of the n-th images of all classes: every strip is written by both ranks.
    words = [*small, "--method", "cda", "--mi", "400", "--ri", "100", *THREE_BATCHES]
    assert delt("recover", *words, "--out", tmp_path / "one").exit_code == 0
    run = Run(tmp_path / "two")

    def paused(launcher, code: int, ask) -> None:
        ranks = list(ranks_of(launcher).values())
        asked = time.time()
        ask()
        wait_for(lambda: run.status == "paused")
        assert said_after(run, asked) < 2
        assert launcher.wait(PATIENCE_S) == code
        assert not psutil.wait_procs(ranks, timeout=PATIENCE_S)[1]

    by_option = started(*DELT, "recover", *words, "--ranks", "2", "--out", run.path)
    wait_for(lambda: both_at_work(run, 1))
    paused(by_option, 75, lambda: run.request("pause"))
    before = run.record().image_iterations
    assert 0 < before < 12 * 400
    by_launcher = started(*LAUNCHER, *DELT, "resume", run.path, "--quiet")
    wait_for(lambda: both_at_work(run, 2))
    second = ranks_of(by_launcher)["1"]
    paused(by_launcher, 0, second.terminate)
    assert before < run.record().image_iterations < 12 * 400
    assert delt("resume", run.path, "--ranks", "1", "--quiet").exit_code == 0
    assert pictures(run) == pictures(Run(tmp_path / "one"))


def test_ranks_share_a_ranking_and_one_that_fails_fails_the_run_with_its_sentence(small, started, tmp_path):
    run, script = Run(tmp_path / "run"), Path(__file__).resolve().parent.parent / "failing_rank.py"
    words = ["recover", *small, "--seed", "5", "--crops", "2", "--rank-batch-size", "8", "--quiet"]
    launcher = started(*LAUNCHER, script, *words, "--out", run.path, FAILS="image")
    said = launcher.communicate(timeout=PATIENCE_S)[1]
    assert launcher.returncode == 1, said
    assert (run.status, run.error) == ("failed", "data: image 7 cannot be read.")
    assert said.count("Error: data: image 7 cannot be read.") == 1
    launcher = started(*LAUNCHER, *DELT, "resume", run.path, "--quiet")
    assert launcher.wait(PATIENCE_S) == 0
    assert run.status == "finished"
