"""Work of several ranks as the first one sees it: who does what, what is put into the run, and who is missing."""

from __future__ import annotations

import pytest
from delt_engine.pipeline.helping import RankRun
from delt_engine.pipeline.sharing import Shared
from fake_runs import fake_experiment

from delt_engine.errors import RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.ranks import Rank
from delt_engine.jobs.worker import Wishes
from delt_engine.pipeline import sharing
from delt_engine.runs import locks
from delt_engine.runs.processes import this_process
from delt_engine.runs.store import Run


class Orders(list):
    """What the first rank said, and who is not there any more to hear it."""

    say = list.append

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[int] = set()

    def left(self) -> set[int]:
        return self.gone


@pytest.fixture
def orders(monkeypatch) -> Orders:
    """Three ranks, this process being the first."""
    orders = Orders()
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr(ranks, "channel", lambda: orders)
    return orders


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "a", fake_experiment())


def others(run: Run) -> list[RankRun]:
    return [RankRun(run.path, Rank(number, 3, number)) for number in (1, 2)]


def begun(run: RankRun, **process) -> None:
    told = this_process().model_copy(update=process).model_dump()
    run.event({"kind": "rank", "state": "working", "process": told})


def test_one_process_does_all_and_tells_nobody(run, monkeypatch) -> None:
    monkeypatch.setattr(ranks, "channel", lambda: pytest.fail("told"))
    shared = Shared(run, "recover", [4, 7, 9], dict)
    assert shared.mine == [4, 7, 9]
    assert list(shared.news()) == list(shared.rest(Wishes(run))) == []
    shared.settle()
    assert not (run.path / locks.FOLDER).exists()


def test_pieces_are_dealt_out_in_turns(run, orders) -> None:
    shared = Shared(run, "recover", [0, 1, 2, 5, 6], dict)
    assert shared.mine == [0, 5]
    assert orders == [{"do": "recover", "run": str(run.path), "shares": [[0, 5], [1, 6], [2]]}]


def test_a_joint_piece_is_in_the_hands_of_all(run, orders) -> None:
    shared = Shared(run, "train", [1, 2], is_joint=True)
    assert shared.mine == [1, 2]
    assert orders == [{"do": "train", "run": str(run.path), "shares": [[1, 2]] * 3}]
    for other, state in zip(others(run), ("done", "stopped"), strict=True):
        begun(other)
        other.event({"kind": "rank", "state": state})
    assert list(shared.rest(Wishes(run))) == []  # what is trained is trained, also where one heard a wish at the end


def test_while_ranks_come_together_a_wish_a_failure_and_one_that_left_are_heard(run, orders) -> None:
    shared = Shared(run, "squeeze", [0], is_joint=True)
    one, two = others(run)
    begun(one)
    shared.attend(Wishes(run))
    one.event({"kind": "rank", "state": "stopped"})
    with pytest.raises(RunCancelled, match="pause"):
        shared.attend(Wishes(run))
    two.event({"kind": "rank", "state": "failed", "error": "data: it cannot be read."})
    with pytest.raises(RunError, match="data: it cannot be read"):
        shared.attend(Wishes(run))
    run.request("cancel")
    with pytest.raises(RunCancelled, match="cancel"):
        shared.attend(Wishes(run))


def test_what_the_others_say_becomes_part_of_the_run_once(run, orders) -> None:
    shared = Shared(run, "recover", range(3), lambda event: {**event, "image_iterations": 5})
    one, two = others(run)
    begun(one)
    one.event({"kind": "step", "batch": 1})
    two.note("worth knowing")
    with (run.path / locks.FOLDER / "1.jsonl").open("ab") as file:
        file.write(b'{"kind": "step", "ba')  # is being written
    told = list(shared.news())
    assert [(event["kind"], event.get("rank")) for event in told] == [("step", 1), ("note", None)]
    assert told[0]["image_iterations"] == 5
    assert [event["batch"] for event in run.events("step")] == [1]
    assert run.record().notes == ("worth knowing",)
    assert list(shared.news()) == []


