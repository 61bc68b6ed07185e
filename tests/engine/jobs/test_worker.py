"""Taking a run, waiting for a device, and noticing that it is to stop."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

import pytest
from fake_runs import fake_experiment, make_finished_run
from waiting import PATIENCE_S

from delt_engine.errors import RunCancelled, RunError, RunPaused
from delt_engine.jobs import worker
from delt_engine.jobs.signals import early
from delt_engine.jobs.worker import DeviceLock, StopRequests, claimed, device_lock_name, listening, set_stopped
from delt_engine.runs.events import StatusEvent
from delt_engine.runs.processes import this_process
from delt_engine.runs.store import Run


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "locks_dir", lambda: tmp_path / "locks")
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.005)


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "a", fake_experiment())


def test_a_run_is_held_by_one_process_at_a_time(run, tmp_path) -> None:
    with claimed(run):
        assert run.record().process == this_process()
        with pytest.raises(RunError, match="another process is at work"), claimed(run):
            pass
    with claimed(run):
        assert run.status == "queued"
    with pytest.raises(RunError, match="finished"), claimed(make_finished_run(tmp_path / "b")):
        pass


def test_who_has_said_how_the_run_stopped_is_waited_for_until_it_lets_go(run, monkeypatch) -> None:
    """A person may go on with a paused run before its process has ended."""
    waited, leaving = [], claimed(run)
    leaving.__enter__()
    set_stopped(run, "pause")

    def sleep(_seconds) -> None:
        waited.append(run.status)
        if len(waited) == 3:
            leaving.__exit__(None, None, None)

    monkeypatch.setattr(worker.time, "sleep", sleep)
    with claimed(run):
        assert run.record().process == this_process()
    assert waited == ["paused"] * 3


def test_the_second_waits_until_the_device_is_free_or_it_is_cancelled(run) -> None:
    first, second, got = DeviceLock("cpu"), DeviceLock("cpu"), threading.Event()
    assert first.take()
    assert not second.take()
    assert DeviceLock("cuda-0").take()  # another device is another lock

    def wait() -> None:
        second.wait(StopRequests(run).check)
        got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.05)
    first.release()
    assert got.wait(PATIENCE_S)
    thread.join()
    run.request("cancel")
    with pytest.raises(RunCancelled, match="cancel"):
        first.wait(StopRequests(run).check)
    second.release()


def test_a_request_in_the_control_file_is_heard(run) -> None:
    assert StopRequests(run).asked() is None
    run.request("pause")
    stop = StopRequests(run)
    assert stop.asked() == "pause"
    with pytest.raises(RunCancelled, match="pause"):
        stop.check()


@pytest.mark.parametrize(
    ("number", "request_word"), [(signal.SIGTERM, "pause"), (signal.SIGUSR1, "pause"), (signal.SIGINT, "cancel")]
)
def test_signals_are_stop_requests_and_handlers_are_put_back(run, number, request_word) -> None:
    before = signal.getsignal(number)
    with listening(run) as stop:
        os.kill(os.getpid(), number)
        assert stop.asked() == request_word
        os.kill(os.getpid(), signal.SIGTERM)  # a scheduler may say it many times
        assert stop.asked() == request_word
        with pytest.raises(KeyboardInterrupt):  # whoever insists is let go at once
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_before_there_is_work_ends_the_command_with_a_sentence(number) -> None:
    before = signal.getsignal(number)
    with pytest.raises(RunPaused, match=f"^{number.name} came before there was work to lose"), early():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_lock_that_a_dead_process_left_holds_nobody_up(run, tmp_path) -> None:
    """The system frees it; what stays is a file."""
    with claimed(run):
        names = {path.name for path in (tmp_path / "locks").glob("*.lock")}
    assert names
    for name in names:
        (tmp_path / "locks" / name).write_text("4711")
    with claimed(run):
        assert run.record().process == this_process()


def test_a_stopped_run_says_so_and_its_request_is_met(run) -> None:
    run.request("pause")
    with claimed(run):
        assert set_stopped(run, "pause") == "paused"
    assert (run.status, run.record().process, run.requested()) == ("paused", None, None)
    assert run.latest_event(StatusEvent).status == "paused"
    with claimed(run):
        assert set_stopped(run, "cancel") == "cancelled"
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


def load(stop: StopRequests, work: Callable[[], None]) -> None:
    with stop.loading():
        work()


def test_a_signal_that_a_library_caught_ends_loading_when_it_is_over(run) -> None:
    def work() -> None:
        with contextlib.suppress(RunCancelled):
            signal.raise_signal(signal.SIGTERM)

    with listening(run) as stop, pytest.raises(RunCancelled, match="pause"):
        load(stop, work)


def test_a_request_from_before_loads_nothing_and_one_of_meanwhile_says_what_a_signal_means(run) -> None:
    def work() -> None:
        run.request("cancel")
        signal.raise_signal(signal.SIGTERM)

    with listening(run) as stop, pytest.raises(RunCancelled, match="cancel"):
        load(stop, work)
    with listening(run) as stop, pytest.raises(RunCancelled, match="cancel"):
        load(stop, lambda: pytest.fail("loaded"))
