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
from types import FrameType, TracebackType

from filelock import FileLock, Timeout

from delt_engine.errors import RunCancelled, RunError
from delt_engine.files import as_run_error
from delt_engine.jobs import queue
from delt_engine.paths import locks_dir
from delt_engine.runs.processes import is_running, this_process
from delt_engine.runs.record import now
from delt_engine.runs.store import Run

POLL_SECONDS = 0.1
"""How often wishes are looked for: far below the two seconds in which they must be met."""

LEAVING_SECONDS = 10.0
"""How long a process that has said how its run stopped may take to let go of it."""

_WAKE: signal.Signals | None = getattr(signal, "SIGUSR1", None)
"""What wakes a process that loads; where there is no such signal, a wish waits for the end of the loading."""


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

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C asked to cancel."""
        return self._signalled == "cancel"

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """Take a signal; a second one ends the process at once."""
        if self._signalled is not None:
            raise KeyboardInterrupt
        self._signalled = "cancel" if number == signal.SIGINT else "pause"
        self._stop_loading(frame)

    def woken(self, _number: int, frame: FrameType | None) -> None:
        """Look for a wish now, since there is one."""
        self._looked = 0.0
        self._stop_loading(frame)

    def _stop_loading(self, frame: FrameType | None) -> None:
        """Stop at the line that was interrupted if that is one of loading; who is about to leave it is let go."""
        if self._is_at_once and not _is_leaving(frame):
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

    def at_once(self) -> contextlib.AbstractContextManager[None]:
        """Let a wish end the work at any line inside: for loading, which offers no place to ask.

        Raises:
            RunCancelled: on entering, inside and on leaving; its text is ``cancel`` or ``pause``.
        """
        return _AtOnce(self)

    def wake(self, done: threading.Event) -> None:
        """Interrupt the main thread when there is a wish; again, for a library may catch what is raised in it."""
        while not done.wait(POLL_SECONDS):
            if self._run is not None and self._run.requested():
                _thread.interrupt_main(_WAKE)


class _AtOnce:
    """See :meth:`Wishes.at_once`. Not a generator, whose end could itself be interrupted before it has begun."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes, self._done = wishes, threading.Event()
        self._watcher = threading.Thread(target=wishes.wake, args=(self._done,), daemon=True, name="wishes")

    def __enter__(self) -> None:
        wishes = self._wishes
        wishes.check()
        if wishes.hears_signals and wishes._run is not None:
            if _WAKE is not None:
                self._watcher.start()
            wishes._is_at_once = True

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._wishes._is_at_once = False
        self._done.set()
        if self._watcher.is_alive():
            self._watcher.join()
        if kind is None:
            self._wishes.check()


def _is_leaving(frame: FrameType | None) -> bool:
    """Return whether what was interrupted is the end of loading, or called by it."""
    while frame is not None and frame.f_code is not _AtOnce.__exit__.__code__:
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def listening(run: Run | None) -> Iterator[Wishes]:
    """Listen for wishes; the signal handlers of before are put back at the end."""
    wishes = Wishes(run)
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, wishes.signalled)
        if _WAKE is not None:
            before[_WAKE] = signal.signal(_WAKE, wishes.woken)
        wishes.hears_signals = True
    try:
        yield wishes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def claimed(run: Run) -> Iterator[None]:
    """Hold the run for this process, which is written into it.

    A process writes that its run is paused or cancelled a moment before it lets go, and whoever reads that may go on
    with the run at once: so one that is only about to leave is waited for.

    Raises:
        RunError: another process holds it, or it is finished.
    """
    lock = _claim(run.path, f"run {run.id}", run)
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


def _claim(path: Path, what: str, leaving: Run | None = None) -> FileLock:
    """Take the lock of a run or folder; of a run, also from a process that is only about to leave it."""
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    lock = _lock(f"run-{name}")
    if not (_taken(lock) if leaving is None else _taken_from_leaving(lock, leaving)):
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


def _taken_from_leaving(lock: FileLock, run: Run) -> bool:
    """Take a run's lock; wait for it as long as the run names no process at work."""
    until = time.monotonic() + LEAVING_SECONDS
    while not _taken(lock):
        holder = run.record().process
        if (holder is not None and is_running(holder)) or time.monotonic() >= until:
            return False
        time.sleep(POLL_SECONDS / 10)
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
