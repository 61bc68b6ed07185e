"""Whether an order that a paper prints holds among numbers that were measured here.

Numbers that differ only along the compared axes are held against each other in pairs. A pair is within noise where
the difference of its means is smaller than two standard errors of that difference; one number without a spread
decides nothing. A table is within noise where most of its pairs are: of many pairs some few differ by chance.

Source: ours; three students make no better test.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

STANDARD_ERRORS = 2.0

Answer = Literal["yes", "no", "within noise", "unknown"]


@dataclass(frozen=True)
class Point:
    """A printed number and what was measured for it: mean, standard deviation over ``n`` students.

    ``group`` is equal for numbers that may be held against each other. ``made_by`` names the experiment, for at laptop
    scale several numbers can be of one; without it every number is of its own.
    """

    group: Hashable
    printed: float
    mean: float
    std: float
    n: int
    made_by: str = ""


@dataclass(frozen=True)
class Order:
    """How many pairs come out as printed, the other way, and within noise."""

    as_printed: int = 0
    reversed: int = 0
    within_noise: int = 0

    @property
    def pairs(self) -> int:
        """Pairs that could be compared."""
        return self.as_printed + self.reversed + self.within_noise

    @property
    def answer(self) -> Answer:
        """Whether the printed order holds here: what most of the decided pairs say, where most pairs are decided.

        >>> Order(1, 0, 14).answer, Order(2, 0, 1).answer
        ('within noise', 'yes')
        """
        if not self.pairs:
            return "unknown"
        if 2 * self.within_noise > self.pairs:
            return "within noise"
        return "yes" if self.as_printed > self.reversed else "no"

    @property
    def counts(self) -> str:
        """How many pairs came out in which way, in words.

        >>> Order(5, 1, 3).counts
        '5 as printed, 1 the other way, 3 within noise'
        """
        return f"{self.as_printed} as printed, {self.reversed} the other way, {self.within_noise} within noise"

    @property
    def sentence(self) -> str:
        """The answer with its counts.

        >>> Order(5, 1, 3).sentence
        "The paper's order holds here: yes (9 pairs: 5 as printed, 1 the other way, 3 within noise)."
        """
        if not self.pairs:
            return "The paper's order: not enough was measured here."
        pairs = "1 pair" if self.pairs == 1 else f"{self.pairs} pairs"
        return f"The paper's order holds here: {self.answer} ({pairs}: {self.counts})."


def order_of(points: Iterable[Point]) -> Order:
    """Return how the printed order comes out.

    Left out are pairs printed as equal, pairs of one experiment, and a pair of experiments that was printed in the
    same order before.

    >>> points = [Point("a", 40, 50, 1, 3), Point("a", 43, 60, 1, 3), Point("b", 10, 90, 1, 3)]
    >>> order_of(points)
    Order(as_printed=1, reversed=0, within_noise=0)
    """
    counts = {"as_printed": 0, "reversed": 0, "within_noise": 0}
    seen = set[tuple[Hashable, Hashable]]()
    for pair in combinations(enumerate(points), 2):
        (low, less), (high, more) = sorted(pair, key=lambda numbered: numbered[1].printed)
        names = less.made_by or low, more.made_by or high
        if less.group != more.group or less.printed == more.printed or names[0] == names[1] or names in seen:
            continue
        seen.add(names)
        counts[_compared(less, more)] += 1
    return Order(**counts)


def _compared(less: Point, more: Point) -> str:
    noise = STANDARD_ERRORS * sqrt(less.std**2 / less.n + more.std**2 / more.n)
    gap = more.mean - less.mean
    if min(less.n, more.n) < 2 or abs(gap) <= noise:
        return "within_noise"
    return "as_printed" if gap > 0 else "reversed"
