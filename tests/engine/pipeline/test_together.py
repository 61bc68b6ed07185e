"""Ranks that train one network together, as each of them sees it; real ones are in test_two_ranks.py."""

from __future__ import annotations

from datetime import timedelta

import pytest
import torch.distributed as dist
from fake_runs import fake_experiment

from delt_engine.errors import RanksLost, RunCancelled
from delt_engine.jobs import ranks
from delt_engine.pipeline import together
from delt_engine.runs.store import Run
from delt_engine.training import distributed as team_module
from delt_engine.training.distributed import ALONE, Team


@pytest.fixture
def run(tmp_path) -> Run:
    run = Run.create(tmp_path / "a", fake_experiment())
    run.update(device="cpu")
    return run


@pytest.fixture
def second(monkeypatch):
    """The other rank of two is asked for this: a wish, and whether it is urgent."""

    def asks(wish: str | None, is_urgent: bool = False) -> Team:
        theirs = (together.WISHES.index(wish), int(is_urgent))

        def all_reduce(tensor, op) -> None:
            assert op == dist.ReduceOp.MAX
            for place, value in enumerate(theirs):
                tensor[place] = max(int(tensor[place]), value)

        monkeypatch.setattr(team_module.dist, "all_reduce", all_reduce)
        return Team(0, 2)

    return asks


def test_one_rank_needs_no_group(run, monkeypatch) -> None:
    monkeypatch.setattr(dist, "init_process_group", lambda *a, **k: pytest.fail("made"))
    with together.met(run, lambda: pytest.fail("asked")) as team:
        assert team is ALONE
        assert together.told(run, team) == []


@pytest.mark.parametrize(
    ("own", "theirs", "expected"),
    [
        ((None,), (None,), (None, False)),
        (("pause",), (None,), ("pause", False)),
        ((None,), ("cancel",), ("cancel", False)),
        (("pause", True), ("cancel",), ("cancel", True)),
        ((None,), ("pause", True), ("pause", True)),
    ],
)
def test_what_one_rank_is_asked_for_all_are(second, own, theirs, expected) -> None:
    assert together.agreed(second(*theirs), *own) == expected


class Meeting:
    """The launcher's store, as far as a meeting needs it."""

    def __init__(self) -> None:
        self.store = dist.HashStore()

    def meet(self, check) -> dist.Store:
        check()
        return self.store


@pytest.fixture
def meeting(monkeypatch) -> Meeting:
    meeting = Meeting()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(ranks, "channel", lambda: meeting)
    return meeting


@pytest.mark.parametrize(("device", "backend"), [("cpu", "gloo"), ("cuda:0", "cpu:gloo,cuda:nccl")])
def test_a_group_is_made_for_the_device_and_taken_down_whatever_happens(run, meeting, monkeypatch, device, backend):
    made, cards = [], []
    monkeypatch.setattr(dist, "init_process_group", lambda *a, **k: made.append((a, k)))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: made.append("down"))
    monkeypatch.setattr("torch.cuda.set_device", lambda name: cards.append(name))
    run.update(device=device)

    def work(team: Team) -> None:
        made.append(team)
        raise RunCancelled("pause")

    with pytest.raises(RunCancelled), together.met(run, lambda: None) as team:
        work(team)
    timeout = made[0][1].pop("timeout")
    assert timeout >= timedelta(hours=2)  # torch's own half an hour is less than a test of a large network may take
    assert made == [((backend,), {"store": meeting.store, "rank": 1, "world_size": 2}), Team(1, 2), "down"]
    assert cards == [device] * (device != "cpu")


def test_ranks_that_cannot_be_brought_together_are_lost(run, meeting, monkeypatch) -> None:
    def broken(*args, **kwargs):
        raise RuntimeError("Connection refused")

    monkeypatch.setattr(dist, "init_process_group", broken)
    sentence = r"rank 1: the 2 ranks cannot be brought together \(Connection refused\)"
    with pytest.raises(RanksLost, match=sentence), together.met(run, lambda: None):
        pytest.fail("met")


def test_the_run_says_once_that_ranks_train_together(run) -> None:
    together.told(run, Team(0, 2))
    together.told(run, Team(0, 2))
    assert run.record().notes == (
        "2 ranks train one network, each on its part of every batch; BatchNorm normalises each part by itself.",
    )
