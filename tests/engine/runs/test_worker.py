"""Taking a run, waiting for a device, and listening for wishes."""

from __future__ import annotations

import itertools
import os
import signal
import threading

import pytest
from fake_runs import fake_experiment, make_finished_run

from delt_engine.errors import RunCancelled, RunError
from delt_engine.runs import worker
from delt_engine.runs.processes import this_process
from delt_engine.runs.store import Run
from delt_engine.runs.worker import DeviceLock, Wishes, claimed, device_lock_name, listening, stopped_status


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "locks_dir", lambda: tmp_path / "locks")
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.005)


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "a", fake_experiment())


def test_a_run_is_held_by_one_process_at_a_time(run) -> None:
    with claimed(run):
        assert run.record().process == this_process()
        with pytest.raises(RunError, match="another process is at work"), claimed(run):
            pass
    with claimed(run):
        assert run.status == "queued"


def test_a_finished_run_is_not_taken(tmp_path) -> None:
    with pytest.raises(RunError, match="finished"), claimed(make_finished_run(tmp_path / "b")):
        pass


def test_the_second_waits_until_the_device_is_free(run) -> None:
    first, second, got = DeviceLock("cpu"), DeviceLock("cpu"), threading.Event()
    assert first.take()
    assert not second.take()
    assert DeviceLock("cuda-0").take()  # another device is another lock

    def wait() -> None:
        second.wait(Wishes(run))
        got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.05)
    first.release()
    assert got.wait(5)
    thread.join()
    second.release()


def test_who_waits_can_be_cancelled(run) -> None:
    first = DeviceLock("cpu")
    assert first.take()
    run.request("cancel")
    with pytest.raises(RunCancelled, match="cancel"):
        DeviceLock("cpu").wait(Wishes(run))
    first.release()


def test_a_wish_in_the_control_file_is_heard(run) -> None:
    wishes = Wishes(run)
    assert wishes.asked() is None
    run.request("pause")
    wishes._looked = 0.0
    assert wishes.asked() == "pause"
    with pytest.raises(RunCancelled, match="pause"):
        wishes.check()


def test_the_control_file_is_not_read_in_every_iteration(run, monkeypatch) -> None:
    monkeypatch.setattr(worker, "POLL_SECONDS", 1000.0)
    wishes = Wishes(run)
    wishes.asked()
    monkeypatch.setattr(Run, "requested", lambda self: pytest.fail("read again"))
    assert wishes.asked() is None


@pytest.mark.parametrize(("number", "wish"), [(signal.SIGTERM, "pause"), (signal.SIGINT, "cancel")])
def test_signals_are_wishes_and_handlers_are_put_back(run, number, wish) -> None:
    before = signal.getsignal(number)
    with listening(run) as wishes:
        os.kill(os.getpid(), number)
        assert wishes.asked() == wish
        with pytest.raises(KeyboardInterrupt):  # whoever insists is let go at once
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_stopped_run_says_so_and_its_wish_is_met(run) -> None:
    run.request("pause")
    with claimed(run):
        assert stopped_status(run, "pause") == "paused"
    assert (run.status, run.record().process, run.requested()) == ("paused", None, None)
    assert run.latest_event("status")["status"] == "paused"
    with claimed(run):
        assert stopped_status(run, "cancel") == "cancelled"
    assert run.record().finished is not None


def test_locks_are_named_by_the_card_behind_the_number(monkeypatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert device_lock_name("cpu") == "cpu"
    assert device_lock_name("cuda") == device_lock_name("cuda:0") == "cuda-0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert device_lock_name("cuda") == "cuda-3"
    assert device_lock_name("cuda:1") == "cuda-1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(worker.platform, "system", lambda: "Linux")
    assert device_lock_name("auto") == "cpu"


def test_a_wish_ends_loading_at_any_line_and_a_late_one_harms_nothing(run) -> None:
    run.request("cancel")
    lines = None
    with listening(run) as wishes:
        wishes._looked, wishes._found = float("inf"), None  # the wish comes after the first look
        with pytest.raises(RunCancelled, match="cancel"), wishes.at_once():
            lines = sum(1 for _ in itertools.count())  # nobody asks in here
        assert not wishes._is_at_once
        wishes._is_woken = True
        wishes.signalled(signal.SIGINT, None)  # one that arrives too late is let pass
        assert not wishes.interrupted
    assert lines is None
