"""Who waits for a device: in which order, who counts, and who is next."""

import json

import pytest
from fake_runs import fake_experiment

from delt_engine.errors import RunError
from delt_engine.jobs import queue, worker
from delt_engine.jobs.worker import DeviceLock
from delt_engine.runs.processes import hostname, this_process
from delt_engine.runs.store import Run


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    for module in (queue, worker):
        monkeypatch.setattr(module, "locks_dir", lambda: tmp_path / "locks")


@pytest.fixture
def three(tmp_path, monkeypatch) -> list[Run]:
    """Three runs that wait for the CPU since seconds 1, 2 and 3."""
    made = []
    for number, name in enumerate("abc", start=1):
        run = Run.create(tmp_path / name, fake_experiment())
        monkeypatch.setattr(queue.time, "time", lambda number=number: float(number))
        queue.enter(run, "cpu", is_ready=True)
        made.append(run)
    monkeypatch.undo()
    monkeypatch.setattr(queue, "locks_dir", lambda: tmp_path / "locks")
    monkeypatch.setattr(worker, "locks_dir", lambda: tmp_path / "locks")
    return made


def names() -> str:
    return "".join(ticket.run.id for ticket in queue.waiting("cpu"))


def test_turns_come_in_order_of_arrival(three) -> None:
    assert names() == "abc"
    assert [queue.place(run) for run in three] == [1, 2, 3]
    assert [queue.is_next(run) for run in three] == [True, False, False]
    queue.enter(three[0], "cpu", is_ready=True)  # who waits already keeps its place
    assert names() == "abc"


def test_runs_are_moved_by_one_place_and_to_the_front(three) -> None:
    queue.move_up(three[2])
    assert names() == "acb"
    queue.move_up(three[2])
    assert names() == "cab"
    queue.move_up(three[2])
    assert names() == "cab"
    queue.move_to_front(three[1])
    assert names() == "bca"
    assert queue.is_next(three[1])
    queue.leave(three[1])
    assert (names(), queue.place(three[1])) == ("ca", None)
    with pytest.raises(RunError, match="run b: it does not wait for a device"):
        queue.move_up(three[1])
    queue.enter(three[1], "cpu")
    assert names() == "cab"  # its place at the front is gone with it


def test_the_dead_and_the_stopped_hold_nobody_up(three) -> None:
    gone = this_process().model_copy(update={"created": 1.0})
    three[0].update(process=gone)
    three[1].set_status("cancelled")
    assert queue.is_next(three[2])
    assert names() == "c"
    assert len(list((queue.locks_dir() / "queue").iterdir())) == 1  # nothing is left of them


def test_another_device_is_another_queue(three, tmp_path) -> None:
    other = Run.create(tmp_path / "d", fake_experiment())
    queue.enter(other, "cuda-0")
    assert queue.is_next(other)
    assert names() == "abc"
    assert [ticket.run.id for ticket in queue.waiting()] == ["a", "b", "c", "d"]


def test_who_waits_on_another_machine_that_shares_the_home_holds_nobody_up_here(three, monkeypatch) -> None:
    """Its process cannot be asked whether it still lives, and its card is another one."""
    far = three[0]
    queue.leave(far)
    monkeypatch.setattr(queue, "hostname", lambda: "far")
    queue.enter(far, "cpu", is_ready=True)
    monkeypatch.setattr(queue, "hostname", hostname)
    far.update(process=this_process().model_copy(update={"hostname": "far", "boot": "another"}))
    (far.path / "queue").write_text("0.0")  # before all others
    assert far.is_active
    assert [queue.is_next(run) for run in three[1:]] == [True, False]
    assert [queue.place(run) for run in three] == [1, 1, 2]
    assert [ticket.run.id for ticket in queue.waiting()] == ["a", "b", "c"]


def test_who_reads_its_data_for_long_is_passed(three) -> None:
    queue.leave(three[0])
    queue.enter(three[0], "cpu")
    since = queue.waiting("cpu")[-1].since
    (three[0].path / "queue").write_text("0.5")
    assert names() == "abc"
    assert not queue.is_next(three[1], now=since + queue.PREPARING_SECONDS - 1)
    assert queue.is_next(three[1], now=since + queue.PREPARING_SECONDS + 1)


def test_a_free_device_is_left_to_those_before(three) -> None:
    first, second = DeviceLock("cpu", three[0]), DeviceLock("cpu", three[1])
    assert not second.take()
    assert first.take()
    queue.leave(three[0])
    assert not second.take()  # its turn, but the device is in use
    first.release()
    assert second.take()
    second.release()


def test_a_damaged_ticket_is_thrown_away(three) -> None:
    ticket = queue.locks_dir() / "queue" / "0.json"
    ticket.write_text("{")
    (queue.locks_dir() / "queue" / "1.json").write_text(
        json.dumps({"run": "/nowhere", "device": "cpu", "since": 0, "is_ready": True})
    )
    assert names() == "abc"
    assert not ticket.exists()
