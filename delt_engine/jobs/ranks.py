"""Several processes at one run: every rank runs the same command and takes its share of the work.

``torchrun``, or any launcher that sets RANK, WORLD_SIZE and MASTER_ADDR, starts the ranks and starts all of them again
when one is lost. Those variables are read here and nowhere else. Nobody gives orders: a rank knows from its number what
is its own, writes it into the run's folder, which therefore has to be on a disk that all of them see, and meets the
others at barriers. A stop request stands in the run's folder too, so each rank finds it by itself.

Nothing here needs torch where there is one rank.

Source: torch.distributed (gloo for what lies on a CPU, NCCL for cards).
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from delt_engine.config import Experiment
from delt_engine.errors import ConfigError, RanksLost

_T = TypeVar("_T")

POLL_SECONDS = 0.05
"""How often a rank that waits looks for a stop request."""

RESTARTS = 2
"""How often ranks that were started from here are started again."""

PATIENCE = timedelta(days=7)
"""How long a rank waits for the others at a barrier: as long as their batches last. A process that is gone is known at
once by its broken connection; one that hangs, or a machine without power, by the launcher."""


@dataclass(frozen=True)
class Rank:
    """One of ``size`` processes at the same work; ``number`` 0 owns the run.

    ``local`` is the number on its machine, so of its card; ``restarts`` how often the launcher has started all again.
    """

    number: int = 0
    size: int = 1
    local: int = 0
    restarts: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this rank creates the run, writes its record and says its result."""
        return self.number == 0

    def share(self, items: Sequence[_T]) -> Sequence[_T]:
        """Return what this rank takes of work that is the same list in every rank.

        >>> [Rank(number, 3).share("abcd") for number in range(3)]
        ['ad', 'b', 'c']
        """
        return items[self.number :: self.size]

    def device(self, device: str) -> str:
        """Return the device of this rank: the card of its number, or what all share.

        >>> Rank(9, 16, local=1).device("cuda"), Rank(1, 2, local=1).device("cpu")
        ('cuda:1', 'cpu')
        """
        return f"cuda:{self.local}" if device.partition(":")[0] == "cuda" else device

    def check_device(self, device: str) -> None:
        """Refuse one card for several ranks.

        Raises:
            ConfigError: a card is named.
        """
        if self.size > 1 and device.startswith("cuda:"):
            raise ConfigError(
                f"device: {device!r} given, but {self.size} ranks take one card each; give cuda, and name the cards in "
                "CUDA_VISIBLE_DEVICES."
            )


