"""Signals that ask a command to stop for now, and what they do before it listens for them; torch-free and light."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from delt_engine.errors import RunPaused

PAUSING: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""What machines and schedulers send before they take a process away."""


@contextlib.contextmanager
def early() -> Iterator[None]:
    """Let what asks to pause end a command at any line, until it listens by itself: nothing is begun by then.

    Raises:
        RunPaused: such a signal came.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, _leave) for number in PAUSING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    for again in PAUSING:  # one is enough
        signal.signal(again, signal.SIG_IGN)
    raise RunPaused(f"{signal.Signals(number).name} came before there was work to lose; the same command begins again.")
