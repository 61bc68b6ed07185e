"""One network in training: its state on the disk, when it is kept, when it stops, and what the other ranks do."""

import json
from pathlib import Path

import pytest
import torch
from events_of_runs import squeeze_epoch
from fake_runs import fake_experiment
from safetensors.torch import save_file

from delt_engine.errors import RunCancelled
from delt_engine.jobs.ranks import Rank
from delt_engine.pipeline import train
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.train import TrainingRun, read_state, state_path, write_state
from delt_engine.runs.events import SqueezeEpochEvent, SqueezeStepEvent
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run
from delt_engine.training import distributed as team_module
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.squeeze import SqueezedEpoch, SqueezeProgress
from delt_engine.training.state import TrainingState

STATE = TrainingState({"network/weight": torch.arange(6.0).reshape(2, 3)}, {"seed": 1, "rates": [0.1, 1 / 3]})


class Clock:
    """Time as the test says it is."""

    def __init__(self, monkeypatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(train.time, "monotonic", lambda: self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds


class Stop:
    """What is asked of the process, as the test says it."""

    def __init__(self) -> None:
        self.request: str | None = None

    def asked(self) -> str | None:
        return self.request


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "a", fake_experiment())


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def stop() -> Stop:
    return Stop()


def step(number: int, steps: int = 10, epoch: int = 1) -> SqueezeProgress:
    return SqueezeProgress(epoch, 9, number, steps, 1.0, 50.0, 0.1)


def epoch_of(number: int, epochs: int = 9, capture=lambda: STATE) -> SqueezedEpoch:
    return SqueezedEpoch(
        capture, epoch=number, epochs=epochs, loss=1.0, train_accuracy=50.0, test_accuracy=None, seconds=1.0
    )


def training_of(run: Run, stop: Stop, team: Team = ALONE, before: float = 0.0, group=None) -> TrainingRun:
    rank = Rank(team.number, team.size)
    context = StageContext(run, None, "cpu", stop, lambda _event: None, rank)
    return TrainingRun(context, state_path(run, "teacher"), team, before, group)


def kept(run: Run) -> Path | None:
    """The checkpoint if it is there; it is taken away, so that the next one shows."""
    path = state_path(run, "teacher")
    if not path.is_file():
        return None
    path.unlink()
    return path


def test_a_state_comes_back_as_it_was(tmp_path) -> None:
    path = tmp_path / "checkpoint" / "student-0.safetensors"
    write_state(path, STATE)
    found = read_state(path)
    assert found.facts == STATE.facts
    assert found.tensors.keys() == STATE.tensors.keys()
    assert torch.equal(found.tensors["network/weight"], STATE.tensors["network/weight"])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_read_counts_as_none(tmp_path) -> None:
    path = tmp_path / "a.safetensors"
    assert read_state(path) is None
    write_state(path, STATE)
    whole = path.read_bytes()
    for damaged in (b"", b"damaged", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(damaged)
        assert read_state(path) is None
    for told in (None, {"position": "{"}, {"position": json.dumps({"batch": 1})}):
        save_file(STATE.tensors, path, metadata=told)
        assert read_state(path) is None


def test_an_epoch_is_kept_at_most_once_a_gap_and_never_the_last(run, clock, stop) -> None:
    training = training_of(run, stop)
    found = []
    for number, seconds in enumerate((0.4, 0.4, 0.4, 0.4, 5.0), 1):
        clock.passes(seconds)
        training.after_epoch(epoch_of(number, epochs=5))
        found.append(kept(run) is not None)
    assert found == [False, False, True, False, False]
    assert [event.epoch for event in run.events(SqueezeEpochEvent)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("longest", "expected"), [(30.0, [1, 5]), (8.0, [1, 3, 5, 7]), (0.5, [1, 2, 3, 4, 5, 6, 7])])
def test_checkpoints_that_cost_much_come_rarely(tmp_path, clock, stop, monkeypatch, longest, expected) -> None:
    run = Run.create(tmp_path / "a", fake_experiment(), options=RunOptions(checkpoint_seconds=longest))
    training, found = training_of(run, stop), []
    monkeypatch.setattr(train, "write_state", lambda *_: clock.passes(1.0))
    for number in range(1, 8):
        clock.passes(5.0)
        before = clock.now
        training.after_epoch(epoch_of(number))
        found += [number] if clock.now > before else []
    assert found == expected  # 1 s is 5 % of 20 s


def test_trainings_side_by_side_have_one_clock_and_share_the_time_for_checkpoints(
    run, clock, stop, monkeypatch
) -> None:
    group: list[TrainingRun] = []
    first = training_of(run, stop, before=3.0, group=group)
    clock.passes(1.0)
    second = training_of(run, stop, before=3.0, group=group)
    assert first.seconds == second.seconds == 4.0
    monkeypatch.setattr(train, "write_state", lambda *_: clock.passes(1.0))
    found = []
    for number in range(1, 10):
        clock.passes(6.0)
        before = clock.now
        first.after_epoch(epoch_of(number, epochs=99))
        found += [number] if clock.now > before else []
    assert found == [1, 6]  # 1 s is 5 % of 20 s, which the other one needs as well; 30 s is the run's longest gap


def test_a_stop_request_waits_for_an_epoch_that_is_near_and_keeps_it(run, clock, stop) -> None:
    training = training_of(run, stop)
    stop.request = "pause"
    for number in range(1, 10):
        clock.passes(0.1)
        training.after_step(step(number))
    with pytest.raises(RunCancelled, match="pause"):
        training.after_epoch(epoch_of(1))
    assert kept(run)
    assert run.record().seconds == pytest.approx(0.9)


def test_a_stop_request_does_not_wait_for_an_epoch_that_is_far(run, clock, stop) -> None:
    training = training_of(run, stop)
    clock.passes(0.1)
    stop.request = "cancel"
    with pytest.raises(RunCancelled, match="cancel"):
        training.after_step(step(1, steps=12))
    assert not kept(run)


def test_a_slow_step_is_not_begun_when_a_stop_is_asked_for(run, clock, stop) -> None:
    training = training_of(run, stop)
    for number in (1, 2):
        clock.passes(3.0)
        training.after_step(step(number))
    stop.request = "pause"
    clock.passes(3.0)
    with pytest.raises(RunCancelled):
        training.after_step(step(3))


def test_steps_are_told_now_and_then(run, clock, stop) -> None:
    training = training_of(run, stop)
    for number in range(1, 8):
        clock.passes(0.1)
        training.after_step(step(number))
    assert [(event.step, event.t) for event in run.events(SqueezeStepEvent)] == [(1, 0.1), (4, 0.4), (7, 0.7)]


def test_time_goes_on_after_events_and_work_of_before(run, clock, stop) -> None:
    assert training_of(run, stop, before=7.5).seconds == 7.5
    run.event(squeeze_epoch(epoch=3, t=12.25))
    clock.passes(50.0)
    training = training_of(run, stop, before=7.5)
    clock.passes(0.5)
    assert training.seconds == 12.75


def test_of_several_ranks_the_first_writes_and_all_stop(run, clock, stop, monkeypatch) -> None:
    request_of_the_other = [0]

    def all_reduce(tensor, _op) -> None:
        tensor[0] = max(int(tensor[0]), request_of_the_other[0])

    monkeypatch.setattr(team_module.dist, "all_reduce", all_reduce)
    second, first = (training_of(run, stop, Team(number, 2)) for number in (1, 0))
    clock.passes(5.0)
    second.after_step(step(1))
    second.after_epoch(epoch_of(1, capture=lambda: pytest.fail("captured")))
    assert (run.events(), kept(run)) == ([], None)
    first.after_step(step(1))
    first.after_epoch(epoch_of(1))
    assert len(run.events()) == 2
    assert kept(run)
    request_of_the_other[0] = 1
    for training in (second, first):
        with pytest.raises(RunCancelled, match="pause"):
            training.after_epoch(epoch_of(2))
    assert kept(run)
