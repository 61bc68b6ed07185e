"""Runs as real processes: killed, resumed, queued, paused, cancelled, interrupted.

One run is made whole first; all others must end in its images.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import psutil
import pytest
from real_processes import DELT, called, opened, pictures
from waiting import PATIENCE_S, said_after, wait_for

from delt_engine.cli.options import read_experiment
from delt_engine.cli.recover import recover
from delt_engine.config import Experiment
from delt_engine.jobs import queue, start
from delt_engine.runs.events import NoteEvent, StatusEvent, StepEvent
from delt_engine.runs.processes import is_running
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run

pytestmark = pytest.mark.usefixtures("same_environment")


@pytest.fixture(scope="module")
def words(data) -> list[str]:
    return [*data, "--ipc", "4", "--mi", "2400", "--ri", "600", "--seed", "0"]


@pytest.fixture
def experiment(words) -> Experiment:
    return read_experiment(recover.make_context("recover", list(words)).params)


@pytest.fixture(scope="module")
def whole(environment, words, tmp_path_factory) -> dict[str, bytes]:
    """The pictures of a run that nobody disturbed; the command is tested on the way."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = called(environment, "recover", *words, "--method", "delt", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["run"], found["images"], found["num_rounds"]) == (str(out), 12, 4)
    assert found["image_iterations"] == 3 * (2400 + 1800 + 1200 + 600)
    assert found["seconds"] > 0
    assert "round 4 of 4" in done.stderr
    return pictures(Run(out))


