"""How benchmarks measure: sides that take turns, one form of a result, and processes that are started as a user would.

Sides take their turns one after another, so whatever else the machine does hits all of them alike. A rate is of the
median time; a ratio is the median of the ratios of neighbouring measurements.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import IO, Any

import torch

from delt_engine.bench.cases import AnyCase, Named
from delt_engine.models.device import wait_for
from delt_engine.models.processor import this_machine
from delt_engine.paths import PROJECT

Report = Callable[[str, int, int], None]


@dataclass
class Side:
    """One of the sides that are measured."""

    work: Callable[[int], Any]  # what is timed, given the number of the turn
    prepare: Callable[[int], Any] | None = None  # what comes before it in each turn and is not timed
    seconds: list[float] = field(default_factory=list)  # of each turn


def take_turns(sides: Sequence[Side], turns: Iterable[int], device: torch.device | None = None) -> None:
    """Let the sides take their turns, one after another; a GPU is waited for before and after each turn's work."""
    for turn in turns:
        for side in sides:
            if side.prepare:
                side.prepare(turn)
            side.seconds.append(seconds_of(partial(side.work, turn), device))


def seconds_of(work: Callable[[], Any], device: torch.device | None = None) -> float:
    """Return the seconds that some work takes, of a GPU until it has done it."""
    if device is not None:
        wait_for(device)
    began = time.perf_counter()
    work()
    if device is not None:
        wait_for(device)
    return time.perf_counter() - began


@dataclass(frozen=True)
class Measured:
    """What was measured of one case: plain code, ours, and how far their results are apart; rates are a second."""

    case: str
    title: str
    device: str
    threads: int
    plain_rate: float | None  # None where there is no plain code beside it, and so no ratio
    fast_rate: float
    ratio: float | None  # of both, the median of the ratios of neighbouring measurements
    max_abs_diff: float | None = None  # largest difference between results; None where nothing is computed twice
    figures: dict[str, Any] = field(default_factory=dict)  # what else was measured; the benchmark explains the names
    failed: tuple[str, ...] = ()  # why it is no measurement: a figure that is above its own limit

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values, with the machine it was measured on."""
        fields = {name: value for name, value in vars(self).items() if name != "figures"}
        return {**fields, **self.figures, "machine": this_machine(self.threads)}


def measured(
    case: Named,
    device: torch.device | str,
    plain_s: Sequence[float],
    fast_s: Sequence[float],
    *,
    work: float = 1.0,
    max_abs_diff: float | None = None,
    failed: tuple[str, ...] = (),
    **figures: Any,
) -> Measured:
    """Return the result of a case from the seconds of both sides, measured in neighbouring turns.

    ``work`` is how much both did in that time, as images; for the others see :class:`Measured`.
    """
    return Measured(
        case.name,
        case.title,
        str(device),
        torch.get_num_threads(),
        plain_rate=work / median(plain_s),
        fast_rate=work / median(fast_s),
        ratio=median(plain / fast for plain, fast in zip(plain_s, fast_s, strict=True)),
        max_abs_diff=max_abs_diff,
        figures=figures,
        failed=failed,
    )


def each_case(cases: Sequence[AnyCase], report: Report | None) -> Iterator[AnyCase]:
    """Yield cases, and report the title of each, how many are done, and of how many."""
    for done, case in enumerate(cases):
        if report:
            report(case.title, done, len(cases))
        yield case


def start(words: Sequence[object], *, errors: IO[bytes] | int = subprocess.DEVNULL, **environment: str):
    """Start ``python -m`` some words from the project's folder, with the project on its path.

    ``errors`` is where its stderr goes; an empty variable in ``environment`` is taken away.
    """
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment}
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        cwd=PROJECT,
        env={name: value for name, value in variables.items() if value},
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )
