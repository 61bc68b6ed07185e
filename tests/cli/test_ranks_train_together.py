"""One teacher, or one student, trained by two real ranks under torch's launcher."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest
from real_processes import DELT, LAUNCHER, ranks_of
from waiting import PATIENCE_S, wait_for

from delt_engine.models.card import read_card
from delt_engine.runs.events import SqueezeEpochEvent, StatusEvent, StudentEpochEvent
from delt_engine.runs.store import Run

pytestmark = pytest.mark.timeout(600)  # several processes load torch one after the other
ROOT = Path(__file__).resolve().parent.parent
TOGETHER = "2 ranks train one network, each on its part of every batch; BatchNorm normalises each part by itself."


@pytest.fixture
def squeeze(data, squeeze_options) -> list[str]:
    """The command of a teacher that learns the colours in a moment."""
    return ["squeeze", *data, *squeeze_options]


@pytest.fixture
def students(data) -> list[str]:
    """The command of one student that learns for longer than anybody waits, and keeps every epoch."""
    training = "--seeds 1 --rand-augment none --epochs 5000 --validate-every 1000 --checkpoint-seconds 0.000001"
    return ["evaluate", "real", *data, *training.split()]


def epochs_of(run: Run) -> list[int]:
    return [event.epoch for event in run.events(SqueezeEpochEvent) or run.events(StudentEpochEvent)]


def first_epochs(run: Run) -> list[int]:
    """The first epoch of which there was an event, each time the run was begun."""
    begun: list[list[int]] = []
    for event in run.events():
        if isinstance(event, StatusEvent) and event.status == "running":
            begun.append([])
        elif isinstance(event, (SqueezeEpochEvent, StudentEpochEvent)):
            begun[-1].append(event.epoch)
    return [epochs[0] for epochs in begun if epochs]


def test_two_ranks_train_one_teacher(squeeze, started, tmp_path) -> None:
    out = tmp_path / "colours.safetensors"
    process = started(*DELT, *squeeze, "--ranks", "2", "--json", "--out", out)
    said, complaints = process.communicate(timeout=3 * PATIENCE_S)
    assert process.returncode == 0, complaints
    found = json.loads(said)
    assert (found["teacher"], found["accuracy"]) == (str(out), 100.0)
    assert (read_card(out).accuracy, read_card(out).epochs) == (100.0, 4)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_rank_that_fails_fails_the_run_with_its_sentence(squeeze, started, tmp_path) -> None:
    run = Run(tmp_path / "run")
    process = started(*LAUNCHER, ROOT / "failing_rank.py", *squeeze, "--quiet", "--out", run.path)
    complaints = process.communicate(timeout=3 * PATIENCE_S)[1]
    assert process.returncode == 1, complaints
    assert (run.status, run.error) == ("failed", "data: image 7 cannot be read.")
    assert run.record().notes == (TOGETHER,)
    assert "Error: data: image 7 cannot be read." in complaints


def test_a_teacher_of_two_ranks_goes_on_after_a_killed_rank(squeeze, started, tmp_path) -> None:
    run = Run(tmp_path / "run")
    long = ["--epochs", "2000", "--batch-size", "4", "--checkpoint-seconds", "0.000001"]
    launcher = started(*LAUNCHER, *DELT, *squeeze, *long, "--quiet", "--out", run.path)
    wait_for(lambda: (run.path / "run.json").is_file() and len(epochs_of(run)) > 5)
    ranks_of(launcher)["1"].kill()
    assert launcher.wait(PATIENCE_S) != 0
    last = epochs_of(run)[-1]
    assert epochs_of(run) == list(range(1, last + 1))  # the first rank alone tells
    process = started(*DELT, "resume", run.path, "--ranks", "1", "-q")
    went_on = wait_for(lambda: first_epochs(run)[1:])
    assert went_on[0] in (last, last + 1)  # the first rank may have lost the other before it saved what it had reported
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 128 + signal.SIGINT


def test_a_student_of_two_ranks_goes_on_after_a_killed_rank_and_after_a_pause_with_one(
    students, started, tmp_path
) -> None:
    run = Run(tmp_path / "run")
    launcher = started(*LAUNCHER, "--max-restarts", "1", *DELT, *students, "-q", "--out", run.path)
    wait_for(lambda: (run.path / "run.json").is_file() and len(epochs_of(run)) > 5)
    ranks_of(launcher)["1"].kill()
    assert wait_for(lambda: first_epochs(run)[1:]) > [1]  # it went on, and did not begin again
    ranks = list(ranks_of(launcher).values())
    run.request("pause")
    wait_for(lambda: run.status == "paused")
    out, err = launcher.communicate(timeout=PATIENCE_S)
    assert launcher.returncode == 0, err
    assert not psutil.wait_procs(ranks, timeout=PATIENCE_S)[1]
    assert not [event for event in run.events() if event.rank]  # the first alone tells
    last = epochs_of(run)[-1]
    process = started(*DELT, "resume", run.path, "--ranks", "1", "-q")
    wait_for(lambda: epochs_of(run)[-1] > last)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 128 + signal.SIGINT
    assert epochs_of(run)[epochs_of(run).index(last) + 1] == last + 1
