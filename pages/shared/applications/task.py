"""What the applications' forms have in common: which runs can be chosen, and how far the work is."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import tasks
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors
from pages.shared.controls import button
from pages.shared.wording import long_title, plain, sentence


def is_busy(now: tasks.Task, page: str, kept: str) -> bool:
    """Draw how far a task is where it is at work, else why it failed where it did; return whether it is at work."""
    errors.show_failed(page)
    if now.is_running:
        _at_work(now, page, kept)
    elif now.state == "failed":
        errors.show(RunError(now.error))
    return now.is_running


def whole_runs() -> dict[str, Run]:
    """Return the finished recoveries that have images of all classes of their data, by id."""
    return {run.id: run for run in cached.recoveries(finished=True) if _knows_all(run)}


def sources(runs: dict[str, Run], label: str, page: str) -> list[str]:
    """Draw the choice of runs and return their ids; the newest one is chosen at first."""
    titles = {key: long_title(run) for key, run in runs.items()}
    key, usual = f"{page}/sources", list(titles)[:1]
    st.session_state[key] = [one for one in st.session_state.get(key, usual) or [] if one in titles]
    return st.multiselect(label, list(titles), key=key, format_func=titles.get)


def start(label: str, icon: str, page: str, now: tasks.Task, words: list[str], *, can_start: bool) -> None:
    """Draw the button that starts a command, and the command."""
    deed = (errors.attempt, page, tasks.start, now, words[1:])
    is_wrong = not can_start or bool(controls.refused(page))
    button(label, icon, f"{page}/start", *deed, type="primary", disabled=is_wrong)
    if words:
        controls.command(words)


def _knows_all(run: Run) -> bool:
    record = run.record()
    return record.dataset is not None and len(run.classes) == len(record.dataset.class_names)


def _at_work(now: tasks.Task, page: str, kept: str) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**At work**", width="content")
            st.space("stretch")
            button("Stop", "stop", f"{page}/stop", errors.attempt, page, now.forget, help=kept)
        far = now.progress()
        st.progress(far.done / max(1, far.total) if far else 0.0)
        st.caption(plain(f"{sentence(far.what)}: {far.done:,} of {far.total:,}" if far else "The process starts…"))