@contextmanager
def held(run: Run) -> Iterator[None]:
    """Let a run's process stand still, so that it is no further when the test has looked at what it came to see."""
    process = psutil.Process(run.record().process.pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def in_second_round(run: Run) -> bool:
    """Whether the run is in its second round or further, with a checkpoint to go on from."""
    is_kept = any((run.path / "checkpoint").glob("*.safetensors"))
    step = run.latest_event(StepEvent)
    return is_kept and step is not None and step.round >= 2


def test_a_run_killed_at_any_moment_ends_in_the_same_images(started, environment, words, whole, tmp_path) -> None:
    process = started(*DELT, "recover", *words, "--checkpoint-seconds", "0.05", "--out", tmp_path / "run", "-q")
    run = opened(tmp_path / "run")
    wait_for(lambda: in_second_round(run))
    process.kill()
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert (run.record().status, run.status) == ("running", "interrupted")
    before = len(run.events(StepEvent))
    done = called(environment, "resume", run.path, "--json")
    assert json.loads(done.stdout)["status"] == "finished", done.stderr
    assert run.events(StepEvent)[before].iteration > 0  # it went on, and did not begin again
    assert pictures(run) == whole


@pytest.mark.parametrize(
    ("number", "status", "code"), [(signal.SIGINT, "cancelled", 130), (signal.SIGUSR1, "paused", 75)]
)
def test_signals_stop_within_two_seconds(started, words, tmp_path, number, status, code) -> None:
    process = started(*DELT, "recover", *words, "--mi", 24000, "--out", tmp_path / "run", "--json")
    run = opened(tmp_path / "run")
    wait_for(lambda: run.latest_event(StepEvent))
    asked = time.time()
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    assert said_after(run, asked) < 2
    assert process.returncode == code
    assert json.loads(stdout)["status"] == run.status == status
    assert stderr.splitlines()[-1].startswith("Stopped: run run: it was")
    assert run.rounds_written(0)[-1] >= 1
    assert not list(run.path.rglob("*.tmp"))


def test_jobs_queue_for_the_device_pause_cancel_and_go_on(experiment, whole, tmp_path) -> None:
    first = start.start(experiment, tmp_path / "first", options=RunOptions(live_seconds=0.05))
    wait_for(lambda: first.latest_event(StepEvent))
    with held(first):
        second = start.start(experiment, tmp_path / "second")
        wait_for(lambda: second.latest_event(NoteEvent))
        assert "Waiting for the device" in second.latest_event(NoteEvent).text
        assert (second.status, second.record().started) == ("queued", None)
        assert second.rounds_written(0) == [0]  # it already shows what it starts from
        waiting = psutil.Process(second.record().process.pid)
        assert not any("libtorch" in part.path for part in waiting.memory_maps())

    asked = time.time()
    start.pause(first)
    wait_for(lambda: first.status == "paused")
    assert said_after(first, asked) < 2
    wait_for(lambda: second.status == "running")
    assert not start.is_alive(first)

    wait_for(lambda: second.latest_event(StepEvent))
    with held(second):
        start.resume(first)
        wait_for(lambda: first.events(NoteEvent) and first.status == "queued")
    asked = time.time()
    start.cancel(second)
    wait_for(lambda: second.status == "cancelled")
    assert said_after(second, asked) < 2

    wait_for(lambda: first.status == "finished")
    assert pictures(first) == whole
    assert (first.record().threads, first.record().process) == (1, None)
    finished = [event.status for event in first.events(StatusEvent)]
    assert finished == ["running", "paused", "queued", "running", "finished"]


def test_three_runs_take_the_device_one_by_one_in_the_order_of_the_queue(experiment, tmp_path) -> None:
    short = experiment.replace(recover=experiment.recover.replace(iterations=40, round_iterations=10))
    settings = {"first": experiment, "second": short, "third": short}
    first, second, third = (start.start(each, tmp_path / name) for name, each in settings.items())
    wait_for(lambda: first.status == "running" and queue.place(third) == 2)
    with held(first):
        assert [queue.place(run) for run in (first, second, third)] == [None, 1, 2]
        queue.move_up(third)
        assert [queue.place(run) for run in (first, second, third)] == [None, 2, 1]
        wait_for(lambda: all(ticket.is_ready for ticket in queue.waiting()))
    wait_for(lambda: all(run.status == "finished" for run in (first, second, third)))
    records = [run.record() for run in (first, third, second)]  # of each: when it had the device
    assert all(before.finished <= after.started for before, after in pairwise(records))
    assert queue.waiting() == []


def test_a_run_is_cancelled_within_two_seconds_while_it_loads(experiment, tmp_path) -> None:
    run = start.start(experiment, tmp_path / "run")
    wait_for(lambda: run.status == "running")  # torch is being loaded
    asked = time.time()
    start.cancel(run)
    wait_for(lambda: run.status == "cancelled")
    assert said_after(run, asked) < 2
    wait_for(lambda: not start.is_alive(run))
    assert (run.error, run.requested()) == (None, None)


def test_a_run_that_was_typed_pauses_within_two_seconds_while_it_loads(started, words, tmp_path) -> None:
    process = started(*DELT, "recover", *words, "--out", tmp_path / "run", "--quiet")
    run = opened(tmp_path / "run")
    wait_for(lambda: run.status == "running")  # torch is being loaded
    asked = time.time()
    start.pause(run)
    assert process.wait(PATIENCE_S) == 75
    assert (run.status, said_after(run, asked) < 2) == ("paused", True)


def test_a_process_that_does_not_react_is_ended_and_its_run_goes_on_later(
    experiment, whole, tmp_path, monkeypatch
) -> None:
    run = start.start(experiment, tmp_path / "run", options=RunOptions(checkpoint_seconds=0.05))
    wait_for(lambda: in_second_round(run))
    hung = run.record().process
    psutil.Process(hung.pid).suspend()
    start.cancel(run)
    asked = (run.path / "control").stat().st_mtime
    for seconds, is_overdue in ((1.9, False), (2.1, True)):
        with monkeypatch.context() as patched:
            patched.setattr(start.time, "time", lambda now=asked + seconds: now)
            assert start.is_overdue(run) == is_overdue
    start.stop_hard(run)
    assert (run.status, run.requested(), run.record().process) == ("cancelled", None, None)
    assert not is_running(hung)
    assert run.rounds_written(0)[-1] >= 1
    start.resume(run)
    wait_for(lambda: run.status == "finished")
    assert pictures(run) == whole


def test_help_answers_without_torch(environment) -> None:
    script = "import sys\nfrom delt_engine.cli import main\ntry:\n    main(['recover', '--help'])\nfinally:\n"
    script += "    print(sorted({'torch', 'numpy', 'streamlit'} & set(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith("Usage: ")
    assert "torch" not in done.stderr
