"""What is not measured yet, with the button that does it in a process of its own; the figures and the table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.analysis.diversity_store import comparable
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.plots import diversity
from delt_engine.runs.tables import Column
from pages.shared import controls, errors, figure, live, tables
from pages.shared.controls import button
from pages.shared.diversity.data import SPACE_NAMES, Sets
from pages.shared.session import session
from pages.shared.wording import count, plain

_STEPS = {"compare images": "comparing images", "look at images": "looking at images", "draw the map": "laying it out"}
TABS = {"classes": "By class", "images": "By image", "groups": "Early and late"}
COLUMNS = (
    Column("label", "Images"),
    Column("ipc", "IPC", 0),
    Column("cosine_similarity", "Cosine to centroid", 3, "spread"),
    Column("pairwise_similarity", "Cosine of pairs", 3),
    Column("early", "Early half", 3),
    Column("late", "Late half", 3),
    Column("early_iterations", "Iterations, early half"),
    Column("late_iterations", "Iterations, late half"),
    Column("source", "Run"),
)


def words(sets: Sets, references: str = "real,random") -> list[str]:
    """Return the command that measures the runs and the real images beside them, in every space."""
    device = session().draft.device
    found = ["diversity", *(run.id for run in sets.runs), "--reference", references]
    return found + (["--device", device] if device != "auto" else [])


def draw_missing(sets: Sets) -> None:
    """Draw what is missing with the button, or how far the measurement is; nothing when all is there."""
    work = tasks.task("diversity", *sorted(run.id for run in sets.runs))
    if not sets.missing and not work.is_running:
        return
    if sets.refusal and not work.is_running:
        st.info(plain(sets.refusal), icon=":material/info:")
        return
    lacking = f"Not measured yet, {SPACE_NAMES[sets.space].lower()}: {', '.join(sets.missing)}."
    draw_task(work, words(sets), lacking, "Measure", "measure")


def draw_task(work: Task, command: Sequence[str], lacking: str, label: str, name: str) -> None:
    """Draw a task: what is ``lacking`` and the button that starts it, or how far it is; and the command."""
    with st.container(border=True):
        live.follow(lambda: work.is_running, lambda: _state(work, command, lacking, label, name))


def _state(work: Task, command: Sequence[str], lacking: str, label: str, name: str) -> None:
    is_running = work.is_running
    now = work.progress() if is_running else None
    text = "The measurement starts." if is_running else lacking
    if now:
        what = _STEPS.get(now.what, f"reading {now.what}")
        text = f"At work: {what}, {count(now.done)} of {count(now.total)}."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(plain(text), width="stretch")
        if is_running:
            button("Stop", "stop", f"diversity/stop_{name}", work.forget)
        else:
            deed = (errors.attempt, name, tasks.start, work, list(command))
            button(label, "straighten", f"diversity/{name}", *deed, type="primary")
    if is_running:
        st.progress(min(1.0, now.done / now.total) if now and now.total else 0.0)
    errors.show(work.error)
    errors.show_failed(name)
    controls.command(["delt", *command])


def draw(sets: Sets) -> None:
    """Draw the figure the reader chose, and the table."""
    look = {"segmented": True, "label_visibility": "collapsed"}
    shown = controls.linked_choice("figure", "Figure", TABS, "diversity/figure", **look)
    if not comparable([one.result for one in sets.shown]):
        st.warning(
            "These runs have other teachers or other classes, so their numbers do not stand side by side; the "
            "second network and the pixels are the same for all runs with the same classes."
        )
    if shown == "classes":
        figure.draw(diversity.class_curves(sets.shown, sets.axis), "diversity/classes")
        st.caption(
            "Mean cosine of each image to the centroid of its class, a mark a class, most alike first, as in "
            "DELT's Fig. 2. Lower is more diverse. Real images are dashed, at the same number a class."
        )
    elif shown == "images":
        figure.draw(diversity.distribution(sets.shown, sets.axis), "diversity/images")
        st.caption("Each tick is an image; the box holds the middle half, its line is the median, dashed the mean.")
    elif any(one.result.early_late for one in sets.shown):
        figure.draw(diversity.early_and_late(sets.shown, sets.axis), "diversity/groups")
        st.caption(
            "Images in the order of joining, halved: the early half gets more iterations than the late one, as the "
            "words say. Each half against its own centroid."
        )
    else:
        st.info(
            "None of these runs has rounds with two images or more in each half, so there is no early and no late "
            "half to compare."
        )
    st.subheader("Table")
    result = sets.shown[0].result
    iterations = (
        {"early_iterations": one.early_words or None, "late_iterations": one.late_words or None} for one in sets.shown
    )
    rows = [
        one.result.summary() | {"label": one.label} | more for one, more in zip(sets.shown, iterations, strict=True)
    ]
    note = (
        f"{result.images} images per class of {result.dataset}, compared in {sets.axis}. "
        "Real images: mean of seeded draws, ± over them."
    )
    tables.draw(rows, COLUMNS, "diversity", f"diversity-{result.dataset}-ipc{result.images}-{sets.space}", note)
