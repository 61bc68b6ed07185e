"""One run as it goes: numbers, class rows that fill round by round, loss curves, settings, last words."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import streamlit as st
from plotly.graph_objects import Figure

from delt_engine.plots import live
from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run
from pages.shared import errors
from pages.shared.gallery.grid import Look, gallery_grid
from pages.shared.gallery.records import STILL
from pages.shared.recover import compare, form, rows
from pages.shared.runs import actions, class_rows
from pages.shared.runs.class_rows import Film
from pages.shared.runs.progress import Progress, progress
from pages.shared.runs.strips import stamp
from pages.shared.wording import count, duration, plain, run_title, sentence

MOST_CLASSES = 10
CURVES_S = 4.0
"""Seconds between two drawings of the curves of a run at work: they cost more than all else together."""

MOST_POINTS = 400
"""Steps in the curves at most: a long run's are drawn from as many as a short one's."""

MOST_KEPT = 16
"""States of runs that are kept for those who watch."""

_kept: dict[tuple[str, Path], tuple[tuple[Any, ...], Any]] = {}
_drawing = Lock()


def draw(run: Run, parent: Run | None = None) -> None:
    """Draw the run as it stands now, beside the one it repeats where there is one."""
    now = progress(run)
    _header(run)
    st.progress(now.fraction, text=plain(_bar_text(run, now)))
    if run.error and run.status in ("failed", "interrupted", "unreadable"):
        errors.show(run.error)
    if run.record().kind == "recover":
        _numbers(run, now)
        _images(run, parent)


def draw_curves(run: Run, parent: Run | None = None) -> None:
    """Draw the losses so far, and the numbers of both runs where one repeats another."""
    if run.unreadable or run.record().kind != "recover":
        return
    if run.experiment.recover.is_optimised:
        _losses(run)
    if parent is not None and run.classes and parent.classes:
        compare.draw_numbers(run, parent)


def _header(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(plain(run_title(run.experiment, run.record().kind)), width="content")
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "recover")
        if run.classes and run.record().kind == "recover":
            actions.open_button(run, "recover", primary=run.status == "finished")


def _bar_text(run: Run, now: Progress) -> str:
    record = run.record()
    if run.status == "finished":
        return f"Finished in {duration(record.seconds)} on {record.device_name or record.device}"
    if run.status == "running":
        return sentence(now.text)
    words = {"paused": "Paused", "cancelled": "Stopped", "failed": "Failed", "interrupted": "Its process is gone"}
    return f"{words.get(run.status, run.status.capitalize())}: {now.text}"


def _numbers(run: Run, now: Progress) -> None:
    record, schedule = run.record(), run.experiment.recover.schedule
    if schedule.is_still:
        st.caption("Not optimised: the images are the selected patches.")
        return
    rate = record.image_iterations_per_second if run.status == "finished" else now.rate
    with st.grid(5, min_column_width=112):
        st.metric("Round", now.round_text, help="A round is RI iterations.")
        st.metric("Iteration", now.iteration_text)
        st.metric("Image-iterations/s", count(rate) if rate else "–", help="Measured in this run.")
        if run.status == "finished":
            st.metric(
                "Saved",
                f"{schedule.saved_percent:.1f} %",
                help="Image-iterations that EarlyLate saved, from the schedule.",
            )
        else:
            st.metric(
                "Time left",
                duration(now.left_s) if now.left_s is not None else "–",
                help="From the rate of the last half minute.",
            )
        st.metric(
            "Memory",
            f"{now.memory_mb:,.0f} MB" if now.memory_mb else "–",
            help="Most that the run's process needed so far, measured by it; on a GPU the GPU's memory.",
        )


def _images(run: Run, parent: Run | None) -> None:
    made, classes = Film(), run.classes[:MOST_CLASSES]
    with st.container(horizontal=True, vertical_alignment="center"):
        is_beside = (
            parent is not None
            and bool(parent.classes)
            and bool(classes)
            and st.toggle("Beside the run it repeats", value=True, key=f"recover/beside/{run.id}")
        )
        start = "patch" if run.experiment.recover.initialization == "patches" else "noise"
        is_still = run.experiment.recover.schedule.is_still
        has_starts = (
            not is_beside and not is_still and st.toggle(f"Show the {start} under each image", key="recover/starts")
        )
    if is_beside and parent is not None:
        made = rows.beside((run, parent), compare.NAMES, MOST_CLASSES // 2)
    elif classes:
        made = _so_far(run, classes)
    else:
        names = form.class_names(run.experiment)
        chosen = run.experiment.classes or names
        made = rows.waiting_film(run, chosen[:MOST_CLASSES])
    if has_starts and made.sheets:
        made = rows.over_starts(made, start)
    look = Look(tile=class_rows.tile_side(run), shown=80, slider=True, follow=True)
    gallery_grid(
        made.rows,
        made.sheets,
        key=f"recover/grid/{run.id}",
        look=look,
        frames=made.frames or STILL,
        head=made.head,
        frame=len(made.frames) - 1,
    )
    if len(run.classes) > MOST_CLASSES:
        st.caption(f"{MOST_CLASSES} of {count(len(run.classes))} classes; the gallery has all.")


def _losses(run: Run) -> None:
    st.subheader("Loss by start group")
    moment = stamp(run.path / "events.jsonl") // (int(CURVES_S * 1e9) if run.is_active else 1)
    figure = _newest("curves", run.path, (moment,), lambda: _curves(run))
    st.plotly_chart(figure, key="recover/losses", config={"displayModeBar": False})
    st.caption(
        "Cross-entropy: mean over the images that joined in a round, from where they join. BatchNorm: one loss "
        "of all joined images together, since their statistics are taken together; weighted as in the sum. "
        "Both as recorded by the run, before a step, on that step's crops."
    )


def _so_far(run: Run, classes: tuple[int, ...]) -> Film:
    """Return the film up to now, laid out once for all who watch, as a copy that may be changed."""
    key = (stamp(run.path / "events.jsonl"), run.status, classes)
    made = _newest("film", run.path, key, lambda: class_rows.film_so_far(run, classes))
    return replace(made, rows=[*made.rows], sheets=[*made.sheets], frames=[*made.frames], rounds=[*made.rounds])


def _curves(run: Run) -> Figure:
    config, newest = run.experiment.recover, run.latest_event(StepEvent)
    return live.group_loss_curves(
        run.events(StepEvent, batch=newest.batch if newest else 0, most=MOST_POINTS),
        iterations=config.iterations,
        num_rounds=config.schedule.num_rounds,
    )


def _newest(what: str, path: Path, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """Return what is made of a run, made once for all who watch; only its newest state is kept, of a few runs."""
    with _drawing:  # or those who watch at the same time would each make it
        found = _kept.pop((what, path), None)
        if found is not None and found[0] == key:
            _kept[what, path] = found
            return found[1]
        _kept[what, path] = (key, make())
        while len(_kept) > MOST_KEPT:
            del _kept[next(iter(_kept))]
        return _kept[what, path][1]


def settings(run: Run) -> None:
    """Draw the command that makes the run again, and all its settings out of the way."""
    st.caption("The same run from a terminal:")
    st.code(shlex.join(run.record().command), language="bash", wrap_lines=True)
    with st.expander("All settings"):
        st.code(run.experiment.to_yaml(), language="yaml")
