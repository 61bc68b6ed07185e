"""One run as it goes: how far, class rows that fill round by round, loss curves, settings, last words."""

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
from delt_engine.runs.titles import read_title
from pages.shared import cached, controls, errors, figure
from pages.shared.compare import numbers, panel
from pages.shared.recover import cost, form, rerun
from pages.shared.runs import actions, class_rows, failure
from pages.shared.runs.progress import Progress, progress, workers_text
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


def draw_head(run: Run) -> None:
    """Draw what the run is called, how far it is, what can be asked of it, and what it costs."""
    record = run.record()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(plain(read_title(run).title or run_title(run.experiment, record.kind)), width="content")
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "recover")
    with errors.contained(run.id):
        now = progress(run)
        if run.status != "finished":
            st.progress(now.fraction, text=plain(stopped_text(run.status, now.text)))
        if run.status in ("failed", "interrupted", "unreadable"):
            failure.show(run)
        st.caption(plain(_facts(run, now)))


def _facts(run: Run, now: Progress) -> str:
    """Return what was measured so far, and what EarlyLate saves, in a line."""
    record, schedule = run.record(), run.experiment.recover.schedule
    where = record.device_name or record.device
    parts = [run_title(run.experiment, record.kind)] if read_title(run).title else []
    if run.status == "finished":
        parts.append(f"Finished in {duration(record.seconds)} on {where}")
    elif where:
        parts.append(f"On {where}")
    if record.kind == "recover" and schedule.is_still:
        parts.append("not optimised: the images are the selected patches")
    elif record.kind == "recover":
        total = schedule.image_iterations(cost.classes_of(run))
        rate = record.image_iterations_per_second if run.status == "finished" else now.rate
        parts.append(f"{count(total)} image-iterations" + (f", {count(rate)} a second" if rate else ""))
        parts.append(f"EarlyLate saves {schedule.saved_percent:.1f} %" if schedule.has_rounds else "")
        parts.append(f"{now.memory_mb:,.0f} MB of memory at most" if now.memory_mb else "")
        parts.append(workers_text(run))
    return " · ".join(filter(None, parts))


def draw_images(run: Run, parent: Run | None = None) -> None:
    """Draw the images as they are now, beside those of the run that it repeats where there is one."""
    if run.record().kind == "recover":
        with errors.contained(run.id):
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
    return panel.choose_others(run, list(offered), f"recover/beside/{run.id}", [repeated.id] if repeated else [])


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
        last_start=config.schedule.last_start,
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
