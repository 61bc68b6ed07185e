"""Taking a run, waiting for a device, and listening for wishes."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import threading

import pytest
from fake_runs import fake_experiment, make_finished_run
from waiting import PATIENCE_S

from delt_engine.errors import RunCancelled, RunError
from delt_engine.jobs import worker
from delt_engine.jobs.worker import DeviceLock, Wishes, claimed, device_lock_name, listening, stopped_status
from delt_engine.runs.processes import this_process
from delt_engine.runs.store import Run


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


def test_who_has_said_how_the_run_stopped_is_waited_for_until_it_lets_go(run, monkeypatch) -> None:
    """A person may go on with a paused run before its process has ended."""
    waited, leaving = [], claimed(run)
    leaving.__enter__()
    stopped_status(run, "pause")

    def sleep(_seconds) -> None:
        waited.append(run.status)
        if len(waited) == 3:
            leaving.__exit__(None, None, None)

    monkeypatch.setattr(worker.time, "sleep", sleep)
    with claimed(run):
        assert run.record().process == this_process()
    assert waited == ["paused"] * 3


def test_who_never_lets_go_is_not_waited_for_without_end(run, monkeypatch) -> None:
    monkeypatch.setattr(worker, "LEAVING_SECONDS", 0.02)
    with claimed(run):
        stopped_status(run, "cancel")
        with pytest.raises(RunError, match="another process is at work"), claimed(run):
            pass


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
    assert got.wait(PATIENCE_S)
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
        signal.raise_signal(signal.SIGUSR1)  # one that arrives too late is let pass
        assert not wishes.interrupted
    assert lines is None
    assert "wishes" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_who_leaves_the_loading_because_of_a_wish_is_not_stopped_on_the_way_out(run, number) -> None:
    """Its end would not be made, and the wish would go on to interrupt whatever comes after."""
    came = []

    def trace(frame, event, _value):
        if frame.f_code is worker._AtOnce.__exit__.__code__ and not came:
            came.append(event)
            signal.raise_signal(number)

    def load(loading) -> None:
        with loading:
            run.request("pause")
            wishes._looked = 0.0
            sys.setprofile(trace)
            raise RunCancelled("pause")

    with listening(run) as wishes:
        loading = wishes.at_once()
        with pytest.raises(RunCancelled, match="pause"):
            load(loading)
        sys.setprofile(None)
        assert came == ["call"]
        assert not wishes._is_at_once
        assert not loading._watcher.is_alive()


def test_a_wish_heard_where_a_library_let_it_pass_is_met_at_the_end_of_loading(run) -> None:
    def load(wishes) -> None:
        with wishes.at_once(), contextlib.suppress(RunCancelled):
            signal.raise_signal(signal.SIGTERM)

    with listening(run) as wishes, pytest.raises(RunCancelled, match="pause"):
        load(wishes)
