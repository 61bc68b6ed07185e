"""Several ranks at one run, as real processes under torch's launcher: the images are those of one process."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from rank_processes import LAUNCHER
from waiting import PATIENCE_S, said_after, wait_for

from delt_engine.runs.store import Run

pytest_plugins = ["colour_folder", "rank_processes"]
pytestmark = pytest.mark.usefixtures("one_thread")
THREE_BATCHES = ["--batch-size", "4", "--checkpoint-seconds", "0.05", "--quiet"]


def pictures(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*.png"))}


def other_at_work(run: Run) -> psutil.Process | None:
    """The second rank's process, once it is in the middle of its batch."""
    with contextlib.suppress(OSError):
        told = (run.path / "ranks" / "1.jsonl").read_text()
        if '"step"' in told:
            return psutil.Process(json.loads(told.splitlines()[0])["process"]["pid"])
    return None


def test_a_killed_rank_is_started_again_and_the_images_are_those_of_one_process(delt, small, started, tmp_path):
    words = [*small, "--mi", "400", "--ri", "100", *THREE_BATCHES]
    assert delt("recover", *words, "--out", tmp_path / "one").exit_code == 0
    run = Run(tmp_path / "two")
    launcher = started(*LAUNCHER, "--max-restarts", "1", "-m", "delt_engine", "recover", *words, "--out", run.path)
    wait_for(lambda: other_at_work(run)).kill()
    said = launcher.communicate(timeout=PATIENCE_S)[1].decode()
    assert launcher.returncode == 0, said
    assert run.status == "finished"
    assert [event["status"] for event in run.events("status")].count("running") == 2
    assert pictures(run.path) == pictures(tmp_path / "one")
    steps = run.events("step")
    assert {step.get("rank", 0) for step in steps} == {0, 1}
    assert steps[-1]["image_iterations"] == run.record().image_iterations == steps[-1]["image_iterations_total"]
    assert not (run.path / "ranks").exists()
    assert not (run.path / "checkpoint").exists()


def test_a_pause_reaches_all_ranks_and_one_process_goes_on(delt, small, started, tmp_path):
    # Batches of the n-th images of all classes: every strip is written by both ranks.
    words = [*small, "--method", "cda", "--mi", "400", "--ri", "100", *THREE_BATCHES]
    assert delt("recover", *words, "--out", tmp_path / "one").exit_code == 0
    run = Run(tmp_path / "two")
    launcher = started("-m", "delt_engine", "recover", *words, "--ranks", "2", "--out", run.path)
    other = wait_for(lambda: other_at_work(run))
    asked = time.time()
    run.request("pause")
    wait_for(lambda: run.status == "paused")
    assert said_after(run, asked) < 2
    assert launcher.wait(PATIENCE_S) == 128 + signal.SIGINT
    other.wait(PATIENCE_S)
    assert 0 < run.record().image_iterations < 12 * 400
    assert delt("resume", run.path, "--ranks", "1", "--quiet").exit_code == 0
    assert pictures(run.path) == pictures(tmp_path / "one")
