"""One run as it goes: numbers, class rows that fill round by round, loss curves, settings, last words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from delt_engine.plots.recovery import group_loss_curves
from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, figure
from pages.shared.compare import numbers, panel
from pages.shared.recover import form, rerun
from pages.shared.runs import actions, class_rows
from pages.shared.runs.progress import Progress, progress
from pages.shared.runs.strips import stamp
from pages.shared.wording import count, duration, plain, run_title, stopped_text

MOST_CLASSES = 10
CURVES_S = 4.0
"""Seconds between two drawings of the curves of a run at work: they cost more than all else together."""

MOST_POINTS = 400
"""Steps in the curves at most: a long run's are drawn from as many as a short one's."""

MOST_STATES = 16
"""States of runs that are held for those who watch."""

MOST_OFFERED = 60
"""Newest runs that one can be compared with on its own page."""

_COMPARED = "recover/beside-now"
"""Runs and classes that the run is compared with now, for the numbers, which are drawn less often."""

_states: dict[tuple[str, Path], tuple[tuple[Any, ...], Any]] = {}
_drawing = Lock()


def draw(run: Run, parent: Run | None = None) -> None:
    """Draw the run as it stands now, beside the one it repeats where there is one."""
    record = run.record()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(plain(run_title(run.experiment, record.kind)), width="content")
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "recover")
        if run.classes and record.kind == "recover":
            actions.open_button(run, "recover", primary=run.status == "finished")
    with errors.contained(run.id):
        now = progress(run)
        text = stopped_text(run.status, now.text)
        if run.status == "finished":
            text = f"Finished in {duration(record.seconds)} on {record.device_name or record.device}"
        st.progress(now.fraction, text=plain(text))
        if run.error and run.status in ("failed", "interrupted", "unreadable"):
            errors.show(run.error)
        if record.kind == "recover":
            _numbers(run, now)
            _images(run, parent)


def draw_curves(run: Run) -> None:
    """Draw the losses so far, and the numbers of all runs where it is compared with others."""
    if run.unreadable or run.record().kind != "recover":
        return
    with errors.contained(run.id):
        if run.experiment.recover.is_optimised:
            _losses(run)
        others, class_names = st.session_state.get(_COMPARED, ((), ()))
        if others:
            numbers.draw([run, *others], class_names)


def _numbers(run: Run, now: Progress) -> None:
    record, schedule = run.record(), run.experiment.recover.schedule
    if schedule.is_still:
        st.caption("Not optimised: the images are the selected patches.")
        return
    is_finished = run.status == "finished"
    rate = record.image_iterations_per_second if is_finished else now.rate
    with st.grid(5, min_column_width=112):
        st.metric("Round", now.round_text, help="A round is RI iterations.")
        st.metric("Iteration", now.iteration_text)
        st.metric("Image-iterations/s", count(rate) if rate else "–", help="Measured in this run.")
        if is_finished:
            from_schedule = "Image-iterations that EarlyLate saved, from the schedule."
            st.metric("Saved", f"{schedule.saved_percent:.1f} %", help=from_schedule)
        else:
            left = duration(now.left_s) if now.left_s is not None else "–"
            st.metric("Time left", left, help="From the rate of the last half minute.")
        most = "Most that the run's process needed so far, measured by it; on a GPU the GPU's memory."
        st.metric("Memory", f"{now.memory_mb:,.0f} MB" if now.memory_mb else "–", help=most)


def _images(run: Run, parent: Run | None) -> None:
    classes, recover = run.classes[:MOST_CLASSES], run.experiment.recover
    start = "patch" if recover.initialization == "patches" else "noise"
    line = st.container(horizontal=True, vertical_alignment="bottom")
    with line:
        others = _others(run, parent)
    if others:
        names = rerun.NAMES if others == [parent] else rerun.NAMES[:1]
        st.session_state[_COMPARED] = others, panel.images([run, *others], "recover", names, line)
        return
    has_starts = False
    if not recover.schedule.is_still:
        with line:
            has_starts = st.toggle(f"Show the {start} under each image", key="recover/starts")
    if classes:
        key = (stamp(run.path / "events.jsonl"), run.status, classes)  # laid out once for all who watch
        made = _newest("film", run.path, key, lambda: class_rows.film_so_far(run, classes))
    else:
        names = run.experiment.classes or form.class_names(run.experiment)
        made = class_rows.waiting_film(run, names[:MOST_CLASSES])
    if has_starts and made.sheets:
        made = class_rows.over_starts(made, start)
    class_rows.draw(made, run, f"recover/grid/{run.id}", follow=True)
    if len(run.classes) > MOST_CLASSES:
        st.caption(f"{MOST_CLASSES} of {count(len(run.classes))} classes; the gallery has all.")


def _others(run: Run, parent: Run | None) -> list[Run]:
    """Draw the choice of what the run is compared with, at first the one it repeats, and return it."""
    st.session_state.pop(_COMPARED, None)
    repeated = parent if parent is not None and parent.classes else None
    if not st.toggle("Compare", value=repeated is not None, key=f"recover/compare/{run.id}"):
        return []
    offered = dict.fromkeys([*([repeated] if repeated else []), *cached.recoveries()[:MOST_OFFERED]])
    return panel.choose_others(run, list(offered), "recover/beside", [repeated.id] if repeated else [])


def _losses(run: Run) -> None:
    st.subheader("Loss by start group")
    moment = stamp(run.path / "events.jsonl") // (int(CURVES_S * 1e9) if run.is_active else 1)
    figure.plain(_newest("curves", run.path, (moment,), lambda: _curves(run)), "recover/losses")
    st.caption(
        "Cross-entropy: mean over the images that joined in a round, from where they join. BatchNorm: one loss "
        "of all joined images together, since their statistics are taken together; weighted as in the sum. "
        "Both as recorded by the run, before a step, on that step's crops."
    )


def _curves(run: Run) -> Figure:
    config, newest = run.experiment.recover, run.latest_event(StepEvent)
    return group_loss_curves(
        run.events(StepEvent, batch=newest.batch if newest else 0, most=MOST_POINTS),
        iterations=config.iterations,
        num_rounds=config.schedule.num_rounds,
    )


def _newest(what: str, path: Path, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """Return what is made of a run, made once for all who watch; only its newest state is kept, of a few runs."""
    with _drawing:  # or those who watch at the same time would each make it
        found = _states.pop((what, path), None)
        if found is not None and found[0] == key:
            _states[what, path] = found
            return found[1]
        _states[what, path] = (key, make())
        while len(_states) > MOST_STATES:
            del _states[next(iter(_states))]
        return _states[what, path][1]


def settings(run: Run) -> None:
    """Draw the command that makes the run again, and all its settings out of the way."""
    st.caption("The same run from a terminal:")
    controls.command(run.record().command)
    with st.expander("All settings"):
        st.code(run.experiment.to_yaml(), language="yaml")
