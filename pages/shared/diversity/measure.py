"""What is not measured yet, and the button that measures it in a process of its own."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Progress, Task
from pages.shared import errors, live
from pages.shared.diversity.data import SPACE_NAMES, Sets
from pages.shared.session import session
from pages.shared.wording import count, plain

_STEPS = {"compare images": "comparing images", "look at images": "looking at images", "draw the map": "laying it out"}


def words(sets: Sets, references: str = "real,random") -> list[str]:
    """Return the command that measures the runs and the real images beside them, in every space."""
    device = session().draft.device
    found = ["diversity", *(run.id for run in sets.runs), "--reference", references]
    return found + (["--device", device] if device != "auto" else [])


def measuring(sets: Sets) -> Task:
    """Return the task that measures these runs, whether it was started or not."""
    return tasks.task("diversity", *sorted(run.id for run in sets.runs))


def draw(sets: Sets) -> None:
    """Draw what is missing with the button, or how far the measurement is; nothing when all is there."""
    work = measuring(sets)
    if not sets.missing and not work.is_running:
        return
    if sets.refusal and not work.is_running:
        st.info(plain(sets.refusal), icon=":material/info:")
        return
    lacking = f"Not measured yet, {SPACE_NAMES[sets.space].lower()}: {', '.join(sets.missing)}."
    with st.container(border=True):
        live.follow(lambda: work.is_running, lambda: state(work, words(sets), lacking, "Measure", "measure"))


def state(work: Task, command: Sequence[str], lacking: str, label: str, name: str) -> None:
    """Draw a task: what it will give and the button that starts it, or how far it is; and the command.

    Args:
        work: the task.
        command: what it runs, without the first word.
        lacking: said while it has not run.
        label: of the button.
        name: part of the widgets' keys.
    """
    told = work.progress() if work.is_running else None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(plain(_doing(told) if work.is_running else lacking), width="stretch")
        if work.is_running:
            st.button("Stop", icon=":material/stop:", key=f"diversity/stop_{name}", on_click=work.forget)
        else:
            st.button(
                label,
                type="primary",
                icon=":material/straighten:",
                key=f"diversity/{name}",
                on_click=errors.attempt,
                args=(name, tasks.start, work, list(command)),
            )
    if work.is_running:
        st.progress(min(1.0, told.done / told.total) if told and told.total else 0.0)
    if work.error:
        errors.show(work.error)
    errors.show_kept(name)
    st.code(shlex.join(["delt", *command]), language="bash", wrap_lines=True)


def _doing(told: Progress | None) -> str:
    if told is None:
        return "The measurement starts."
    what = _STEPS.get(told.what, f"reading {told.what}")
    return f"At work: {what}, {count(told.done)} of {count(told.total)}."
