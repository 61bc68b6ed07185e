"""Taking work by files: one gets it, the dead lose it, and no two machines' clocks are compared."""

from __future__ import annotations

import os

import pytest

from delt_engine.errors import LeaseLost
from delt_engine.jobs import leases as module
from delt_engine.jobs.leases import Leases, batch_name
from delt_engine.runs import workers
from delt_engine.runs.processes import GAP, PATIENCE
from delt_engine.runs.workers import FOLDER, read_worker, worker_path, workers_at


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def join(tmp_path, clock, monkeypatch):
    """Let a worker of some machine join; processes of other machines cannot be asked."""
    (tmp_path / FOLDER).mkdir(parents=True)

    def make(machine: str = "") -> Leases:
        joined = Leases(tmp_path, clock)
        with monkeypatch.context() as patched:
            if machine:
                elsewhere = module.this_process().model_copy(update={"hostname": machine})
                patched.setattr(module, "this_process", lambda: elsewhere)
            joined.join()
        return joined

    return make


def test_a_piece_of_work_is_one_workers_until_it_is_released_or_done(join) -> None:
    first, second = join(), join()
    assert (first.own.number, second.own.number) == (1, 2)
    assert first.take("a", "b") == "a"
    assert second.take("a", "b") == "b"
    assert second.take("a") is None
    first.release("a")
    assert second.take("a") == "a"
    first.release("a")  # no longer its own
    assert first.take("a") is None
    second.set_done("a")
    second.end()
    assert first.take("a") is None  # done by one that has left
    assert first.take("b") == "b"
    assert first.done() == {"a"}


def test_one_that_is_silent_by_its_count_loses_its_work_and_learns_of_it(join, clock) -> None:
    far, near = join("far"), join()
    assert far.take("a") == "a"
    assert near.take("a") is None  # from now on the count is known
    clock.now += PATIENCE - 1
    far.beat()
    assert read_worker(worker_path(far.run_path, 1)).beats == 1
    for seconds in (2, PATIENCE - 1):
        clock.now += seconds
        assert near.take("a") is None
    clock.now += 1
    assert near.take("a") == "a"
    with pytest.raises(LeaseLost, match="worker 1: it was silent for so long"):
        far.beat()
    far.release("a")
    far.join()
    assert far.take("a") is None
    near.beat()


def test_clocks_of_files_do_not_matter_to_who_takes_work(join, clock, tmp_path) -> None:
    far, near = join("far"), join()
    far.take("a")
    os.utime(worker_path(tmp_path, 1), (0, 0))
    assert near.take("a") is None
    assert [worker.number for worker in workers_at(tmp_path)] == [2]  # one look can only go by the file's time


def test_a_process_of_this_machine_that_is_gone_loses_its_work_at_once(join, monkeypatch) -> None:
    gone, near = join(), join()
    gone.take("a")
    monkeypatch.setattr(module, "is_running", lambda process: False)
    assert near.take("a") == "a"
    gone.join()
    assert gone.own.number == 1  # the number is free, the work is not its own
    monkeypatch.undo()
    assert gone.take("a") is None


def test_process_numbers_of_another_container_say_nothing(join, monkeypatch) -> None:
    boxed, near = join(), join()
    boxed.take("a")
    monkeypatch.setattr(workers, "process_space", lambda: "pid:[1]")
    monkeypatch.setattr(module, "is_running", lambda process: False)
    assert near.take("a") is None


def test_half_a_claim_is_waited_for(join, clock) -> None:
    one = join()
    (one.folder / "a.1").touch()  # its maker died before it was whole, on a disk without hard links
    assert one.take("a") is None
    clock.now += PATIENCE
    assert one.take("a") == "a"


def test_how_far_others_are_is_told(join, clock) -> None:
    one, other = join(), join()
    assert one.progress() == {}
    other.say(4)
    other.iteration = 70
    other.set_done(batch_name(2))
    assert one.progress() == {}  # at most a moment old
    clock.now += GAP
    other.beat()
    assert one.progress() == {4: 70, 2: None}
    assert other.progress() == {2: None}


def test_what_cannot_be_done_is_told_until_it_is_tried_again(join) -> None:
    one = join()
    one.set_failed(batch_name(1), "the loss is not finite.")
    assert one.failures() == {"batch-00001": "the loss is not finite."}
    one.forget_failures()
    assert one.failures() == {}


def test_a_finished_runs_folder_does_not_come_back(join, tmp_path) -> None:
    one = join()
    one.take("a")
    one.remove()
    assert workers_at(tmp_path) is None
    assert one.take("b") is None
    one.release("a")
    with pytest.raises(LeaseLost):
        one.say(None)
    one.end()
    assert not (tmp_path / FOLDER).exists()
