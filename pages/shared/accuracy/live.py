"""Students in training: how far they are, their curves, what waits behind them, and what can be asked of them."""

from __future__ import annotations

import shlex
from functools import lru_cache
from pathlib import Path

import streamlit as st
from plotly.graph_objects import Figure

from delt_engine.jobs import queue
from delt_engine.plots import students
from delt_engine.runs.events import StudentEpochEvent, StudentStepEvent
from delt_engine.runs.store import Run
from pages.shared import cached, errors, live
from pages.shared.runs import actions
from pages.shared.runs.progress import Progress, progress
from pages.shared.runs.strips import stamp
from pages.shared.wording import duration, ordinal, plain, plural, run_title, sentence

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
    begun = [run for run in runs if run.status != "failed"]
    main = next((run for run in begun if run.id == watched), begun[0] if begun else None)
    if main is not None:
        _one(main)
    others = [run for run in runs if run != main]
    for run in others[:MOST_WAITING]:
        _line(run)
    if len(others) > MOST_WAITING:
        st.caption(f"{plural(len(others) - MOST_WAITING, 'more evaluation')} in the queue.")


def _line(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        place = queue.place(run) if run.status == "queued" else None
        where = f"{ordinal(place)} in the queue" if place else sentence(progress(run).text)
        st.markdown(
            plain(title(run)) + ("" if run.status == "failed" else f" · :gray[{plain(where)}]"), width="content"
        )
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "accuracy", compact=True)
        if not run.is_active:
            st.button(
                "Hide",
                key=f"accuracy/hide/{run.id}",
                type="tertiary",
                on_click=_hide,
                args=(run.id,),
                help="It stays in the list of runs.",
            )
    if run.error and not run.is_active:
        errors.show(run.error)


def _hide(run_id: str) -> None:
    st.session_state[_HIDDEN] = (*st.session_state.get(_HIDDEN, ()), run_id)


def title(run: Run) -> str:
    """Return what is evaluated: the title of the source, as far as it is known before the end."""
    source = run.record().source
    if source == "real":
        return "Students of the whole real set"
    try:
        made = Run.open(source)
        return f"Students of {run_title(made.experiment, made.record().kind)}"
    except errors.DeltError:
        return f"Students of {source.rstrip('/').rsplit('/', 1)[-1]}"


def _one(run: Run) -> None:
    now, record = progress(run), run.record()
    config = record.experiment.evaluate
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(plain(title(run)), width="content")
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "accuracy")
    st.progress(now.fraction, text=plain(sentence(_where(run, now))))
    if run.error and not run.is_active:
        errors.show(run.error)
    epoch, step = run.latest_event(StudentEpochEvent), run.latest_event(StudentStepEvent)
    tested = [event.top1 for event in run.events(StudentEpochEvent) if event.top1 is not None]
    with st.grid(5, min_column_width=112):
        st.metric(
            "Student", f"{step.student + 1 if step else 1} of {config.seeds}", help="Each is trained from another seed."
        )
        st.metric("Epoch", f"{step.epoch if step else 0} of {config.epochs}")
        st.metric(
            "Accuracy", f"{tested[-1]:.1f} %" if tested else "–", help="When last tested, on the real test images."
        )
        st.metric(
            "Loss",
            f"{(step or epoch).loss:.4g}" if step or epoch else "–",
            help="Mean over the epoch so far.",
        )
        st.metric(
            "Time left",
            duration(now.left_s) if now.left_s is not None else "–",
            help="From the rate of the last half minute.",
        )
    st.plotly_chart(
        _curves(run.path, stamp(run.path / "events.jsonl")), key="accuracy/live", config={"displayModeBar": False}
    )
    st.code(shlex.join(record.command), language="bash", wrap_lines=True)


def _where(run: Run, now: Progress) -> str:
    words = {"paused": "Paused", "cancelled": "Stopped", "failed": "Failed", "interrupted": "Its process is gone"}
    return f"{words[run.status]}: {now.text}" if run.status in words else now.text


@lru_cache(maxsize=8)
def _curves(path: Path, _moment: int) -> Figure:
    """Draw the curves once for all who watch."""
    run = Run(path)
    try:
        method = Run.open(run.record().source).experiment.recover.method
    except errors.DeltError:
        method = "real"
    return students.student_curves(run.events(StudentEpochEvent), epochs=run.experiment.evaluate.epochs, method=method)
