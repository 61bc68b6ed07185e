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

from delt_engine import access, files
from delt_engine.errors import RunError
from delt_engine.paths import locks_dir
from delt_engine.runs.processes import hostname
from delt_engine.runs.store import Run

PREPARING_SECONDS = 30.0
"""How long a run that still reads its data holds its place against those behind it that are ready."""


@dataclass(frozen=True)
class Ticket:
    """A run that waits for the lock named ``device`` on the machine ``host``, ``since`` seconds after 1970 began.

    The queue is sorted by ``order``, which is ``since`` unless the run was moved; ``is_ready`` when it could begin now.
    """

    run: Run
    device: str
    since: float
    order: float
    is_ready: bool
    host: str


def enter(run: Run, device: str, *, is_ready: bool = False) -> None:
    """Let a run wait for a device; one that waits already keeps its place.

    Raises:
        RunError: the ticket cannot be written.
    """
    before = _read(_path(run))
    is_same = before is not None and (before.device, before.host) == (device, hostname())
    since = before.since if before and is_same else time.time()
    ticket = {"run": str(run.path), "device": device, "since": since, "is_ready": is_ready, "host": hostname()}
    files.write_bytes(_path(run), json.dumps(ticket).encode())


def leave(run: Run) -> None:
    """Take a run out of the queue, with the place it was moved to."""
    with contextlib.suppress(OSError):
        _path(run).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (run.path / "queue").unlink(missing_ok=True)


def waiting(device: str | None = None, host: str | None = None) -> list[Ticket]:
    """Return who waits, for one device or for any, in the order of their turns; tickets of the dead are removed.

    Machines may share a home, but not their devices; ``host`` is this one where none is given.
    """
    found = []
    for path in (locks_dir() / "queue").glob("*.json"):
        ticket = _read(path)
        if ticket is None or not ticket.run.is_active:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        elif device is None or (ticket.device, ticket.host) == (device, host or hostname()):
            found.append(ticket)
    return sorted(found, key=lambda ticket: (ticket.order, ticket.since, ticket.run.id))


def place(run: Run) -> int | None:
    """Return how many turns it takes until the run has its device, 1 for the next; None when it does not wait."""
    own = _read(_path(run))
    runs = [ticket.run for ticket in waiting(own.device, own.host)] if own else []
    return runs.index(run) + 1 if run in runs else None


def is_next(run: Run, now: float | None = None) -> bool:
    """Return whether nobody who is ready, or about to be, waits before the run; true for one without a ticket."""
    own, now = _read(_path(run)), time.time() if now is None else now
    if own is None:
        return True
    for ticket in waiting(own.device, own.host):
        if ticket.run == run:
            return True
        if ticket.is_ready or abs(now - ticket.since) < PREPARING_SECONDS:  # the clock may have been set back
            return False
    return True


def move_up(run: Run, *, to_front: bool = False) -> None:
    """Let the run change places with the one before it, or be the next one; the first stays where it is.

    Raises:
        RunError: it does not wait.
    """
    access.check_change("move a run")
    own = _read(_path(run))
    tickets = waiting(own.device, own.host) if own else []
    at = next((number for number, ticket in enumerate(tickets) if ticket.run == run), None)
    if at is None:
        raise RunError(f"run {run.id}: it does not wait for a device, so it cannot be moved.")
    if at == 0:
        return
    to = 0 if to_front else at - 1
    after = tickets[to].order
    order = (tickets[to - 1].order + after) / 2 if to else after - 1.0
    files.write_bytes(run.path / "queue", repr(order).encode())


def move_to_front(run: Run) -> None:
    """Let the run be the next one; see :func:`move_up`."""
    move_up(run, to_front=True)


def _path(run: Run) -> Path:
    return locks_dir() / "queue" / f"{hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Ticket | None:
    try:
        values = json.loads(path.read_bytes())
        run, since = Run(values["run"]), float(values["since"])
        order = since
        with contextlib.suppress(OSError, ValueError):
            order = float((run.path / "queue").read_text(encoding="ascii"))
        host = str(values.get("host", hostname()))  # version 0.1.0 did not say it
        return Ticket(run, str(values["device"]), since, order, bool(values["is_ready"]), host)
    except (OSError, ValueError, KeyError, TypeError):
        return None
