"""What is not measured yet, with the button that does it in a process of its own; the figures and the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
TABS = {"classes": "Sorted classes", "boxes": "Class by class", "images": "All images", "groups": "Early and late"}
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
            button("Stop", "stop", f"diversity/stop_{name}", errors.attempt, name, work.forget)
        else:
            deed = (errors.attempt, name, tasks.start, work, list(command))
            button(label, "straighten", f"diversity/{name}", *deed, type="primary")
        with st.popover("Command", icon=":material/terminal:", key=f"diversity/command_{name}"):
            controls.command(["delt", *command])
    if is_running:
        st.progress(min(1.0, now.done / now.total) if now and now.total else 0.0)
    errors.show(work.error)
    errors.show_failed(name)


def draw(sets: Sets) -> None:
    """Draw the figure the reader chose, and the table."""
    look = {"segmented": True, "label_visibility": "collapsed"}
    shown = controls.linked_choice("figure", "Figure", TABS, "diversity/figure", **look)
    if not comparable([one.result for one in sets.shown]):
        st.warning(
            "These runs have other teachers or other classes, so their numbers do not stand side by side; the "
            "second network and the pixels are the same for all runs with the same classes."
        )
    {"classes": _curves, "boxes": _boxes, "images": _images, "groups": _halves}[shown](sets)
    _table(sets)


def _curves(sets: Sets) -> None:
    drawn = diversity.class_curves(sets.shown, sets.axis)
    figure.draw(drawn, "diversity/classes")
    st.caption(
        "Mean cosine of each image to the centroid of its class, a mark a class, most alike first, as in DELT's "
        "Fig. 2. Lower is more diverse. Real images are dashed, at the same number a class. "
        f"{_axis(drawn.layout.yaxis)}"
    )


def _boxes(sets: Sets) -> None:
    names, most = (
        list(dict.fromkeys(name for one in sets.shown for name in one.result.class_names)),
        diversity.MOST_BOXES,
    )
    classes = names
    if len(names) > most:
        look = {"usual": names[:most], "most": most, "max_selections": most, "placeholder": "Classes"}
        classes = controls.linked_choices(
            "classes", f"Classes, {most} at most", {name: name for name in names}, "diversity/classes_shown", **look
        )
    drawn = diversity.class_boxes(sets.shown, sets.axis, classes)
    figure.draw(drawn, "diversity/boxes")
    st.caption(
        "A box holds the middle half of a class's images, its line is the median, dashed the mean; all sets have the "
        f"same number of images a class. {_axis(drawn.layout.yaxis)}"
    )


def _images(sets: Sets) -> None:
    drawn = diversity.distribution(sets.shown, sets.axis)
    figure.draw(drawn, "diversity/images")
    words = "Each tick is an image; the box holds the middle half, its line is the median, dashed the mean."
    st.caption(f"{words} {_axis(drawn.layout.xaxis)}")


def _halves(sets: Sets) -> None:
    if not any(one.result.early_late for one in sets.shown):
        st.info(
            "None of these runs has rounds with two images or more in each half, so there is no early and no late "
            "half to compare."
        )
        return
    drawn = diversity.early_and_late(sets.shown, sets.axis)
    figure.draw(drawn, "diversity/groups")
    st.markdown(plain(claim(sets)))
    st.caption(
        "Images in the order of joining, halved; each half against its own centroid. A half has fewer images than the "
        f"class, so read halves beside halves and classes beside classes. {_axis(drawn.layout.xaxis)}"
    )


def claim(sets: Sets) -> str:
    """Return what EarlyLate changes, in the numbers of these sets: the class as a whole, and its halves."""
    iterations = {run.id: run.experiment.recover.iterations for run in sets.runs}
    ours = next(one for one in sets.shown if one.result.early_late)
    mi = iterations.get(ours.result.source)
    others = [
        one
        for one in sets.shown
        if one.result.method in ("cda", "sre2l")
        and iterations.get(one.result.source) == mi
        and comparable([one.result, ours.result])
    ]
    text = "EarlyLate's claim is about the class as a whole"
    if others:
        numbers = ", ".join(f"{one.label} ({one.result.mean:.3f})" for one in (ours, *others))
        text += f" at the same MI, here {count(mi or 0)}: {numbers}"
    early, late = ours.result.early_late or (0.0, 0.0)
    more = "late" if late > early else "early"
    return (
        f"{text}. Inside a run the late half is often the more alike; in {ours.label} it is the {more} half: early "
        f"{early:.3f}, late {late:.3f}. Few iterations leave late images near the patches they start from, and the mix "
        "of early and late spreads the class."
    )


def _axis(axis: Any) -> str:
    return f"The axis runs from {axis.range[0]:.2f} to {axis.range[1]:.2f}."


def _table(sets: Sets) -> None:
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
