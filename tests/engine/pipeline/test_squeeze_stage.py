"""The squeeze stage: the same teacher wherever it was stopped or killed, from the checkpoint of its last epoch."""

import pytest
from tiny_world import SQUEEZE, run_until_stopped

from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.jobs import worker
from delt_engine.pipeline import train as training
from delt_engine.pipeline.run import run_experiment
from delt_engine.pipeline.train import read_state, state_path, write_state
from delt_engine.plots.training import training_curves
from delt_engine.runs.events import SqueezeEpochEvent, SqueezeStepEvent, TimedEvent
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run
from delt_engine.training.squeeze import SqueezeProgress

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = SQUEEZE.replace(epochs=5, schedule="cosine")
EVERY_EPOCH = RunOptions(checkpoint_seconds=1e-6)


class Killed(BaseException):
    """What nothing in a process can answer."""


@pytest.fixture
def experiment(settings):
    def make(config: SqueezeConfig = SHORT) -> Experiment:
        return settings().replace(squeeze=config)

    return make


def queued(path, experiment: Experiment, options: RunOptions = EVERY_EPOCH) -> Run:
    return Run.create(path, experiment, "squeeze", options=options)


def test_of_two_teachers_of_one_name_at_once_neither_takes_the_other_ones_place(world, experiment, monkeypatch):
    """A second squeeze, on another device or machine, is through between the look for a free name and the write."""
    look, others = training.free_teacher_path, []

    def free_teacher_path(name: str, fingerprint: str):
        found = look(name, fingerprint)
        if not others:
            found.write_bytes(b"of another squeeze")
            others.append(found)
        return found

    monkeypatch.setattr(training, "free_teacher_path", free_teacher_path)
    run = queued(world / "a", experiment(SHORT.replace(epochs=1)))
    run_experiment(run)
    kept = others[0].with_name(f"{run.record().result['name']}.safetensors")
    assert others[0].read_bytes() == b"of another squeeze"
    assert kept.read_bytes() == (run.path / "teacher.safetensors").read_bytes()
    queued_again = queued(world / "b", experiment(SHORT.replace(epochs=1)))
    run_experiment(queued_again)
    assert queued_again.record().result["name"] == kept.stem, "the same weights have one place"


def whole(path, experiment: Experiment) -> bytes:
    """The teacher of a squeeze that nobody disturbed."""
    run = queued(path, experiment)
    run_experiment(run)
    return teacher_of(run)


def teacher_of(run: Run) -> bytes:
    return (run.path / "teacher.safetensors").read_bytes()


def epochs_of(run: Run) -> list[int]:
    return [event.epoch for event in run.events(SqueezeEpochEvent)]


def watch(monkeypatch, look) -> None:
    """Let ``look`` see every record before the stage does."""
    train = training.squeeze

    def watched(*args, **kwargs):
        for record in train(*args, **kwargs):
            look(record)
            yield record

    monkeypatch.setattr(training, "squeeze", watched)


def stop_in(monkeypatch, epoch: int) -> None:
    """Ask for a pause in the last step of an epoch."""

    def look(record) -> None:
        if isinstance(record, SqueezeProgress) and (record.epoch, record.step) == (epoch, record.steps):
            monkeypatch.setattr(worker.StopRequests, "asked", lambda self: "pause")

    watch(monkeypatch, look)


def kill_after(monkeypatch, epoch: int) -> None:
    """Let the process die in the first step after an epoch."""

    def look(record) -> None:
        if isinstance(record, SqueezeProgress) and record.epoch == epoch + 1:
            raise Killed

    watch(monkeypatch, look)


def killed(run: Run, monkeypatch, epoch: int) -> None:
    with monkeypatch.context() as patched:
        kill_after(patched, epoch)
        with pytest.raises(Killed):
            run_experiment(run)


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_paused_after_any_epoch_it_ends_in_the_same_teacher(world, experiment, monkeypatch, epoch) -> None:
    run = queued(world / "a", experiment(), RunOptions())
    with monkeypatch.context() as patched:
        stop_in(patched, epoch)
        run_until_stopped(run)
    assert run.status == "paused"
    assert read_state(state_path(run, "teacher")).facts["epoch"] == epoch
    assert run.record().seconds >= run.latest_event(SqueezeEpochEvent).t > 0
    run.update(seconds=1000.0)
    run_experiment(run)
    assert epochs_of(run) == [1, 2, 3, 4, 5]
    assert all(event.t >= 1000 for event in run.events(SqueezeEpochEvent)[epoch:])
    assert teacher_of(run) == whole(world / "whole", experiment())
    assert 1000 < run.record().seconds < 2000
    assert run.record().result["accuracy"] == run.latest_event(SqueezeEpochEvent).test_accuracy
    assert not (run.path / "checkpoint").exists()


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "adamw", "schedule": "one-cycle", "learning_rate": 0.01, "precision": "bfloat16"}]
)
def test_killed_between_epochs_it_goes_on_from_the_last_checkpoint(world, experiment, monkeypatch, changes) -> None:
    settings = experiment(SHORT.replace(**changes))
    run = queued(world / "a", settings)
    killed(run, monkeypatch, 3)
    assert run.record().status == "running"  # nobody could say that it stopped
    run_experiment(run)
    assert epochs_of(run) == [1, 2, 3, 4, 5]
    assert teacher_of(run) == whole(world / "whole", settings)
    assert not (run.path / "checkpoint").exists()


def test_epochs_told_twice_are_drawn_once_and_time_does_not_go_back(world, experiment, monkeypatch) -> None:
    run = queued(world / "a", experiment())

    def write_until_second(path, state) -> None:
        if state.facts["epoch"] <= 2:
            write_state(path, state)

    with monkeypatch.context() as patched:
        patched.setattr(training, "write_state", write_until_second)
        killed(run, patched, 4)
    told = run.latest_event(SqueezeStepEvent).t
    run_experiment(run)
    assert epochs_of(run) == [1, 2, 3, 4, 3, 4, 5]
    times = [event.t for event in run.events(TimedEvent)]
    assert times == sorted(times)
    assert run.record().seconds > told
    loss, *_ = training_curves(run.events(SqueezeEpochEvent), 5).data
    assert list(loss.x) == [1, 2, 3, 4, 5]
    assert teacher_of(run) == whole(world / "whole", experiment())


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"damaged"), lambda path: path.unlink()])
def test_without_a_readable_checkpoint_it_begins_again(world, experiment, monkeypatch, damage) -> None:
    run = queued(world / "a", experiment())
    killed(run, monkeypatch, 2)
    damage(state_path(run, "teacher"))
    run_experiment(run)
    assert epochs_of(run) == [1, 2, 1, 2, 3, 4, 5]
    assert teacher_of(run) == whole(world / "whole", experiment())
