"""What a process does around its work on a run: take it, wait for the device, notice that it is to stop.

Locks are files that the system frees when their owner dies, so nothing is ever left locked: one lock a run, so that
no two processes work on it, and one lock a device, so that one run at a time works on it. Nothing here needs torch;
a process that waits is a light one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Protocol

from filelock import FileLock, Timeout

from delt_engine.errors import RunCancelled, RunError
from delt_engine.files import as_run_error
from delt_engine.jobs import queue
from delt_engine.jobs.ranks import this_rank
from delt_engine.jobs.signals import PAUSING
from delt_engine.paths import locks_dir
from delt_engine.runs.heartbeat import Heartbeat
from delt_engine.runs.processes import is_running, this_process
from delt_engine.runs.record import Status, now
from delt_engine.runs.store import Run, StopRequest
from delt_engine.runs.workers import workers_at

POLL_SECONDS = 0.1
"""How often a stop request is looked for: far below the two seconds in which it must be met."""

LEAVING_SECONDS = 10.0
"""How long a process that has written how its run stopped may take to let go of it."""

STOPPED: dict[StopRequest, Status] = {"cancel": "cancelled", "pause": "paused"}
"""What a run is after a stop request."""


class SignOfLife(Protocol):
    """What a process leaves for others again and again while it works."""

    def beat(self) -> None:
        """Leave a sign where it is time for one."""

    def end(self) -> None:
        """Take it away."""


class StopRequests:
    """What asks this process to stop: the control file of its run, or a signal; who looks for it gives signs of life.

    Ctrl-C asks to cancel; SIGTERM and SIGUSR1, which machines and schedulers send before they take a process away, ask
    to pause. A signal that reaches one of several ranks becomes the run's request, so that all of them stop.
    """

    def __init__(self, run: Run | None, sign: SignOfLife | None = None) -> None:
        self._run, self._rank = run, this_rank()
        self._heartbeat = sign or (Heartbeat(run, self._rank.number) if run is not None else None)
        self._signalled: StopRequest | None = None
        self._found: StopRequest | None = None
        self._looked, self._is_loading = 0.0, False

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal; Ctrl-C after it ends the process at once, but a scheduler may send the same one many times."""
        if self._signalled is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self._signalled, self._looked = "cancel" if number == signal.SIGINT else "pause", 0.0
        if self._is_loading:
            self.check()

    def asked(self) -> StopRequest | None:
        """Return what was asked for, or None; cheap enough for every iteration."""
        if self._run is not None and time.monotonic() - self._looked >= POLL_SECONDS:
            self._looked = time.monotonic()
            self._found = self._requested(self._run)
            if self._heartbeat is not None:
                self._heartbeat.beat()
        return self._found or self._signalled

    def end(self) -> None:
        """Leave the run: no more signs of life."""
        if self._heartbeat is not None:
            self._heartbeat.end()

    def check(self) -> None:
        """Stop here if it was asked for.

        Raises:
            RunCancelled: its text is ``cancel`` or ``pause``.
        """
        asked = self.asked()
        if asked:
            raise RunCancelled(asked)

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Let a signal end the work at any line inside: for loading, which offers no place to ask.

        Raises:
            RunCancelled: on entering, inside and on leaving; its text is ``cancel`` or ``pause``.
        """
        self.check()
        self._is_loading = True
        try:
            yield
        finally:
            self._is_loading = False
        self.check()  # a library may have caught what was raised in it

    def _requested(self, run: Run) -> StopRequest | None:
        found = run.requested()
        if self._rank.size > 1 and not found:
            if self._signalled:
                run.request(self._signalled)
            elif not self._rank.is_first:  # the first rank may have answered the request already
                found = next((word for word, status in STOPPED.items() if status == run.record().status), None)
        return found


@contextlib.contextmanager
def listening(run: Run | None, sign: SignOfLife | None = None) -> Iterator[StopRequests]:
    """Listen for stop requests, without a run for signals alone; the handlers of before are put back at the end.

    Signs of life are those of the run's one process, unless another ``sign`` is given.
    """
    stop = StopRequests(run, sign)
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop.on_signal) for number in (signal.SIGINT, *PAUSING)}
    try:
        yield stop
    finally:
        stop.end()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def claimed(run: Run) -> Iterator[None]:
    """Hold the run for this process, which is written into it.

    Raises:
        RunError: another process holds it, or it is finished.
    """
    lock = _taken_run(run)
    try:
        check_no_workers(run)
        run.update(process=this_process(), status="queued", error=None, finished=None)
        yield
    finally:
        lock.release()
        if run.record().status == "finished":  # nobody needs this lock again
            Path(lock.lock_file).unlink(missing_ok=True)


def check_no_workers(run: Run) -> None:
    """Refuse a run that workers share.

    Raises:
        RunError: some are there.
    """
    workers = workers_at(run.path)
    if workers:
        many = f"{len(workers)} workers are" if len(workers) > 1 else "a worker is"
        raise RunError(f"run {run.id}: {many} at it; pause it first, or start another one by `delt work`.")


@contextlib.contextmanager
def alone_at(run: Run) -> Iterator[None]:
    """Let nobody begin to work on a run for a moment: for what has to look at it and then to change it.

    Raises:
        RunError: a process is at work on it.
    """
    lock = _taken_run(run)
    try:
        yield
    finally:
        lock.release()


def _taken_run(run: Run) -> FileLock:
    """Take the lock of a run.

    A process writes that its run is paused or cancelled a moment before it lets go, and whoever reads that may go on
    with the run at once: so one that is only about to leave is waited for.

    Raises:
        RunError: another process holds it.
    """
    lock, until = _run_lock(run.path), time.monotonic() + LEAVING_SECONDS
    while not _taken(lock):
        holder = None if run.unreadable else run.record().process
        if (holder is not None and is_running(holder)) or time.monotonic() >= until:
            raise RunError(f"run {run.id}: another process is at work on it.")
        time.sleep(POLL_SECONDS / 10)
    return lock


@contextlib.contextmanager
def claimed_folder(path: Path) -> Iterator[None]:
    """Hold a folder of labels for this process.

    Raises:
        RunError: another process holds it.
    """
    lock = _run_lock(path)
    if not _taken(lock):
        raise RunError(f"labels {path}: another process is at work on it.")
    try:
        yield
    finally:
        lock.release()


def _run_lock(path: Path) -> FileLock:
    return _lock(f"run-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}")


class DeviceLock:
    """The right to work on a device (see :func:`device_lock_name`), which one process at a time has.

    Who names a run waits for its turn in the queue.
    """

    def __init__(self, device: str, run: Run | None = None) -> None:
        # Machines may share a home, but not their cards.
        self._lock = _lock(f"device-{platform.node()}-{device}")
        self._run = run

    def take(self) -> bool:
        """Try once; who comes later in the queue leaves a free device to those before it."""
        if self._run is not None and not queue.is_next(self._run):
            return False
        return _taken(self._lock)

    def wait(self, check: Callable[[], None]) -> None:
        """Wait until the device is free, and take it; what ``check`` raises meanwhile ends the wait."""
        while not self.take():
            time.sleep(POLL_SECONDS)
            check()

    def release(self) -> None:
        """Let the next one have it."""
        self._lock.release()


def _lock(name: str) -> FileLock:
    with as_run_error(locks_dir()):
        locks_dir().mkdir(parents=True, exist_ok=True)
    return FileLock(locks_dir() / f"{name}.lock")


def _taken(lock: FileLock) -> bool:
    """Try once to take a lock."""
    with as_run_error(Path(lock.lock_file)):
        try:
            lock.acquire(timeout=0)
        except Timeout:  # an OSError too, but not a refusal
            return False
    return True


def device_lock_name(device: str) -> str:
    """Return the name of the lock of a device setting, guessed without torch for ``auto``.

    Numbers are mapped through CUDA_VISIBLE_DEVICES, so that two processes that call different cards cuda:0 do not
    wait for each other.

    >>> device_lock_name("cpu")
    'cpu'
    """
    if device == "auto":
        has_card = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() not in ("", "-1") and any(
            Path(path).exists() for path in ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/dxg")
        )
        is_apple = platform.system() == "Darwin" and platform.machine() == "arm64"
        device = "cuda" if has_card else "mps" if is_apple else "cpu"
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return kind
    visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    index = int(number) if number.isdigit() else 0
    return f"cuda-{visible[index] if index < len(visible) else index}".replace("/", "-")


def set_stopped(run: Run, request: StopRequest) -> Status:
    """Write that the run stopped because of a request, which is answered by that; return the status."""
    status = STOPPED[request]
    run.set_status(status, finished=now() if status == "cancelled" else None, process=None)
    run.request(None)
    return status
