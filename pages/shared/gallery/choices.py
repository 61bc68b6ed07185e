"""What the gallery shows: runs, classes, order, arrangement, size and conditions, each kept in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.data.catalogue import find_entry
from delt_engine.runs.image_facts import SORTS, ImageFacts, matching
from delt_engine.runs.store import Run
from pages.shared import address, controls
from pages.shared.controls import button
from pages.shared.wording import count, long_title, plain, plural

SIZES = {"S": 64, "M": 96, "L": 160, "XL": 256}
ARRANGEMENTS = {"all": "All", "halves": "Early | late", "rounds": "By start round"}
ALL = "*"
"""Stands for all classes, also in the address."""

FEW = 24
"""Images of a class up to which they are shown large at first."""

RUN, BESIDE, CLASS, SHOWN = "gallery/run", "gallery/beside", "gallery/class", "gallery/shown"
OF_A_RUN = ("gallery/position", "gallery/image", "gallery/page", "gallery/at")
"""What is forgotten with the run."""

_TOLD = "gallery/told"

BOUNDS = {
    "patch": (1.0, "What the teacher gave the true class before the first iteration; the mean of a mosaic's patches."),
    "end": (1.0, "The same for the image as last measured."),
    "distance": (255.0, "To the mean of the class's images: root mean squared difference of their values, 0 to 255."),
}
"""Highest value of each number that can be bounded, from 0 on, and what it is."""


def tell(text: str) -> None:
    """Say at the top of the page, as wide as it is, that the address names what is not there."""
    st.session_state.setdefault(_TOLD, []).append(text)


def draw_message() -> None:
    """Draw what was told, once."""
    for text in st.session_state.pop(_TOLD, []):
        st.warning(text, icon=":material/link_off:")


def choose_run(runs: Sequence[Run]) -> Run:
    """Draw the choice of the run that the address names."""
    titles = {run.id: long_title(run) for run in runs}
    named = st.query_params.get("run", runs[0].id)
    if named not in titles:
        tell(f"There is no run {plain(named)} with images here, so this is another one.")
    chosen = controls.linked_choice("run", "Run", titles, RUN, always=True, width=430)  # of a usual title in full
    if st.session_state.get(SHOWN, chosen) != chosen:  # another run has other rounds and other images
        for key in OF_A_RUN:
            st.session_state.pop(key, None)
    st.session_state[SHOWN] = chosen
    return next(run for run in runs if run.id == chosen)


def choose_class(run: Run) -> tuple[str, ...]:
    """Draw the choice of a class that a run has, typed or stepped through, or of all; return their names."""
    names = [run.class_names[number] for number in run.classes]
    options = {**{name: name for name in names}, ALL: f"All {len(names):,} classes"}
    entry, named = find_entry(run.experiment.dataset), st.query_params.get("cls")
    first = entry.striking if entry and entry.striking in names else names[0]
    if named and named not in options:
        tell(f"There is no class {plain(named)} in this run, so this is another one.")
    address.restore("cls", CLASS, address.member(options))
    if st.session_state.get(CLASS) not in options:
        st.session_state[CLASS] = first
    at = -1 if st.session_state[CLASS] == ALL else names.index(st.session_state[CLASS])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xxsmall"):
        title = f"Class ({at + 1:,} of {len(names):,})" if at >= 0 else "Class"
        chosen = controls.linked_choice("cls", title, options, CLASS, default=first, always=True)
        for label, step in (("previous", -1), ("next", 1)):
            look = {"help": f"The {label} class", "disabled": not 0 <= at + step < len(names)}
            icon = "chevron_left" if step < 0 else "chevron_right"
            other = {CLASS: names[(at + step) % len(names)]}
            button("", icon, f"gallery/{label}", st.session_state.update, other, **look)
        if chosen != ALL:
            look = {"help": "All classes at once, a row each"}
            button("", "view_list", "gallery/all", st.session_state.update, {CLASS: ALL}, **look)
    return tuple(names) if chosen == ALL else (chosen,)


def linked_images(run: Run) -> dict[int, frozenset[int]] | None:
    """Return the images that the address lists as "class number:index", both from 0, by class; None for no list.

    Draws how many these are, with the button that shows all again.
    """
    found: dict[int, set[int]] = {}
    for part in st.query_params.get("imgs", "").split(","):
        number, _, index = part.partition(":")
        is_number = number.isdigit() and index.isdigit() and int(number) in run.classes
        if is_number and int(index) < run.experiment.recover.ipc:
            found.setdefault(int(number), set()).add(int(index))
    if not found:
        if st.query_params.get("imgs"):
            tell("The link lists images that this run does not have, so these are all.")
            address.say("imgs", "")
        return None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plural(sum(map(len, found.values())), 'image')}** that the link lists.", width="content")
        button("Show all images", "close", "gallery/unlist", address.say, "imgs", "")
    return {number: frozenset(indices) for number, indices in sorted(found.items())}


def choose_order() -> str:
    """Draw the choice of an order and return what to sort by."""
    return controls.linked_choice("sort", "Sort by", SORTS, "gallery/sort", width=210)


def choose_direction() -> bool:
    """Draw the choice of a direction and return whether the largest come first."""
    key = "gallery/descending"
    address.restore("desc", key, lambda text: text == "1")
    with st.container(width="content", height=40, vertical_alignment="center", border=False):
        down = st.checkbox("Largest first", key=key)
    address.publish("desc", key, "1" if down else "")
    return bool(down)


def choose_arrangement() -> str:
    """Draw how the images of a class are laid out."""
    return controls.linked_choice("view", "Show", ARRANGEMENTS, "gallery/view", segmented=True)


def choose_size(usual: str) -> int:
    """Draw the choice of the size on screen and return it in pixels."""
    look = {"default": usual, "segmented": True}
    return SIZES[controls.linked_choice("size", "Image size", list(SIZES), "gallery/size", **look)]


def choose_starts(run: Run) -> bool:
    """Draw the choice to see below each image what it started from."""
    if run.experiment.recover.schedule.is_still:
        return False
    what = "Patches" if run.experiment.recover.initialization == "patches" else "Noise"
    key = "gallery/starts"
    address.restore("starts", key, lambda text: text == "1")
    with st.container(width="content", height=40, vertical_alignment="center", border=False):
        chosen = st.checkbox(what, key=key, help="Below each image what it started from.")
    address.publish("starts", key, "1" if chosen else "")
    return bool(chosen)


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
        chosen = Filter(rounds, {name: pair for name in BOUNDS if (pair := _bounds(name, facts))})
        if chosen.number:
            everything = {f"gallery/{name}": (0.0, high) for name, (high, _) in BOUNDS.items()} | {"gallery/rounds": []}
            button("Show all again", "", "gallery/unfilter", st.session_state.update, everything)
    return chosen


def _rounds(schedule: EarlyLateSchedule) -> tuple[int, ...]:
    key, totals = "gallery/rounds", dict(zip(schedule.start_rounds, schedule.image_iterations_each, strict=True))
    starts = sorted(totals)
    address.restore("rounds", key, lambda text: [int(part) for part in text.split(",")])
    st.session_state[key] = [number for number in st.session_state.get(key) or [] if number in starts]
    look = {"selection_mode": "multi", "wrap": True, "format_func": lambda n: f"{n}: {count(totals[n])} iterations"}
    chosen = tuple(sorted(st.pills("Start round and iterations", starts, key=key, **look)))
    address.publish("rounds", key, ",".join(map(str, chosen)))
    return chosen


def _bounds(name: str, facts: Sequence[ImageFacts]) -> tuple[float, float] | None:
    (high, what), key = BOUNDS[name], f"gallery/{name}"
    if all(getattr(entry, name) is None for entry in facts):
        st.caption(f"{SORTS[name]}: not measured in this run.")
        return None

    def read(text: str) -> tuple[float, float]:
        low, top = sorted(min(max(float(part), 0.0), high) for part in text.split("~"))
        return low, top

    address.restore(name, key, read)
    st.session_state.setdefault(key, (0.0, high))
    look = {"step": 0.01 if high == 1 else 1.0, "help": what, "format": "%g"}
    low, top = st.slider(SORTS[name], 0.0, high, key=key, **look)
    narrower = (low, top) != (0.0, high)
    address.publish(name, key, f"{low:g}~{top:g}" if narrower else "")
    return (float(low), float(top)) if narrower else None
