"""What every rank but the first does: wait for orders, do its share of a run, and tell how far it is.

Such a rank writes images, pictures and checkpoints of its own batches, or labels of its own epochs, and an event file
of its own; run.json and events.jsonl are the first rank's. Of a network that all ranks train together it writes
nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from delt_engine.errors import DeltError, RanksLost, RunCancelled
from delt_engine.jobs import ranks
from delt_engine.jobs.ranks import Rank
from delt_engine.jobs.worker import DeviceLock, Wishes, device_lock_name, listening
from delt_engine.runs import events, locks
from delt_engine.runs.processes import this_process
from delt_engine.runs.record import RunRecord
from delt_engine.runs.store import Run
from delt_engine.threads import settle_waiting

Event = dict[str, Any]
Share = Callable[[Run, Sequence[int], Wishes], Iterator[Event]]

STOP = "stop"
"""File beside the ranks' events that tells them to stop with labels, which have no run that says so."""


class RankRun(Run):
    """A run as a rank sees that does not own it: events go into a file of its own, the record is only read."""

    def __init__(self, path: str | Path, rank: Rank) -> None:
        super().__init__(path)
        self._rank = rank

    def record(self) -> RunRecord:
        """Return what run.json says, with this rank's device."""
        record = super().record()
        return record.model_copy(update={"device": self._rank.device(record.device)}) if record.device else record

    @property
    def held_device(self) -> str:
        """The device that is held while a share of it is done."""
        return self.record().device or "cpu"

    def update(self, **_changes: Any) -> RunRecord:
        """Leave the record to the first rank."""
        return self.record()

    def event(self, event: Event) -> None:
        """Tell the first rank."""
        events.append(self.path / locks.FOLDER / f"{self._rank.number}.jsonl", event)

    def note(self, text: str) -> list[Event]:
        """Let the first rank note something."""
        self.event({"kind": "note", "text": text})
        return []

    def requested(self) -> str | None:
        """Return the wish, also when the first rank has met it already, or is no more at work."""
        status = super().record().status
        met = {"paused": "pause", "cancelled": "cancel", "failed": "pause", "finished": "cancel"}
        return super().requested() or met.get(status)


def help_first() -> None:
    """Do what the first rank says, until it says that it is over or somebody wants it to stop.

    Raises:
        DeltError: the share could not be done; the first rank knows.
    """
    rank = ranks.this_rank()
    channel = ranks.channel()
    settle_waiting()
    _share("recover")  # torch is loaded while the first rank looks up what is asked for
    with contextlib.suppress(RunCancelled):
        while True:
            with listening(None) as idle:
                order = channel.hear(idle.check)
            if order["do"] == "end":
                break
            run = RankRun(order["run"], rank)
            _do_share(run, order["do"], order["shares"][rank.number])
    channel.leave()


def _do_share(run: RankRun, work: str, pieces: Sequence[int]) -> None:
    """Do one order; the first rank reads how it ended.

    Raises:
        RunCancelled: asked to stop, or left by the rank that knows why.
    """
    run.event({"kind": "rank", "state": "working", "process": this_process().model_dump()})
    with listening(run) as wishes:
        try:
            with contextlib.ExitStack() as held:
                _hold(run, wishes, held)
                for _ in _share(work)(run, pieces, wishes) if pieces else ():
                    pass
        except RunCancelled:
            run.event({"kind": "rank", "state": "stopped"})
            raise
        except RanksLost as lost:
            with contextlib.suppress(DeltError):
                run.event({"kind": "rank", "state": "stopped"})
            raise RunCancelled("pause") from lost
        except Exception as error:
            sentence = str(error) if isinstance(error, DeltError) else f"{type(error).__name__}: {error}"
            with contextlib.suppress(DeltError):
                run.event({"kind": "rank", "state": "failed", "error": sentence})
            raise
        else:
            run.event({"kind": "rank", "state": "done"})


def _hold(run: RankRun, wishes: Wishes, held: contextlib.ExitStack) -> None:
    """Hold this rank's card; a CPU is held by the first rank for all."""
    device = run.held_device
    if not device.startswith("cuda"):
        return
    lock = DeviceLock(device_lock_name(device))
    if not lock.take():
        run.note(f"Rank {ranks.this_rank().number} waits for {device}: another run works on it.")
        lock.wait(wishes)
    held.callback(lock.release)


def _share(work: str) -> Share:
    """Return what does a share; loads torch."""
    from delt_engine.pipeline import evaluate, squeeze, stages

    return {
        "rank": stages.rank_share,
        "recover": stages.recover_share,
        "squeeze": squeeze.squeeze_share,
        "evaluate": evaluate.evaluate_share,
        "train": evaluate.train_share,
    }[work]
