"""What ranks other than the first do: orders, shares, and how they tell what became of them."""

from __future__ import annotations

import json

import pytest
from delt_engine.pipeline.helping import RankRun, help_first
from tiny_world import finished, images_of

from delt_engine.errors import ConfigError, RanksLost, RunCancelled
from delt_engine.jobs import ranks
from delt_engine.jobs.ranks import Rank
from delt_engine.jobs.worker import listening
from delt_engine.patches.ranking import Ranking
from delt_engine.pipeline import helping, stages
from delt_engine.pipeline.inputs import share_inputs
from delt_engine.runs import locks
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


class Orders:
    """Orders as a rank hears them."""

    def __init__(self, *orders) -> None:
        self.orders, self.has_left = list(orders), False

    def hear(self, check):
        check()
        return self.orders.pop(0)

    def leave(self) -> None:
        self.has_left = True


@pytest.fixture
def second(monkeypatch):
    """This process is the second of two ranks; give the orders that it hears."""

    def told(*orders) -> Orders:
        channel = Orders(*orders)
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setattr(ranks, "channel", lambda: channel)
        return channel

    return told


def begun(world, settings, name: str, **values) -> Run:
    run = Run.create(world / name, settings(**values))
    run.update(device="cpu")
    (run.path / locks.FOLDER).mkdir()
    return run


def events_of(run: Run) -> list[dict]:
    return [json.loads(line) for line in (run.path / locks.FOLDER / "1.jsonl").read_text().splitlines()]


def order(run: Run, work: str, *shares) -> dict:
    return {"do": work, "run": str(run.path), "shares": [list(share) for share in shares]}


def test_a_rank_recovers_its_batches_to_the_same_images(world, settings, second) -> None:
    whole = finished(world / "whole", settings(batch_size=4))
    run = begun(world, settings, "a", batch_size=4)
    record = whole.record()
    run.update(dataset=record.dataset, teacher=record.teacher, classes=record.classes, speed=record.speed, threads=1)
    (run.path / "selection.csv").write_bytes((whole.path / "selection.csv").read_bytes())
    before = run.record()
    channel = second(order(run, "recover", [0], [1, 2]), {"do": "end"})
    help_first()
    assert channel.has_left
    states = [event["state"] for event in events_of(run) if event["kind"] == "rank"]
    assert states == ["working", "done"]
    assert {event["batch"] for event in events_of(run) if event["kind"] == "step"} == {1, 2}
    assert run.record() == before
    assert not run.events()
    made, all_images = images_of(run), images_of(whole)
    assert made == {name: data for name, data in all_images.items() if "0-red" not in name}


def test_a_rank_scores_its_share(world, settings, second) -> None:
    whole = finished(world / "whole", settings(rank={"batch_size": 8}))
    run = begun(world, settings, "a", rank={"batch_size": 8})
    record = whole.record()
    run.update(dataset=record.dataset, teacher=record.teacher, classes=record.classes)
    second(order(run, "rank", [0], [1]), {"do": "end"})
    help_first()
    part = Ranking.load(stages._part_path(run, 1))
    assert (part.image_index[0], len(part)) == (32, 40)  # nine batches of eight: four for the first rank
    assert [event["done"] for event in events_of(run) if event["kind"] == "stage"][-1] == 40


def test_a_share_that_fails_tells_why(world, settings, second, monkeypatch) -> None:
    run = begun(world, settings, "a")

    def failing(run, pieces, wishes):
        raise ConfigError("device: 'cuda:1' given, but there is none.")
        yield

    monkeypatch.setattr(helping, "_share", lambda work: failing)
    second(order(run, "recover", [0], [1]))
    with pytest.raises(ConfigError):
        help_first()
    assert events_of(run)[-1]["state"] == "failed"
    assert "'cuda:1' given" in events_of(run)[-1]["error"]


def test_a_rank_that_was_left_goes_without_a_word(world, settings, second, monkeypatch) -> None:
    run = begun(world, settings, "a")

    def left(run, pieces, wishes):
        raise RanksLost("rank 1: one of the 2 ranks is gone.")
        yield

    monkeypatch.setattr(helping, "_share", lambda work: left)
    channel = second(order(run, "squeeze", [0], [0]))
    help_first()
    assert [event["state"] for event in events_of(run)] == ["working", "stopped"]
    assert channel.has_left


def test_a_squeeze_needs_no_teacher(world, settings) -> None:
    run = Run.create(world / "a", settings(), kind="squeeze")
    assert share_inputs(run).teacher_path is None


def test_a_wish_ends_a_share_and_the_rank(world, settings, second, monkeypatch) -> None:
    run = begun(world, settings, "a")

    def endless(run, pieces, wishes):
        while True:
            run.request("pause")
            wishes._looked = 0.0
            wishes.check()
            yield {}

    monkeypatch.setattr(helping, "_share", lambda work: endless)
    channel = second(order(run, "recover", [0], [1]), order(run, "recover", [0], [1]))
    help_first()
    assert [event["state"] for event in events_of(run)] == ["working", "stopped"]
    assert channel.has_left
    assert len(channel.orders) == 1


def test_a_rank_without_a_share_is_done_at_once(world, settings, second) -> None:
    run = begun(world, settings, "a")
    second(order(run, "recover", [0], []), {"do": "end"})
    help_first()
    assert [event["state"] for event in events_of(run)] == ["working", "done"]


def test_a_wish_that_the_first_rank_has_met_is_still_one(world, settings) -> None:
    run = begun(world, settings, "a")
    run.set_status("cancelled")
    with listening(RankRun(run.path, Rank(1, 2))) as wishes, pytest.raises(RunCancelled, match="cancel"):
        wishes.check()
