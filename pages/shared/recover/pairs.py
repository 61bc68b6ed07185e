"""MI and RI as a pair that cannot be broken: what is offered, and what one becomes when the other is moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from delt_engine.config import RecoverConfig
from delt_engine.config.schedule import EarlyLateSchedule
from pages.shared.controls import spec_of
from pages.shared.wording import count

MOST_ROUNDS = 50
"""Rounds offered at most; the command line takes any number."""

SCALE = tuple(step * 10**power for power in (1, 2, 3) for step in (2, 3, 4, 5, 6, 8, 10, 12, 16)) + (20_000,)
"""The values of MI on its slider, evenly spread on a logarithmic scale, about."""

Name = Literal["iterations", "round_iterations"]
SHORT: dict[Name, str] = {"iterations": "MI", "round_iterations": "RI"}
_TOP = int(spec_of(RecoverConfig, "iterations").maximum or 0)


@dataclass(frozen=True)
class Pair:
    """MI and RI that fit, and what was said when they became so.

    ``note`` is what the one that was moved did to the other; ``refused`` is which number was not taken, and why.
    """

    iterations: int
    round_iterations: int
    note: str = ""
    refused: tuple[Name, str] | None = None


def scale(iterations: int) -> list[int]:
    """Return the positions of the slider of MI, a value that is not among them included.

    >>> len(scale(200)), scale(250)[10:13]
    (28, [250, 300, 400])
    """
    return sorted({*SCALE, iterations})


def divisors(iterations: int) -> list[int]:
    """Return the RI values offered for an MI: its divisors with 1 to 50 rounds, ascending.

    >>> divisors(40)
    [1, 2, 4, 5, 8, 10, 20, 40]
    """
    small = [d for d in range(1, int(iterations**0.5) + 1) if iterations % d == 0]
    both = sorted({*small, *(iterations // d for d in small)})
    return [d for d in both if iterations // d <= MOST_ROUNDS]


def nearest(options: list[int], iterations: int, wanted: int) -> int:
    """Return the RI to keep when MI changed: the same if it still divides, else the nearest number of rounds.

    >>> nearest(divisors(300), 300, 50), nearest(divisors(210), 210, 50)
    (50, 42)
    """
    return wanted if wanted in options else min(options, key=lambda d: abs(iterations / d - iterations / wanted))


def nearest_multiple(iterations: int, round_iterations: int, most: int) -> int:
    """Return the MI to take when RI was typed: the same if RI divides it, else the nearest multiple, at least RI.

    >>> nearest_multiple(4000, 1000, 10**6), nearest_multiple(4000, 600, 10**6), nearest_multiple(200, 300, 10**6)
    (4000, 4200, 300)
    """
    rounds = min(max(1, round(iterations / round_iterations)), most // round_iterations)
    return rounds * round_iterations


def is_allowed(value: float) -> bool:
    """Return whether a number may be MI or RI."""
    return 1 <= value <= _TOP and value == int(value)


def moved(before: Pair, name: Name, value: float) -> Pair:
    """Return the pair after one of its numbers was moved to ``value``; the other follows where it must, and says so.

    >>> moved(Pair(400, 50), "round_iterations", 300).note
    'MI set to 300 so that RI 300 divides it.'
    >>> moved(Pair(400, 50), "iterations", -5).refused
    ('iterations', 'MI is a whole number from 1 to 1,000,000.')
    """
    if not is_allowed(value):
        refused = (name, f"{SHORT[name]} is a whole number from 1 to {count(_TOP)}.")
        return Pair(before.iterations, before.round_iterations, refused=refused)
    number = int(value)
    if name == "round_iterations":
        iterations = nearest_multiple(before.iterations, number, _TOP)
        kept = iterations == before.iterations
        note = "" if kept else f"MI set to {count(iterations)} so that RI {count(number)} divides it."
        return Pair(iterations, number, note)
    length = before.round_iterations
    if number % length:
        length = nearest(divisors(number), number, length)
    kept = length == before.round_iterations
    return Pair(number, length, "" if kept else f"RI set to {count(length)} so that it divides MI {count(number)}.")


def fewer_rounds(schedule: EarlyLateSchedule) -> int | None:
    """Return the RI that makes as many rounds as a class has images, or the next fewer; None where they are no more.

    >>> fewer_rounds(EarlyLateSchedule(10, 4000, 50)), fewer_rounds(EarlyLateSchedule(10, 4000, 500))
    (400, None)
    """
    if not schedule.has_rounds or schedule.num_rounds <= schedule.ipc:
        return None
    return min(d for d in divisors(schedule.iterations) if schedule.iterations // d <= schedule.ipc)
