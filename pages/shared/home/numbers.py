"""Three numbers that matter, read from a finished example, each with what it stands beside and where it is from."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.catalogue import find_entry
from pages.shared import cached, nav
from pages.shared.lab.example import Example
from pages.shared.wording import METHOD_TITLES, count, plain, plural

_BESIDE = ("cda", "sre2l", "random")


def draw(shown: Example) -> None:
    """Draw accuracy, saving and similarity side by side; one that was not measured says so."""
    with st.grid(3, min_column_width=170):
        for title, value, words, page, label, query in (_accuracy(shown), _saving(shown), _similarity(shown)):
            with st.container(border=True, gap="small", height="stretch"):
                st.metric(title, value)
                st.caption(words)
                st.space("stretch")
                nav.link(page, label, **query)


def _accuracy(shown: Example) -> tuple[object, ...]:
    method = shown.run.experiment.recover.method
    own = shown.accuracy(method)
    if own is None:
        return "Student accuracy", "–", "No student was trained on this run yet.", "explore/accuracy", "Accuracy", {}
    result, entry = own.result, find_entry(own.result["dataset"])
    others = [
        f"{one.result['method_title']} {one.result['top1_last']:.1f} %" for one in map(shown.accuracy, _BESIDE) if one
    ]
    real = f" instead of {count(entry.train_size)} real ones" if entry and entry.train_size else ""
    words = (
        f"{METHOD_TITLES[method]}; {', '.join(others)}. Networks trained on {count(result['images'])} images{real}, "
        f"{plural(len(result['seeds']), 'student')} each; guessing gives {result['chance']:g} %."
    )
    return "Student accuracy", f"{result['top1_last']:.1f} %", words, "explore/accuracy", "Accuracy", {}


def _saving(shown: Example) -> tuple[object, ...]:
    schedule, classes = shown.run.experiment.recover.schedule, len(shown.run.classes)
    full = schedule.ipc * schedule.iterations * classes
    words = (
        f"{count(schedule.image_iterations(classes))} steps on single images instead of {count(full)}, as late images "
        f"get fewer. From the schedule: MI {count(schedule.iterations)}, RI {count(schedule.round_iterations)}."
    )
    query = {"run": shown.run.id}
    return "Iterations saved", f"{schedule.saved_percent:.1f} %", words, "distill/recover", "Open this run", query


def _similarity(shown: Example) -> tuple[object, ...]:
    found = cached.claim(tuple(shown.company)) if shown.company else None
    where = ("explore/diversity", "Diversity", {})
    if found is None:
        return "Similarity within a class", "–", "Not measured against CDA or SRe²L yet.", *where
    others = ", ".join(f"{one.title} {one.mean:.3f}" for one in found.others)
    words = (
        f"DELT; {others} with the same MI. 1 is identical, lower is more varied. Mean cosine to the class's centre in "
        f"{plain(found.space)}."
    )
    return "Similarity within a class", f"{found.delt.mean:.3f}", words, *where
