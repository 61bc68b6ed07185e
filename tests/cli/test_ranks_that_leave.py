"""A rank that is told to stop while it waits for orders, as real processes: the run pauses, and nobody waits."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from rank_processes import LAUNCHER, ranks_of
from waiting import PATIENCE_S, wait_for

from delt_engine.runs.store import Run, list_runs

pytest_plugins = ["colour_folder", "rank_processes"]
pytestmark = pytest.mark.timeout(600)  # several processes load torch one after the other
SCRIPT = Path(__file__).resolve().parent.parent / "leaving_rank.py"
LEFT = "Rank 1 was asked to stop and has left."


@pytest.fixture
def experiment(colours, tmp_path) -> Path:
    """A teacher and images of the colours."""
    file = tmp_path / "experiment.yaml"
    file.write_text(
        f"dataset: {colours}\nimage_size: 8\ndevice: cpu\n"
        "squeeze: {network: convnet-3, width: 0.0625, epochs: 4, batch_size: 16, min_crop: 1}\n"
        "recover: {ipc: 4, iterations: 8, round_iterations: 2, batch_size: 4}\n"
    )
    return file


def test_a_rank_that_leaves_after_a_joint_stage_pauses_the_next_one(delt, experiment, started, tmp_path) -> None:
    run, home = Run(tmp_path / "run"), tmp_path / "home"
    words = [*LAUNCHER, SCRIPT, "run", experiment, "--out", run.path, "--quiet"]
    launcher = started(*words, LEAVES="2", DELT_HOME=str(home))
    said = launcher.communicate(timeout=2 * PATIENCE_S)[1].decode()
    assert launcher.returncode == 0, said
    assert [each.status for each in list_runs(home / "runs")] == ["finished"]  # the teacher, made by both
    assert run.status == "paused"
    assert said.count(f"Stopped: run {run.id}: it was paused; `delt resume {run.path}` goes on.") == 1
    assert [event["text"] for event in run.events("note") if event["text"] == LEFT] == [LEFT]
    alone = started("-m", "delt_engine", "resume", run.path, "--ranks", "1", "--quiet", DELT_HOME=str(home))
    assert alone.wait(PATIENCE_S) == 0
    assert run.status == "finished"


def test_a_rank_that_leaves_before_the_first_order_is_not_waited_for(squeeze_options, colours, started, tmp_path):
    run = Run(tmp_path / "run")
    words = ["squeeze", "--dataset", colours, "--image-size", "8", "--device", "cpu", *squeeze_options]
    launcher = started(*LAUNCHER, SCRIPT, *words, "--out", run.path, "--quiet", LEAVES="1")
    ranks = wait_for(lambda: ranks_of(launcher).keys() == {"0", "1"} and list(ranks_of(launcher).values()))
    said = launcher.communicate(timeout=2 * PATIENCE_S)[1].decode()
    assert launcher.returncode == 0, said
    assert run.status == "paused"
    assert f"Stopped: run {run.id}: it was paused" in said
    assert not psutil.wait_procs(ranks, timeout=PATIENCE_S)[1]
