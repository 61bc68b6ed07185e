"""What the gallery shows: runs, class, order, arrangement and size, each kept in the address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from delt_engine.runs.image_facts import SORTS
from delt_engine.runs.store import Run
from pages.shared import address, cached
from pages.shared.session import prime
from pages.shared.wording import plain, run_title

SIZES = {"S": 64, "M": 96, "L": 160}
ARRANGEMENTS = {"all": "All", "halves": "Early | late", "rounds": "By start round"}
COMPARISONS = {"sides": "Side by side", "swipe": "Swipe"}
MOST_BESIDE = 2
RUN, BESIDE, CLASS, SHOWN = "gallery/run", "gallery/beside", "gallery/class", "gallery/shown"
KEPT_FOR_A_RUN = ("gallery/position", "gallery/image", "gallery/page")


def runs_with_images() -> list[Run]:
    """Return the runs that have something to show, the user's newest first, then the examples."""
    found = [run for run in [*cached.runs(), *cached.examples()] if not run.unreadable and run.classes]
    return [run for run in found if run.record().kind == "recover"]


def choose_run(runs: Sequence[Run]) -> Run:
    """Draw the choice of the run that the address names."""
    ids = [run.id for run in runs]
    named = st.query_params.get("run", ids[0])
    if named not in ids:
        st.warning(f"There is no run {plain(named)} with images here, so this is another one.")
    address.restore("run", RUN, address.member(ids))
    chosen = st.selectbox("Run", ids, key=RUN, format_func=_titles(runs).get)
    address.publish("run", RUN, chosen)
    if st.session_state.get(SHOWN, chosen) != chosen:  # another run has other rounds and other images
        for key in KEPT_FOR_A_RUN:
            st.session_state.pop(key, None)
    st.session_state[SHOWN] = chosen
    return runs[ids.index(chosen)]


def choose_beside(runs: Sequence[Run], main: Run) -> list[Run]:
    """Draw the choice of runs to show beside the main one; those that share a class with it."""
    names = {main.class_names[number] for number in main.classes}
    fitting = [run for run in runs if run != main and names & {run.class_names[number] for number in run.classes}]
    ids = [run.id for run in fitting]
    address.restore("vs", BESIDE, lambda text: [part for part in text.split(",") if part in ids][:MOST_BESIDE])
    kept = st.session_state.get(BESIDE) or []
    st.session_state[BESIDE] = [run for run in kept if run in ids]
    chosen = st.multiselect(
        "Beside it",
        ids,
        key=BESIDE,
        format_func=_titles(fitting).get,
        max_selections=MOST_BESIDE,
        placeholder="Another run" if ids else "No other run has these classes",
        disabled=not ids,
    )
    address.publish("vs", BESIDE, ",".join(chosen))
    return [fitting[ids.index(name)] for name in chosen]


def choose_class(runs: Sequence[Run]) -> str:
    """Draw the choice of a class that the main run has, typed or stepped through, and return its name."""
    names = [runs[0].class_names[number] for number in runs[0].classes]
    address.restore("cls", CLASS, address.member(names))
    if st.session_state.get(CLASS) not in names:
        st.session_state[CLASS] = names[0]
    at = names.index(st.session_state[CLASS])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xxsmall"):
        chosen = st.selectbox(f"Class ({at + 1:,} of {len(names):,})", names, key=CLASS)
        for label, icon, step in (("previous", "chevron_left", -1), ("next", "chevron_right", 1)):
            place = at + step
            st.button(
                "",
                icon=f":material/{icon}:",
                key=f"gallery/{label}",
                help=f"The {label} class",
                disabled=not 0 <= place < len(names),
                on_click=_go,
                args=(names[place % len(names)],),
            )
    address.publish("cls", CLASS, chosen)
    return chosen


def choose_order() -> tuple[str, bool]:
    """Draw the choice of an order and return what to sort by, and whether the largest come first."""
    sort = _one_of("sort", SORTS, "start", _select, "Sort by")
    key = "gallery/descending"
    address.restore("desc", key, lambda text: text == "1")
    with st.container(width="content", height=40, vertical_alignment="center", border=False):
        down = st.checkbox("Largest first", key=key)
    address.publish("desc", key, "1" if down else "")
    return sort, bool(down)


def choose_arrangement(runs: Sequence[Run]) -> str:
    """Draw how images are laid out: of one run in groups, of several beside each other."""
    if len(runs) == 1:
        return _one_of("view", ARRANGEMENTS, "all", _segments, "Show")
    options = COMPARISONS if len(runs) == 2 else {"sides": COMPARISONS["sides"]}
    return _one_of("compare", options, "sides", _segments, "Show")


def choose_size() -> int:
    """Draw the choice of the size on screen and return it in pixels."""
    return SIZES[_one_of("size", {name: name for name in SIZES}, "M", _segments, "Image size")]


def _one_of(name: str, options: dict[str, str], default: str, widget: Any, label: str) -> str:
    """Draw one choice whose parameter has the widget's name; the default stands in no address."""
    key = f"gallery/{name}"
    address.restore(name, key, address.member(list(options)))
    if prime(key, default) not in options:
        st.session_state[key] = default
    chosen = widget(label, list(options), st.session_state[key], key=key, format_func=options.get)
    address.publish(name, key, chosen if chosen != default else "")
    return chosen


def _select(label: str, options: list[str], now: str, **rest: Any) -> str:
    return st.selectbox(label, options, options.index(now), width=250, **rest)


def _segments(label: str, options: list[str], now: str, **rest: Any) -> str:
    return st.segmented_control(label, options, default=now, required=True, **rest)


def _go(name: str) -> None:
    st.session_state[CLASS] = name


def _titles(runs: Sequence[Run]) -> dict[str, str]:
    return {run.id: f"{run_title(run.experiment)}  ({run.id})" for run in runs}
