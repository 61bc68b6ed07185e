"""What a process does around its work on a run: take it, wait for the device, listen for wishes.

Locks are files that the system frees when their owner dies, so nothing is ever left locked: one lock a run, so that
no two processes work on it, and one lock a device, so that one run at a time works on it. Nothing here needs torch;
a process that waits is a light one.
"""

from __future__ import annotations

import _thread
import contextlib
import hashlib
import os
import platform
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from delt_engine.errors import RunCancelled, RunError
from delt_engine.paths import locks_dir
from delt_engine.runs import queue
from delt_engine.runs.files import as_run_error
from delt_engine.runs.processes import this_process
from delt_engine.runs.records import now
from delt_engine.runs.store import Run

POLL_SECONDS = 0.1
"""How often wishes are looked for: far below the two seconds in which they must be met."""


class Wishes:
    """What was asked of this process: through the control file of its run, or by a signal.

    Ctrl-C asks to cancel; SIGTERM, which a machine sends before it goes down, asks to pause.
    """

    def __init__(self, run: Run | None) -> None:
        self._run = run
        self._signalled: str | None = None
        self._looked = 0.0
        self._found: str | None = None
        self.hears_signals = False
        self._is_at_once = False
        self._is_woken = False

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C asked to cancel."""
        return self._signalled == "cancel"

    def signalled(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal; a second one ends the process at once."""
        if self._is_woken:
            self._is_woken = False
        elif self._signalled is not None:
            raise KeyboardInterrupt
        else:
            self._signalled = "cancel" if number == signal.SIGINT else "pause"
        if self._is_at_once:
            self.check()

    def asked(self) -> str | None:
        """Return ``cancel``, ``pause`` or None; cheap enough for every iteration."""
        if self._signalled:
            return self._signalled
        if self._run is not None and time.monotonic() - self._looked >= POLL_SECONDS:
            self._looked = time.monotonic()
            self._found = self._run.requested()
        return self._found

    def check(self) -> None:
        """Stop here if it was asked for.

        Raises:
            RunCancelled: its text is ``cancel`` or ``pause``.
        """
        wish = self.asked()
        if wish:
            raise RunCancelled(wish)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a wish end the work at any line inside: for loading, which offers no place to ask.

        Raises:
            RunCancelled: its text is ``cancel`` or ``pause``.
        """
        self.check()
        done = threading.Event()
        watcher = threading.Thread(target=self._wake, args=(done,), daemon=True, name="wishes")
        try:
            if self.hears_signals and self._run is not None:
                self._is_at_once = True
                watcher.start()
            yield
        finally:
            self._is_at_once = False
            done.set()
            if watcher.is_alive():
                watcher.join()
        self.check()

    def _wake(self, done: threading.Event) -> None:
        """Interrupt the main thread when there is a wish; again, for a library may catch what is raised in it."""
        while not done.wait(POLL_SECONDS):
            if self._run is not None and self._run.requested():
                self._looked, self._is_woken = 0.0, True
                _thread.interrupt_main()


@contextlib.contextmanager
def listening(run: Run | None) -> Iterator[Wishes]:
    """Listen for wishes; the signal handlers of before are put back at the end."""
    wishes = Wishes(run)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, wishes.signalled)
        wishes.hears_signals = True
    try:
        yield wishes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def claimed(run: Run) -> Iterator[None]:
    """Hold the run for this process, which is written into it.

    Raises:
        RunError: another process holds it, or it is finished.
    """
    lock = _claim(run.path, f"run {run.id}")
    try:
        run.update(process=this_process(), status="queued", error=None, finished=None)
        yield
    finally:
        lock.release()
        if run.record().status == "finished":  # nobody needs this lock again
            Path(lock.lock_file).unlink(missing_ok=True)


@contextlib.contextmanager
def claimed_folder(path: Path) -> Iterator[None]:
    """Hold a folder of labels for this process.

    Raises:
        RunError: another process holds it.
    """
    lock = _claim(path, f"labels {path}")
    try:
        yield
    finally:
        lock.release()


def _claim(path: Path, what: str) -> FileLock:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    lock = _lock(f"run-{name}")
    if not _taken(lock):
        raise RunError(f"{what}: another process is at work on it.")
    return lock


class DeviceLock:
    """The right to work on a device, which one process at a time has.

    Args:
        device: name of the device, as :func:`device_lock_name` gives it.
        run: who wants it, for its turn in the queue; without a run there are no turns.
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

    def wait(self, wishes: Wishes) -> None:
        """Wait until the device is free, and take it.

        Raises:
            RunCancelled: asked to stop while waiting.
        """
        while not self.take():
            time.sleep(POLL_SECONDS)
            wishes.check()

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
        device = _likely_device()
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return kind
    visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    index = int(number) if number.isdigit() else 0
    return f"cuda-{visible[index] if index < len(visible) else index}".replace("/", "-")


def _likely_device() -> str:
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() not in ("", "-1") and any(
        Path(path).exists() for path in ("/proc/driver/nvidia/version", "/dev/nvidia0", "/dev/dxg")
    ):
        return "cuda"
    return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else "cpu"


def stopped_status(run: Run, wish: str) -> str:
    """Write that the run stopped because of ``wish``; return the status."""
    status = {"cancel": "cancelled", "pause": "paused"}[wish]
    run.set_status(status, finished=now() if status == "cancelled" else None, process=None)
    run.request(None)
    return status
