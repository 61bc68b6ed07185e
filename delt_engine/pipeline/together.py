"""One network trained by all ranks of a run: they come together, go on in step, and stop in the same step.

What the ranks of a recovery share are batches, and each goes its own way. Ranks that train one network wait for each
other in every step, so that here they have a process group of torch's, and whatever is asked of one of them is asked
of all: a rank that left alone would leave the others waiting.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from delt_engine.errors import RanksLost, RunCancelled
from delt_engine.jobs import ranks
from delt_engine.runs.store import Run
from delt_engine.training.distributed import ALONE, Team

Event = dict[str, Any]

WISHES = (None, "pause", "cancel")
"""What a run can be asked for, the stronger wish later."""

PATIENCE = timedelta(hours=2)
"""How long a rank waits for another, at most for what the first does alone, such as a test. A process that is gone is
known at once by its broken connection; one that hangs, or a machine without power, by this alone."""


def load_before_group() -> None:
    """Load now what optimisers load at their first step: loaded beside a process group, it keeps that one for ever.

    Its threads are then alive when the process ends, which now and then ends it with an abort (torch 2.15, gloo).
    """
    importlib.import_module("torch._dynamo")


@contextlib.contextmanager
def met(run: Run, check: Callable[[], None]) -> Iterator[Team]:
    """Bring the ranks together for one piece of work; free where there is one rank.

    Args:
        run: its record says on which device; NCCL carries what lies on cards, gloo everything else.
        check: called while others are waited for; what it raises calls the work off in all ranks.

    Raises:
        RunCancelled: another rank called it off.
        RanksLost: one of them is gone.
    """
    rank = ranks.this_rank()
    if rank.size == 1:
        yield ALONE
        return
    device = run.record().device or "cpu"
    is_on_cards = device.startswith("cuda")
    try:
        store = ranks.channel().meet(check)
    except RunCancelled as stopped:
        raise RunCancelled(run.requested() or str(stopped)) from None  # who called it off may have meant more
    if is_on_cards:
        torch.cuda.set_device(rank.device(device))  # NCCL's own buffers would otherwise all lie on the first card
    load_before_group()
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if is_on_cards else "gloo",
            store=store,
            rank=rank.number,
            world_size=rank.size,
            timeout=PATIENCE,
        )
    except RuntimeError as error:  # what torch raises of any broken connection
        raise RanksLost(f"rank {rank.number}: the {rank.size} ranks cannot be brought together ({error}).") from None
    try:
        yield Team(rank.number, rank.size)
    finally:
        dist.destroy_process_group()


def agreed(team: Team, wish: str | None, is_urgent: bool = False) -> tuple[str | None, bool]:
    """Return what is asked of any rank, and whether it is urgent for any; every rank calls this in the same place.

    Raises:
        RanksLost: another rank is gone.

    >>> agreed(ALONE, "pause", True), agreed(ALONE, None)
    (('pause', True), (None, False))
    """
    strongest, urgent = team.highest(WISHES.index(wish), int(is_urgent))
    return WISHES[strongest], bool(urgent)


def told(run: Run, team: Team) -> list[Event]:
    """Note once in the run that several ranks train one network, since its last digits hang on how many."""
    if team.size == 1:
        return []
    is_on_cards = (run.record().device or "cpu").startswith("cuda")
    norm = "" if is_on_cards else "; BatchNorm normalises each part by itself"
    text = f"{team.size} ranks train one network, each on its part of every batch{norm}."
    return [] if text in run.record().notes else list(run.note(text))
