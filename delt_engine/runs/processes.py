"""Who works on a run: is that process still there, by number, start time and machine; and ranks one at a time."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock

from delt_engine.runs.record import ProcessRecord

RANKS_FOLDER = "ranks"
"""Where in a run's folder ranks leave what the others need to know; there only while several are at work."""

GAP = 5.0
"""Seconds between two signs of life."""

PATIENCE = 120.0
"""Seconds of silence after which a process is said to give no sign of life; single steps and loading take less."""

_CLOCK_SLACK = 5.0
"""Seconds by which two readings of one process's start time may differ: the clock is corrected in small steps."""

_BOOT_NAME = Path("/proc/sys/kernel/random/boot_id")


def remove_ranks(run_path: Path) -> None:
    """Remove what ranks have left in a run's folder.

    A sign of life of another rank may come while the folder is emptied; it is gone with the second attempt, and where
    there is no folder no sign is left.
    """
    for _ in range(2):
        shutil.rmtree(run_path / RANKS_FOLDER, ignore_errors=True)


def this_process() -> ProcessRecord:
    """Return the identity of the calling process."""
    return identity(os.getpid())


@functools.lru_cache(maxsize=1)
def hostname() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


@functools.lru_cache(maxsize=1)
def boot_name() -> str:
    """Return what the system calls the time since it was started, on Linux; "" elsewhere."""
    try:
        return _BOOT_NAME.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def identity(pid: int) -> ProcessRecord:
    """Return the identity of process ``pid``; its start time is 0 when it is already gone."""
    booted = psutil.boot_time()  # asked first: start times are counted from it
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:
        created = 0.0
    return ProcessRecord(pid=pid, created=created, hostname=hostname(), booted=booted, boot=boot_name())


def is_running(process: ProcessRecord) -> bool:
    """Return whether that very process still runs; one of another machine, which cannot be asked, is taken to."""
    if process.hostname != hostname():
        return True
    if process.boot and process.boot != boot_name():
        return False
    # Only the clock moves the time of one and the same start.
    set_since = psutil.boot_time() - process.booted if process.boot else 0.0
    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE:
            return False
        return abs(found.create_time() - process.created - set_since) <= _CLOCK_SLACK
    except psutil.Error:
        return False


def memory_bytes(process: ProcessRecord) -> int | None:
    """Return the main memory a process holds, in bytes; None when it is gone or elsewhere."""
    if process.hostname != hostname() or not is_running(process):
        return None
    try:
        return psutil.Process(process.pid).memory_info().rss
    except psutil.Error:
        return None


def end(process: ProcessRecord, patience: float = 1.5) -> None:
    """End a process and its children: they are asked to, and those left after ``patience`` seconds are killed."""
    if process.hostname != hostname() or not is_running(process):
        return
    family = []
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.terminate()
    _, left = psutil.wait_procs(family, timeout=patience)
    for member in left:
        with contextlib.suppress(psutil.Error):
            member.kill()
    psutil.wait_procs(left, timeout=5)


def wake(process: ProcessRecord) -> None:
    """Tell a process to look whether it is to stop."""
    if process.hostname == hostname() and is_running(process):
        with contextlib.suppress(psutil.Error):
            psutil.Process(process.pid).terminate()


@contextlib.contextmanager
def alone(run_path: Path, name: str) -> Iterator[None]:
    """Let one rank at a time change what several share, such as a strip of their batches; free where there is one."""
    folder = run_path / RANKS_FOLDER
    if not folder.is_dir():
        yield
        return
    with FileLock(folder / f"{name}.lock"):
        yield
