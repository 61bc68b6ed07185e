"""Students in training: how far they are, their curves, what waits behind them, and what can be asked of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import streamlit as st
from plotly.graph_objects import Figure

from delt_engine.errors import DeltError
from delt_engine.jobs import queue
from delt_engine.plots.training import student_curves
from delt_engine.runs.events import StudentEpochEvent, StudentStepEvent
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, figure, live
from pages.shared.controls import button
from pages.shared.runs import actions, failure
from pages.shared.runs.progress import Progress, progress
from pages.shared.runs.strips import stamp
from pages.shared.wording import duration, ordinal, plain, plural, run_title, sentence, short_name, stopped_text

MOST_WAITING = 6
MOST_STOPPED = 2
_HIDDEN = "accuracy/hidden"


def unfinished() -> list[Run]:
    """Return the evaluations at work, then those that wait, then the newest that stopped before their end."""
    runs = [run for run in cached.runs() if not run.unreadable and run.record().kind == "evaluate"]
    active = sorted((run for run in runs if run.is_active), key=lambda run: (run.status != "running", run.id))
    hidden = st.session_state.get(_HIDDEN, ())
    stopped = [run for run in runs if run.status in ("paused", "interrupted", "failed") and run.id not in hidden]
    return active + stopped[:MOST_STOPPED]


def draw(watched: str = "") -> None:
    """Draw what is in training, again every second while something is; the whole page when one has finished."""
    if not unfinished():
        return
    known = {run.id for run in unfinished()}

    def view() -> None:
        now = unfinished()
        if known - {run.id for run in now}:
            st.rerun()  # one has finished: its bar belongs into the figures
        _draw(now, watched)

    with st.container(border=True):
        live.follow(lambda: any(run.is_active for run in unfinished()), view)


def _draw(runs: list[Run], watched: str) -> None:
    begun = [run for run in runs if run.status not in ("failed", "queued")]
    main = next((run for run in begun if run.id == watched), begun[0] if begun else None)
    if main is not None:
        _one(main, is_open=main.id == watched)
    others = [run for run in runs if run != main]
    for run in others[:MOST_WAITING]:
        _line(run)
    if len(others) > MOST_WAITING:
        st.caption(f"{plural(len(others) - MOST_WAITING, 'more evaluation')} in the queue.")


def _line(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        where = ""
        with errors.contained(run.id):
            place = queue.place(run) if run.status == "queued" else None
            where = f"{ordinal(place)} in the queue" if place else sentence(progress(run).text)
        said = "" if run.status == "failed" else f" · :gray[{plain(where)}]"
        st.markdown(plain(title(run)) + said, width="content")
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "accuracy", compact=True)
        if not run.is_active:
            look = {"type": "tertiary", "help": "It stays in the list of runs."}
            hidden = {_HIDDEN: (*st.session_state.get(_HIDDEN, ()), run.id)}
            button("Hide", "", f"accuracy/hide/{run.id}", st.session_state.update, hidden, **look)
    if not run.is_active:
        failure.show(run)


def title(run: Run) -> str:
    """Return what is evaluated: the title of the source, as far as it is known before the end."""
    source = run.record().source
    if source == "real":
        return "Students of the whole real set"
    try:
        made = Run.open(source)
        return f"Students of {run_title(made.experiment, made.record().kind)}"
    except DeltError:
        return f"Students of {short_name(source)}"


def _one(run: Run, *, is_open: bool) -> None:
    record = run.record()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{plain(title(run))}**", width="content")
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "accuracy")
    with errors.contained(run.id):
        now = progress(run)
        st.progress(now.fraction, text=plain(stopped_text(run.status, now.text)))
        if not run.is_active:
            failure.show(run)
        # closed, so that what is finished stays in the first view
        with st.expander("Curves and numbers", expanded=is_open, key="accuracy/live_more"):
            _numbers(run, now)
            figure.plain(_curves(run.path, stamp(run.path / "events.jsonl")), "accuracy/live")
            controls.command(record.command)


def _numbers(run: Run, now: Progress) -> None:
    left = duration(now.left_s) if now.left_s is not None else "–"
    config = run.experiment.evaluate
    epoch, step = run.latest_event(StudentEpochEvent), run.latest_event(StudentStepEvent)
    at_work = now.students or (0,)
    tested = [event.top1 for event in run.events(StudentEpochEvent) if event.top1 is not None]
    newest = step or epoch
    with st.grid(5, min_column_width=112):
        student = f"{at_work[0] + 1}–{at_work[-1] + 1}" if len(at_work) > 1 else f"{at_work[0] + 1}"
        st.metric("Student", f"{student} of {config.seeds}", help="Each is trained from another seed.")
        st.metric("Epoch", f"{step.epoch if step else 0} of {config.epochs}")
        accuracy = f"{tested[-1]:.1f} %" if tested else "–"
        st.metric("Accuracy", accuracy, help="When last tested, on the real test images.")
        st.metric("Loss", f"{newest.loss:.4g}" if newest else "–", help="Mean over the epoch so far.")
        st.metric("Time left", left, help="From the rate of the last half minute.")


@lru_cache(maxsize=8)
def _curves(path: Path, _moment: int) -> Figure:
    run = Run(path)
    try:
        method = Run.open(run.record().source).experiment.recover.method
    except DeltError:
        method = "real"
    return student_curves(run.events(StudentEpochEvent), epochs=run.experiment.evaluate.epochs, method=method)
