"""Runs of different length under one slider: which of its images each run shows at a position, never none.

A position is counted from the end of each run, from its start, or as a share of it. A run shows the newest image that
it had there; before its start its first, once it is over its last. While a run is at work the last position is now,
where each shows its newest, and the others are those that it has reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pages.shared.wording import count

MODES = {"end": "End", "iteration": "Iteration", "share": "Share of the run"}
NOW = "now"

Place = Fraction | str
"""Where the slider stands: a number of the mode's, or :data:`NOW`."""


@dataclass(frozen=True)
class Track:
    """What a run can show: after how many ``iterations`` of ``total`` (MI), ascending; ``is_active`` while more come.

    Empty while it has not shown anything.
    """

    iterations: tuple[int, ...]
    total: int
    is_active: bool = False

    def place(self, iterations: int, mode: str) -> Fraction:
        """Return where a number of iterations stands.

        >>> track = Track((0, 50, 100), 100)
        >>> [str(track.place(50, mode)) for mode in MODES]
        ['-50', '50', '1/2']
        """
        if mode == "end":
            return Fraction(iterations - self.total)
        if mode == "iteration":
            return Fraction(iterations)
        return Fraction(iterations, self.total) if self.total else Fraction(1)  # what is not optimised is finished

    def at(self, place: Place, mode: str) -> int | None:
        """Return the number, from 0, of what is shown at a place; None where there is nothing at all."""
        if not self.iterations:
            return None
        if place == NOW:
            return len(self.iterations) - 1
        before = [at for at, number in enumerate(self.iterations) if self.place(number, mode) <= place]
        return before[-1] if before else 0

    def words(self, place: Place, mode: str) -> str:
        """Return in words what is shown at a place.

        >>> track = Track((0, 50, 100), 100)
        >>> [track.words(Fraction(place), "end") for place in (-150, -60, 0)]
        ['not begun', 'after 0 of 100', 'finished at 100']
        """
        shown = self.at(place, mode)
        if shown is None:
            return "starting"
        if not self.total:
            return "not optimised"
        number = self.iterations[shown]
        if place != NOW and self.place(0, mode) > place:
            return "not begun"
        if number >= self.total:
            return f"finished at {count(self.total)}"
        is_now = self.is_active and shown == len(self.iterations) - 1
        return f"{'now at' if is_now else 'after'} {count(number)} of {count(self.total)}"


def places(tracks: Sequence[Track], mode: str) -> list[Place]:
    """Return the positions of the slider, in order: wherever a run has something new to show, now at last."""
    active = [track for track in tracks if track.is_active]
    found = {track.place(number, mode) for track in tracks for number in track.iterations}
    if not active:
        return sorted(found)
    reached = [track.place(track.iterations[-1] if track.iterations else 0, mode) for track in active]
    return [*sorted(place for place in found if place < min(reached)), NOW]


def label(place: Place, mode: str) -> str:
    """Return what is said above the slider.

    >>> [label(*pair) for pair in ((Fraction(-50), "end"), (Fraction(1, 4), "share"), (NOW, "end"))]
    ['50 iterations before the end of each', '25 % of each run', 'Now: the newest images of each run']
    """
    if isinstance(place, str):
        return "Now: the newest images of each run"
    if mode == "share":
        return f"{float(100 * place):.4g} % of each run"
    if mode == "iteration":
        return f"After {count(int(place))} iterations" if place else "Before the first iteration"
    return f"{count(int(-place))} iterations before the end of each" if place else "At the end of each run"


def tick(place: Place, mode: str) -> str:
    """Return what is said below the slider, and in the address."""
    if isinstance(place, str):
        return place
    if mode == "share":
        return f"{float(100 * place):.4g}%"
    return "end" if mode == "end" and not place else f"{int(place)}"