def this_rank(environment: Mapping[str, str] | None = None) -> Rank:
    """Return which rank this process is; the only one where no launcher says anything.

    Raises:
        ConfigError: what the launcher says makes no sense.

    >>> this_rank({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    Rank(number=3, size=4, local=1, restarts=0)
    """
    variables = os.environ if environment is None else environment
    if "RANK" not in variables or "WORLD_SIZE" not in variables:
        return Rank()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")
    try:
        found = Rank(*(int(variables.get(name, "0")) for name in names))
    except ValueError:
        found = Rank(-1)
    if not 0 <= found.number < found.size:
        raise ConfigError(
            f"RANK: {variables['RANK']!r} of WORLD_SIZE {variables['WORLD_SIZE']!r} given, but a rank is a number from "
            "0 to one below the number of ranks."
        )
    return found


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Bring the ranks together for the length of a command; nothing where there is one.

    Raises:
        RanksLost: they cannot be brought together.
    """
    rank = this_rank()
    if rank.size == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    # Optimisers load torch's compiler at their first step. Loaded beside a process group it keeps that group for ever,
    # and the threads then still alive now and then end the process with an abort (torch 2.15, gloo).
    importlib.import_module("torch._dynamo")
    if torch.cuda.is_available():
        torch.cuda.set_device(rank.local)  # NCCL's own buffers would otherwise all lie on the first card
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _talking(rank):
        # The launcher's store may outlive a restart, with the addresses of ranks that are gone.
        store = dist.PrefixStore(f"delt-{rank.restarts}", next(dist.rendezvous("env://"))[0])
        dist.init_process_group(backend, store=store, rank=rank.number, world_size=rank.size, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def barrier(check: Callable[[], None] = lambda: None) -> None:
    """Wait until all ranks have come here.

    Args:
        check: called again and again while others are waited for; what it raises ends the wait of this rank alone.

    Raises:
        RanksLost: another rank is gone.
    """
    rank = this_rank()
    if rank.size == 1:
        return
    import torch
    import torch.distributed as dist

    with _talking(rank):
        arrived = dist.all_reduce(torch.zeros(1), async_op=True)  # torch's barrier would wait in the device's queue
    while not arrived.is_completed():
        check()
        time.sleep(POLL_SECONDS)
    with _talking(rank):
        arrived.wait()


def first(make: Callable[[], _T], check: Callable[[], None] = lambda: None) -> _T:
    """Return in every rank what the first one makes; the others wait for it, see :func:`barrier`.

    Args:
        make: called in the first rank alone. What it returns or raises can be pickled, its tensors are on the CPU.

    Raises:
        Exception: what ``make`` raised, in every rank.
        RanksLost: another rank is gone.
    """
    rank = this_rank()
    if rank.size == 1:
        return make()
    import torch
    import torch.distributed as dist

    made: list[tuple[_T | None, Exception | None]] = [(None, None)]
    if rank.is_first:
        try:
            made = [(make(), None)]
        except Exception as error:  # noqa: BLE001 - it is raised in every rank
            made = [(None, error)]
    barrier(check)
    with _talking(rank):
        dist.broadcast_object_list(made, src=0, device=torch.device("cpu"))
    value, refusal = made[0]
    if refusal is not None:
        raise refusal
    return value  # type: ignore[return-value]  # None only where make returned it


def agreed(number: int) -> int:
    """Return the highest number that any rank gives; every rank calls this in the same place.

    Raises:
        RanksLost: another rank is gone.
    """
    rank = this_rank()
    if rank.size == 1:
        return number
    import torch
    import torch.distributed as dist

    found = torch.tensor(number)
    with _talking(rank):
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


@contextlib.contextmanager
def _talking(rank: Rank) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch raises of any broken connection
        raise RanksLost(f"rank {rank.number}: one of the {rank.size} ranks is gone; `delt resume` goes on.") from error


def wanted(ranks: int, experiment: Experiment, batches: Callable[[], int]) -> int:
    """Return how many ranks a run is to be started with.

    Args:
        ranks: as asked for; 0 for one a card of this machine, but no more than there are batches.
        experiment: its device says whether all cards are meant.
        batches: tells the number of batches, asked only where there are several cards.

    >>> wanted(3, Experiment(), lambda: 1), wanted(0, Experiment(device="cpu"), lambda: 5)
    (3, 1)
    """
    if this_rank().size > 1:
        return 1
    if ranks:
        return ranks
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        cards = [part for part in visible.split(",") if part.strip() not in ("", "-1")]
    else:
        cards = [str(path) for path in Path("/proc/driver/nvidia/gpus").glob("*")]
    if experiment.device not in ("auto", "cuda") or len(cards) < 2:
        return 1
    most = batches()
    if most < 2:
        return 1
    import torch

    return max(1, min(torch.cuda.device_count(), most))


def launch(ranks: int, words: Sequence[str]) -> int:
    """Run ``delt <words>`` in several ranks on this machine by torch's launcher, and return when all have ended.

    Returns:
        0 when all ended well, 130 when Ctrl-C stopped this process and 75 when another signal did, else 1; what went
        wrong was said by the rank.
    """
    # Ranks of one CPU would otherwise each take all its cores.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // ranks)))
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    options = ["--standalone", "--nproc-per-node", ranks, "--max-restarts", RESTARTS, "--monitor-interval", 0.2]
    arguments = parse_args([str(word) for word in [*options, "-m", "delt_engine", *words]])
    try:
        with _as_sigterm():
            run(arguments)
    except ChildFailedError:
        return 1
    except SignalException as stopped:
        return 128 + signal.SIGINT if stopped.sigval == signal.SIGINT else 75
    return 0


@contextlib.contextmanager
def _as_sigterm() -> Iterator[None]:
    """Take SIGUSR1 for SIGTERM, which torch's launcher knows and passes on to the ranks."""
    if not hasattr(signal, "SIGUSR1"):
        yield
        return
    before = signal.signal(signal.SIGUSR1, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
