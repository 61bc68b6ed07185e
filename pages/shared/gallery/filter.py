"""Which images of a class are shown: by start round, by the teacher's probability, by distance to the class mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.runs.image_facts import SORTS, ImageFacts, matching
from pages.shared import address
from pages.shared.wording import count

ROUNDS = "gallery/rounds"
BOUNDS = {"patch": (0.0, 1.0, 0.01), "end": (0.0, 1.0, 0.01), "distance": (0.0, 255.0, 1.0)}
"""Lowest, highest and step of each number that can be bounded."""

_HELP = {
    "patch": "What the teacher gave the true class before the first iteration; the mean over a mosaic's patches.",
    "end": "The same for the image as last measured.",
    "distance": "To the mean of the class's images: root of the mean squared difference of their values, 0 to 255.",
}


@dataclass(frozen=True)
class Filter:
    """What an image must fulfil; everything passes an empty one."""

    rounds: tuple[int, ...] = ()
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """How many conditions there are."""
        return bool(self.rounds) + len(self.bounds)

    def of(self, facts: Sequence[ImageFacts]) -> list[ImageFacts]:
        """Return the images that pass."""
        return matching(facts, self.rounds, **self.bounds)


def choose_filter(schedule: EarlyLateSchedule, facts: Sequence[ImageFacts]) -> Filter:
    """Draw the conditions, out of the way, and return them."""
    with st.popover("Filter", icon=":material/filter_alt:", key="gallery/filter"):
        rounds = _rounds(schedule)
        bounds = {name: pair for name in BOUNDS if (pair := _bounds(name, facts))}
        chosen = Filter(rounds, bounds)
        if chosen.number:
            st.button("Show all again", key="gallery/unfilter", on_click=clear)
    return chosen


def clear() -> None:
    """Take every condition away."""
    st.session_state[ROUNDS] = []
    for name, (low, high, _) in BOUNDS.items():
        st.session_state[f"gallery/{name}"] = (low, high)


def _rounds(schedule: EarlyLateSchedule) -> tuple[int, ...]:
    starts = sorted(set(schedule.start_rounds))
    address.restore("rounds", ROUNDS, lambda text: [int(part) for part in text.split(",")])
    st.session_state[ROUNDS] = [number for number in st.session_state.get(ROUNDS) or [] if number in starts]
    totals = dict(zip(schedule.start_rounds, schedule.image_iterations_each, strict=True))
    chosen = st.pills(
        "Start round and iterations",
        starts,
        key=ROUNDS,
        selection_mode="multi",
        wrap=True,
        format_func=lambda number: f"{number}: {count(totals[number])} it",
    )
    address.publish("rounds", ROUNDS, ",".join(map(str, sorted(chosen))))
    return tuple(sorted(chosen))


def _bounds(name: str, facts: Sequence[ImageFacts]) -> tuple[float, float] | None:
    """Draw one range and return it when it leaves something out."""
    low, high, step = BOUNDS[name]
    key = f"gallery/{name}"
    if all(getattr(entry, name) is None for entry in facts):
        st.caption(f"{SORTS[name]}: not measured in this run.")
        return None
    address.restore(name, key, lambda text: _pair(text, low, high))
    if key not in st.session_state:
        st.session_state[key] = (low, high)
    pair = st.slider(SORTS[name], low, high, key=key, step=step, help=_HELP[name], format="%g")
    narrower = tuple(pair) != (low, high)
    address.publish(name, key, f"{pair[0]:g}~{pair[1]:g}" if narrower else "")
    return (float(pair[0]), float(pair[1])) if narrower else None


def _pair(text: str, low: float, high: float) -> tuple[float, float]:
    first, second = sorted(min(max(float(part), low), high) for part in text.split("~"))
    return first, second
