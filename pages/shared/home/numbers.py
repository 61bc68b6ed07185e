"""Three numbers that matter, read from a finished example, each with what it stands beside and where it is from."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from delt_engine.data.catalogue import find_entry
from pages.shared import nav
from pages.shared.accuracy.data import shortened
from pages.shared.lab import stored
from pages.shared.lab.example import Example
from pages.shared.wording import METHOD_TITLES, count, plain, plural

_BESIDE = ("cda", "sre2l", "random")


@dataclass(frozen=True)
class Number:
    """One number with what is said of it, and the page that it is from."""

    title: str
    value: str
    words: str
    page: str
    label: str


def draw(shown: Example) -> None:
    """Draw accuracy, saving and similarity side by side; one that was not measured says so."""
    with st.grid(3, min_column_width=170):
        for number in (_accuracy(shown), _saving(shown), _similarity(shown)):
            with st.container(border=True, gap="small", height="stretch"):
                st.metric(number.title, number.value)
                st.caption(number.words)
                st.space("stretch")
                nav.link(number.page, number.label, run=shown.run.id)


def _accuracy(shown: Example) -> Number:
    title, page = "Student accuracy", ("explore/accuracy", "Accuracy")
    own = shown.accuracy(shown.run.experiment.recover.method)
    if own is None:
        return Number(title, "–", "No student was trained on this run yet.", *page)
    result, entry = own.result, find_entry(own.result["dataset"])
    beside = [one.result for one in map(shown.accuracy, _BESIDE) if one and one is not own]
    others = "".join(f", {one['method_title']} {one['top1_last']:.1f}\u00a0%" for one in beside)
    real = f" instead of {count(entry.train_size)} real ones" if entry and entry.train_size else ""
    less = f"; {shortened(own)}" if shortened(own) else ""
    words = (
        f"{result['method_title']}{others}. Networks trained on {count(result['images'])} images{real}, "
        f"{plural(len(result['seeds']), 'student')} each{less}; guessing gives {result['chance']:g} %."
    )
    return Number(title, f"{result['top1_last']:.1f} %", words, *page)


def _saving(shown: Example) -> Number:
    title, page = "Iterations saved", ("distill/recover", "Open this run")
    schedule, classes = shown.run.experiment.recover.schedule, len(shown.run.classes)
    if not schedule.has_rounds:
        return Number(title, "–", "All images of this run got the same number of iterations.", *page)
    full = schedule.ipc * schedule.iterations * classes
    words = (
        f"{count(schedule.image_iterations(classes))} steps on single images instead of {count(full)}, as late images "
        f"get fewer. From the schedule: MI {count(schedule.iterations)}, RI {count(schedule.round_iterations)}."
    )
    return Number(title, f"{schedule.saved_percent:.1f} %", words, *page)


def _similarity(shown: Example) -> Number:
    title, page = "Similarity within a class", ("explore/diversity", "Diversity")
    found = stored.claim(tuple(shown.compared_runs)) if shown.compared_runs else None
    if found is None:
        return Number(title, "–", "There is no CDA or SRe²L run under the same settings to hold it against.", *page)
    others = ", ".join(f"{one.title} {one.mean:.3f}" for one in found.others)
    words = (
        f"{METHOD_TITLES['delt']}, {others}, all with the same MI. 1 is identical, lower is more varied. Mean cosine "
        f"to the class's centre in {plain(found.space)}."
    )
    return Number(title, f"{found.delt.mean:.3f}", words, *page)
