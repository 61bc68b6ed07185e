"""Waiting for something another process does, without a fixed sleep; and how soon it did what was asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from delt_engine.runs.events import StatusEvent
from delt_engine.runs.store import Run

PATIENCE_S = 240.0
"""Seconds after which nothing comes any more, however busy the machine is; no promise is measured by it."""

_T = TypeVar("_T")


def wait_for(look: Callable[[], _T], seconds: float = PATIENCE_S) -> _T:
    """Return the first true value that ``look`` gives; fail when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"nothing came within {seconds} s"
        time.sleep(0.01)


def said_after(run: Run, asked: float) -> float:
    """Return how many seconds after ``asked``, as ``time.time()`` gives it, the run said what became of it.

    Its own word counts: who waits for it may look late, and a process takes its time to leave.
    """
    return datetime.fromisoformat(run.latest_event(StatusEvent).time.replace("Z", "+00:00")).timestamp() - asked