def test_the_first_waits_for_the_others_and_clears_away_what_they_wrote(run, orders) -> None:
    shared = Shared(run, "recover", range(3), dict)
    one, two = others(run)
    begun(one)
    begun(two)
    one.event({"kind": "rank", "state": "done"})
    waiting = shared.rest(Wishes(run))
    two.event({"kind": "step", "batch": 2})
    two.event({"kind": "rank", "state": "done"})
    assert [event["rank"] for event in waiting] == [2]
    assert not (run.path / locks.FOLDER).exists()


def test_waiting_ends_at_a_wish(run, orders) -> None:
    shared = Shared(run, "recover", range(3), dict)
    run.request("cancel")
    with pytest.raises(RunCancelled):
        list(shared.rest(Wishes(run)))


@pytest.mark.parametrize(("wish", "expected"), [(None, "pause"), ("cancel", "cancel")])
def test_a_rank_that_was_told_to_stop_alone_is_not_waited_for(run, orders, wish, expected) -> None:
    shared = Shared(run, "recover", range(3), dict)
    wishes = Wishes(run)
    assert wishes.asked() is None  # what is asked of all is heard a moment later here than by that rank
    if wish:
        run.request(wish)
    for other, state in zip(others(run), ("done", "stopped"), strict=True):
        begun(other)
        other.event({"kind": "rank", "state": state})
    with pytest.raises(RunCancelled, match=expected):
        list(shared.rest(wishes))


@pytest.mark.parametrize("is_joint", [False, True])
def test_a_rank_that_left_while_it_waited_for_orders_is_not_waited_for(run, orders, monkeypatch, is_joint) -> None:
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.0)
    shared = Shared(run, "recover", range(3), is_joint=is_joint)
    begun(others(run)[0])
    orders.gone = {1, 2}  # the first of them has told in the run what it does
    wait = shared.attend if is_joint else lambda wishes: list(shared.rest(wishes))
    with pytest.raises(RunCancelled, match="pause"):
        wait(Wishes(run))
    assert [event["text"] for event in run.events("note")] == ["Rank 2 was asked to stop and has left."]
    assert run.record().notes == ()  # nothing that is worth knowing of the images


def test_a_rank_without_work_may_leave_while_it_waits_for_orders(run, orders, monkeypatch) -> None:
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.0)
    shared = Shared(run, "recover", range(2))  # two pieces: the third rank has none
    first, _ = others(run)
    begun(first)
    first.event({"kind": "rank", "state": "done"})
    orders.gone = {2}
    assert [event for event in shared.rest(Wishes(run)) if event["kind"] == "note"] == []
    assert not (run.path / "ranks").exists()


def test_a_rank_that_left_when_it_was_through_is_not_missed(run, orders, monkeypatch) -> None:
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.0)
    shared = Shared(run, "recover", range(3), dict)

    def left_in_this_moment() -> set[int]:
        for other in others(run):
            begun(other)
            other.event({"kind": "rank", "state": "done"})
        return {1, 2}

    orders.left = left_in_this_moment
    assert list(shared.rest(Wishes(run))) == []


def test_a_rank_that_failed_or_is_gone_is_told(run, orders, monkeypatch) -> None:
    shared = Shared(run, "recover", range(3), dict)
    one, two = others(run)
    begun(one, created=1.0)  # a process of that number began at another time
    with pytest.raises(RunError, match="the process of rank 1 is gone"):
        list(shared.news())
    two.event({"kind": "rank", "state": "failed", "error": "device: 'cuda:2' given, but there is none."})
    with pytest.raises(RunError, match="'cuda:2' given"):
        shared.settle() or list(shared.news())
    monkeypatch.setattr(sharing, "SETTLE_SECONDS", 0.0)
    shared.settle()  # a rank that does not answer is not waited for


def test_other_ranks_read_the_record_with_their_own_card_and_leave_it_as_it_is(run) -> None:
    run.update(device="cuda:0")
    other = RankRun(run.path, Rank(1, 3, 1))
    assert (other.record().device, run.record().device) == ("cuda:1", "cuda:0")
    other.update(seconds=5.0)
    assert run.record().seconds == 0.0
    assert other.requested() is None
    run.set_status("paused")  # the first has met the wish and taken it back
    assert other.requested() == "pause"
