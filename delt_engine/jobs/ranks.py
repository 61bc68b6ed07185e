"""Several processes at one run: which of them is this one, and what does the first tell the others?

``torchrun``, or any launcher that sets RANK and WORLD_SIZE, starts the processes, brings them together and starts
them again. Those variables are read here and nowhere else. The first rank (0) owns a run; to the others it says what
to do through the store that the launcher's rendezvous made, one order after the other. What they make, they write
into the run's folder, which therefore has to be on a disk that all of them see.

Nothing here needs torch until the ranks talk. Only orders go through the store, a few bytes each; no tensor does.
Batches of images are independent, so for them no process group is made; ranks that train one network together make
one from a meeting in this store, see :mod:`delt_engine.pipeline.together`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from delt_engine.config import Experiment
from delt_engine.errors import ConfigError, RunCancelled, RunError

if TYPE_CHECKING:
    from torch.distributed import Store

POLL_SECONDS = 0.05
WELCOME_SECONDS = 300.0
"""How long the first rank, done with everything, waits for others still being started where the store goes with it."""

FAREWELL_SECONDS = 10.0
"""How long a rank stays to hear that the others know that it goes."""

RESTARTS = 2
"""How often ranks that were started from here are started again."""


@dataclass(frozen=True)
class Rank:
    """One of several processes at the same work.

    Args:
        number: from 0; the first one owns the run.
        size: how many there are.
        local: number on its machine, which is the number of its card.
        restarts: how often the launcher has started all of them again.
    """

    number: int = 0
    size: int = 1
    local: int = 0
    restarts: int = 0

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
    told = os.environ if environment is None else environment
    if "RANK" not in told or "WORLD_SIZE" not in told:
        return Rank()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")
    try:
        found = Rank(*(int(told.get(name, "0")) for name in names))
    except ValueError:
        found = Rank(-1)
    if not 0 <= found.number < found.size:
        raise ConfigError(
            f"RANK: {told['RANK']!r} of WORLD_SIZE {told['WORLD_SIZE']!r} given, but a rank is a number from 0 to one "
            "below the number of ranks."
        )
    return found


class Channel:
    """Orders of the first rank, read by all others in the order in which they were given.

    The launcher's store outlives a restart, with what ranks said that are gone. So the first rank takes a word of its
    own for all its keys, and tells it to each rank that asks with a fresh word. Marks of ranks from before are
    removed at the start; whoever lives puts its own there again. A good end is heard without a welcome, so that the
    first rank does not stay for ranks that come late, or never.
    """

    def __init__(self) -> None:
        import torch.distributed

        self._rank = this_rank()
        self._store = next(torch.distributed.rendezvous("env://"))[0]
        self._count = 0
        self._own = uuid.uuid4().hex
        self._word = "" if self._rank.number else self._own
        self._over = f"delt-over-{self._rank.restarts}"
        self._came: dict[int, str] = {}
        self._is_ending = threading.Event()
        self._welcoming: threading.Thread | None = None
        if not self._rank.number:
            for mark in (self._over, *(f"delt-here-{number}" for number in range(1, self._rank.size))):
                self._store.delete_key(mark)
            self._welcoming = threading.Thread(target=self._welcome, daemon=True, name="welcome")
            self._welcoming.start()

    def _welcome(self) -> None:
        """Tell each other rank the word of this first one, once it is there."""
        missing = set(range(1, self._rank.size))
        with contextlib.suppress(RuntimeError):  # the store is gone, and the launcher with it
            while missing and not self._is_ending.wait(POLL_SECONDS):
                for number in sorted(missing):
                    if self._store.check([f"delt-here-{number}"]):
                        self._came[number] = _text(self._store.get(f"delt-here-{number}"))
                        self._store.set(f"delt-first-{self._came[number]}", self._own)
                        missing.remove(number)

    def _is_welcome(self) -> bool:
        """Whether the first rank's word is known; asks for it."""
        if not self._word:
            here, answer = f"delt-here-{self._rank.number}", f"delt-first-{self._own}"
            if self._store.check([answer]):
                self._word = _text(self._store.get(answer))
            else:  # again and again: the first rank removes what stands there when it comes
                self._store.set(here, self._own)
        return bool(self._word)

    def say(self, order: dict[str, Any]) -> None:
        """Give an order to all others."""
        self._store.set(f"delt-{self._word}-{self._count}", json.dumps(order))
        self._count += 1

    def hear(self, check: Callable[[], None]) -> dict[str, Any]:
        """Wait for the next order.

        Args:
            check: called while there is none; what it raises ends the wait.

        Raises:
            RunError: the first rank is gone.
        """
        with self._reaching("first rank"):
            while not self._is_welcome() or not self._store.check([f"delt-{self._word}-{self._count}"]):
                if self._is_late():
                    return {"do": "end"}
                check()
                time.sleep(POLL_SECONDS)
            self._count += 1
            return json.loads(self._store.get(f"delt-{self._word}-{self._count - 1}"))

    def meet(self, check: Callable[[], None]) -> Store:
        """Wait until all ranks have come to the same place, after the same order; all of them go on, or none.

        Args:
            check: called while others are waited for; what it raises calls the meeting off, unless all were there.

        Returns:
            A store for what the ranks do there together.

        Raises:
            RunCancelled: another rank called it off.
            RunError: the launcher's store cannot be reached.
        """
        from torch.distributed import PrefixStore

        place, number = f"delt-{self._word}-meeting-{self._count}", self._rank.number
        others = [place] if number else [f"{place}-{other}" for other in range(1, self._rank.size)]
        with self._reaching("other ranks"):
            if number:
                self._store.set(f"{place}-{number}", "")
            try:
                while not self._store.check(others) and not self._store.check([place]):
                    check()
                    time.sleep(POLL_SECONDS)
            except BaseException:
                if self._settled(place, "off") == "off":
                    raise
            if self._settled(place, "go") == "off":
                raise RunCancelled("pause")
        return PrefixStore(place, self._store)

    def _settled(self, place: str, word: str) -> str:
        """Say a word about a place, and return the first that any rank said."""
        return self._store.compare_set(place, "", word).decode()

    def left(self) -> set[int]:
        """Return which other ranks hear no orders any more; the first rank asks."""
        came = dict(self._came)
        try:
            return {number for number, word in came.items() if self._store.check([f"delt-left-{word}"])}
        except RuntimeError:  # the store is gone, so no order reaches anybody
            return set(range(1, self._rank.size))

    def end(self, welcome_seconds: float = WELCOME_SECONDS, *, is_good: bool = True) -> None:
        """Tell the others that nothing more comes, and stay until they know where the store would go with us.

        Args:
            welcome_seconds: how long those that are still being started are waited for where it does.
            is_good: whether the launcher lets the others come to their end too, and does not start all again.
        """
        self.say({"do": "end"})
        if is_good:
            self._store.set(self._over, "")
        if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
            self._welcoming.join(FAREWELL_SECONDS)  # ranks that are late by more read the mark of a good end
            self._is_ending.set()
            self._welcoming.join(FAREWELL_SECONDS)  # a thread must not be in the store when the process ends
            return
        self._welcoming.join(welcome_seconds)
        until = time.monotonic() + FAREWELL_SECONDS
        while len(self.left()) < self._rank.size - 1 and time.monotonic() < until:
            time.sleep(POLL_SECONDS)

    def leave(self) -> None:
        """Say that the end was heard, or that it is not waited for, and stay until the first rank can know.

        Raises:
            RunError: it was not there in time, so that the launcher has to know that one rank is missing.
        """
        until = time.monotonic() + FAREWELL_SECONDS
        with self._reaching("first rank"):
            self._store.set(f"delt-left-{self._own}", "")
            while not self._is_welcome() and not self._is_late():
                if time.monotonic() >= until:
                    raise RunError(f"rank {self._rank.number}: it was to stop before the first rank was there.")
                time.sleep(POLL_SECONDS)

    def _is_late(self) -> bool:
        """Whether all came to a good end before this rank was welcome."""
        return not self._word and self._store.check([self._over])

    @contextlib.contextmanager
    def _reaching(self, whom: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # what torch raises of any broken connection
            raise RunError(f"rank {self._rank.number}: the {whom} cannot be reached ({error}).") from None


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


@functools.lru_cache(maxsize=1)
def channel() -> Channel:
    """Return this process's way to the other ranks, made at the first call."""
    return Channel()


@contextlib.contextmanager
def leading() -> Iterator[None]:
    """Send the other ranks home at the end, whatever happens inside; nothing where there are none."""
    if this_rank().size == 1:
        yield
        return
    channel()  # first of all: what ranks of before have left behind is removed before those of now come
    try:
        yield
    except BaseException as error:  # who was asked to stop, or has failed, does not stay for long
        channel().end(FAREWELL_SECONDS, is_good=isinstance(error, RunCancelled))
        raise
    channel().end()


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
    if experiment.device not in ("auto", "cuda") or _cards_guessed() < 2:
        return 1
    most = batches()
    if most < 2:
        return 1
    import torch

    return max(1, min(torch.cuda.device_count(), most))


def _cards_guessed() -> int:
    """Return how many cards there may be, without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip() not in ("", "-1")])
    with contextlib.suppress(OSError):
        return len([name for name in os.listdir("/proc/driver/nvidia/gpus") if name])  # noqa: PTH208
    return 0


def launch(ranks: int, words: Sequence[str]) -> int:
    """Run ``delt <words>`` in several ranks on this machine by torch's launcher, and return when all have ended.

    Args:
        ranks: how many.
        words: the command line after ``delt``.

    Returns:
        0 when all ended well, 130 when this process was asked to stop, else 1; what went wrong was said by the rank.
    """
    # Ranks of one CPU would otherwise each take all its cores.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(_cores()) // ranks)))
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    options = ["--standalone", "--nproc-per-node", ranks, "--max-restarts", RESTARTS, "--monitor-interval", 0.2]
    arguments = parse_args([str(word) for word in [*options, "-m", "delt_engine", *words]])
    try:
        run(arguments)
    except ChildFailedError:
        return 1
    except SignalException:
        return 128 + signal.SIGINT
    return 0


def _cores() -> Sequence[int]:
    return list(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
