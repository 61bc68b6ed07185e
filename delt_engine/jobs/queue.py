"""Who waits for a device, and in which order: one small ticket a waiting run, in a folder that all processes share.

A ticket counts only while its run is active, so a run whose process died holds nobody up. Only the process of a run
writes its run.json; whoever wants another order writes the file ``queue`` beside it, with a number to sort by.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

from delt_engine import files
from delt_engine.errors import RunError
from delt_engine.paths import locks_dir
from delt_engine.runs.store import Run

PREPARING_SECONDS = 30.0
"""How long a run that still reads its data holds its place against those behind it that are ready."""


@dataclass(frozen=True)
class Ticket:
    """A run that waits.

    Args:
        run: the run.
        device: name of its device's lock.
        since: when it began to wait, seconds since 1970.
        order: what the queue is sorted by: ``since`` unless it was moved.
        is_ready: whether it could begin at once.
    """

    run: Run
    device: str
    since: float
    order: float
    is_ready: bool


def enter(run: Run, device: str, *, is_ready: bool = False) -> None:
    """Let a run wait for a device; one that waits already keeps its place.

    Raises:
        RunError: the ticket cannot be written.
    """
    before = _read(_path(run))
    since = before.since if before and before.device == device else time.time()
    ticket = {"run": str(run.path), "device": device, "since": since, "is_ready": is_ready}
    files.write_bytes(_path(run), json.dumps(ticket).encode())


def leave(run: Run) -> None:
    """Take a run out of the queue, with the place it was moved to."""
    for path in (_path(run), run.path / "queue"):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def waiting(device: str | None = None) -> list[Ticket]:
    """Return who waits, for one device or for any, in the order of their turns; tickets of the dead are removed."""
    found = []
    for path in _folder().glob("*.json"):
        ticket = _read(path)
        if ticket is None or not ticket.run.is_active:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        elif device is None or ticket.device == device:
            found.append(ticket)
    return sorted(found, key=lambda ticket: (ticket.order, ticket.since, ticket.run.id))


def place(run: Run) -> int | None:
    """Return how many turns it takes until the run has its device, 1 for the next; None when it does not wait."""
    own = _read(_path(run))
    runs = [ticket.run for ticket in waiting(own.device)] if own else []
    return runs.index(run) + 1 if run in runs else None


def is_next(run: Run, now: float | None = None) -> bool:
    """Return whether nobody who is ready, or about to be, waits before the run; true for one without a ticket."""
    own, now = _read(_path(run)), time.time() if now is None else now
    if own is None:
        return True
    for ticket in waiting(own.device):
        if ticket.run == run:
            return True
        if ticket.is_ready or now - ticket.since < PREPARING_SECONDS:
            return False
    return True


def move_up(run: Run) -> None:
    """Let the run change places with the one before it; the first stays where it is.

    Raises:
        RunError: it does not wait.
    """
    _move(run, 1)


def move_to_front(run: Run) -> None:
    """Let the run be the next one.

    Raises:
        RunError: it does not wait.
    """
    _move(run, None)


def _move(run: Run, steps: int | None) -> None:
    own = _read(_path(run))
    tickets = waiting(own.device) if own else []
    at = next((number for number, ticket in enumerate(tickets) if ticket.run == run), None)
    if at is None:
        raise RunError(f"run {run.id}: it does not wait for a device, so it cannot be moved.")
    to = 0 if steps is None else max(0, at - steps)
    if to == at:
        return
    after = tickets[to].order
    order = (tickets[to - 1].order + after) / 2 if to else after - 1.0
    files.write_bytes(run.path / "queue", repr(order).encode())


def _folder() -> Path:
    return locks_dir() / "queue"


def _path(run: Run) -> Path:
    return _folder() / f"{hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Ticket | None:
    try:
        values = json.loads(path.read_bytes())
        run, since = Run(values["run"]), float(values["since"])
        return Ticket(run, str(values["device"]), since, _moved_to(run, since), bool(values["is_ready"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _moved_to(run: Run, since: float) -> float:
    try:
        return float((run.path / "queue").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return since
