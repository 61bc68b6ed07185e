"""Which runs the reader wants to see, and what they are called."""

from __future__ import annotations

import streamlit as st

from delt_engine.runs.store import Run
from delt_engine.runs.titles import read_title
from pages.shared.wording import own_title

KIND_TITLES = {"squeeze": "Teacher", "rank": "Ranking", "evaluate": "Students"}


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
    return KIND_TITLES.get(record.kind) or record.method_title


def chosen(runs: list[Run]) -> list[Run]:
    """Draw the filters and return the runs that pass, in their order."""
    with st.grid(3, min_column_width=170, vertical_alignment="bottom"):
        what = "Title, tag, note, id, dataset"
        text = st.text_input("Find", key="runs/find", placeholder=what, icon=":material/search:")
        statuses = st.multiselect("Status", sorted({run.status for run in runs}), key="runs/statuses")
        methods = st.multiselect("Method", sorted({method(run) for run in runs}), key="runs/methods")
    words = (text or "").casefold().split()
    return [
        run
        for run in runs
        if (not statuses or run.status in statuses)
        and (not methods or method(run) in methods)
        and all(word in _text(run) for word in words)
    ]


def _text(run: Run) -> str:
    parts = [run.id, title(run), method(run)]
    if not run.unreadable:
        labels, record = read_title(run), run.record()
        parts += [own_title(record), record.source, *labels.tags, labels.note, f"seed {record.seed}"]
    return " ".join(parts).casefold()
