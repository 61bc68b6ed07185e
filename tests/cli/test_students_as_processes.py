"""Student training as real processes: killed and resumed, queued behind its images, paused and cancelled in time."""

from __future__ import annotations

import json
import signal
import time

import pytest
from real_processes import DELT, called, opened
from waiting import said_after, wait_for

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.jobs import start
from delt_engine.jobs.evaluations import evaluations, start_evaluation
from delt_engine.runs.events import StepEvent, StudentEpochEvent, StudentEvent
from delt_engine.runs.store import Run

pytestmark = pytest.mark.usefixtures("same_environment")
QUICK = ["--epochs", "40", "--validate-every", "20", "--rand-augment", "none", "--seeds", "3"]
LONG = EvaluateConfig(epochs=5000, rand_augment="none")


@pytest.fixture(scope="module")
def images(colours) -> Experiment:
    """Settings of random real images of the colours."""
    return Experiment.for_method("random", size=8, recover={"ipc": 4}, dataset=str(colours), image_size=8, device="cpu")


def reached(result: dict) -> list[tuple]:
    """Everything of the students but the time they took."""
    return [(each["seed"], each["top1_last"], each["curve"], each["per_class"]) for each in result["students"]]


def place(run: Run) -> tuple[int, int]:
    """Student and epoch at which the run is."""
    epoch = run.latest_event(StudentEpochEvent)
    return (epoch.student, epoch.epoch) if epoch else (0, 0)


def test_images_then_students_in_the_queue_and_killed_students_end_in_the_same_numbers(
    started, environment, images, tmp_path
) -> None:
    source = start.start(images, tmp_path / "source")
    config = EvaluateConfig(epochs=40, validate_every=20, rand_augment="none", seeds=3)
    whole = start_evaluation(source, config)  # its images are not there yet
    wait_for(lambda: whole.status in ("finished", "failed"))
    assert whole.error is None
    assert source.record().finished <= whole.record().started
    expected = whole.record().result
    assert [each["seed"] for each in expected["students"]] == [0, 1, 2]
    assert [found.run for found in evaluations() if found.source == str(source.path)] == [whole]

    often = ["--checkpoint-seconds", "0.000001", "--out", tmp_path / "run", "-q"]
    process = started(*DELT, "evaluate", source.path, *QUICK, *often)
    run = opened(tmp_path / "run")
    wait_for(lambda: place(run) >= (1, 10))  # the second of three students is on its way, or has been
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (run.record().status, run.status) == ("running", "interrupted")
    before = len(run.events(StudentEpochEvent))
    done = called(environment, "resume", run.path, "--json")
    assert done.returncode == 0, done.stderr
    assert reached(json.loads(done.stdout)) == reached(expected)
    went_on = run.events(StudentEpochEvent)[before]
    assert went_on.student > 1 or went_on.epoch > 1  # it went on, and did not begin again
    assert [event.student for event in run.events(StudentEvent)][-1] == 2


def test_students_pause_and_cancel_within_two_seconds_and_go_on(images, tmp_path) -> None:
    source = start.start(images, tmp_path / "source")
    run = start_evaluation(source, LONG)
    for ask, status in ((start.pause, "paused"), (start.cancel, "cancelled")):
        before = len(run.events(StudentEpochEvent))
        wait_for(lambda before=before: len(run.events(StudentEpochEvent)) > before)
        asked = time.time()
        ask(run)
        wait_for(lambda status=status: run.status == status)
        assert said_after(run, asked) < 2
        wait_for(lambda: not start.is_alive(run))
        last = run.events(StudentEpochEvent)[-1].epoch
        if status == "paused":
            start.resume(run)
            wait_for(lambda last=last: run.events(StudentEpochEvent)[-1].epoch > last)
            assert run.events(StudentEpochEvent)[before + last].epoch == last + 1  # nothing was lost
    assert run.record().seconds > 0


def test_a_source_that_was_stopped_fails_its_students_with_a_sentence(images, tmp_path) -> None:
    optimised = images.replace(recover={"ipc": 4, "iterations": 24000, "round_iterations": 600}, select={})
    source = start.start(optimised, tmp_path / "source")
    run = start_evaluation(source, LONG)
    wait_for(lambda: source.latest_event(StepEvent))
    start.cancel(source)
    wait_for(lambda: run.status == "failed")
    assert run.error == "source: run source is cancelled, but students learn from a finished one."


def test_names_that_do_not_match_are_refused_before_a_folder_is_made(refusal, tmp_path, colours) -> None:
    folder = tmp_path / "pictures"
    for number, name in enumerate(("blue", "green", "violet")):
        (folder / name).mkdir(parents=True)
        picture = next((colours / "train" / ("blue", "green", "red")[number]).iterdir())
        (folder / name / "0.png").write_bytes(picture.read_bytes())
    said = refusal("evaluate", folder, "--dataset", colours, "--image-size", 8, "--out", tmp_path / "run", *QUICK)
    assert "source: the class names do not match" in said
    assert "'violet'" in said
    assert "'red'" in said
    assert not (tmp_path / "run").exists()
