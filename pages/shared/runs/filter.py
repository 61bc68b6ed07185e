"""Which runs the reader wants to see, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from delt_engine.jobs import space
from delt_engine.runs.store import Run
from delt_engine.runs.titles import read_title
from pages.shared.wording import METHOD_TITLES, own_title

KIND_TITLES = {"squeeze": "Teacher", "rank": "Ranking", "evaluate": "Students"}
ORDERS: dict[str, Callable[[Run], Any] | None] = {
    "Newest": None,
    "Longest": lambda run: -_number(run, "seconds"),
    "Fastest": lambda run: -_number(run, "image_iterations_per_second"),
    "Largest on disk": lambda run: -space.use(run).total,
    "Highest top-1": lambda run: 0.0 if run.unreadable else -float(run.record().result.get("top1_last") or 0.0),
    "Title": lambda run: title(run).casefold(),
}


def title(run: Run) -> str:
    """Return what the reader called the run, else what it is made of."""
    if run.unreadable:
        return "Unreadable run"
    return read_title(run).title or own_title(run.record())


def method(run: Run) -> str:
    """Return the method, or what else the run makes."""
    if run.unreadable:
        return "Unreadable"
    record = run.record()
    return KIND_TITLES.get(record.kind) or METHOD_TITLES[record.experiment.recover.method]


def chosen(runs: list[Run]) -> list[Run]:
    """Draw the filters and return the runs that pass, sorted."""
    with st.grid(4, min_column_width=170, vertical_alignment="bottom"):
        text = st.text_input(
            "Find", key="runs/find", placeholder="Title, tag, note, id, dataset", icon=":material/search:"
        )
        statuses = st.multiselect("Status", sorted({run.status for run in runs}), key="runs/statuses")
        methods = st.multiselect("Method", sorted({method(run) for run in runs}), key="runs/methods")
        order = st.selectbox("Order", list(ORDERS), key="runs/order")
    words = (text or "").casefold().split()
    found = [
        run
        for run in runs
        if (not statuses or run.status in statuses)
        and (not methods or method(run) in methods)
        and all(word in _text(run) for word in words)
    ]
    key = ORDERS[order]
    return sorted(found, key=key) if key else found


def _text(run: Run) -> str:
    parts = [run.id, title(run), method(run)]
    if not run.unreadable:
        labels, record = read_title(run), run.record()
        parts += [own_title(record), record.source, *labels.tags, labels.note, f"seed {record.seed}"]
    return " ".join(parts).casefold()


def _number(run: Run, name: str) -> float:
    return 0.0 if run.unreadable else getattr(run.record(), name) or 0.0
