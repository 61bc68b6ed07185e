"""Runs at work, waiting or broken off, in the sidebar of every page: how far, on what, and what can be asked."""

from __future__ import annotations

import streamlit as st

from delt_engine.jobs import queue, start
from delt_engine.jobs.watchdog import silent_since
from delt_engine.jobs.worker import device_lock_name
from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run
from pages.shared import cached, errors, live, nav
from pages.shared.runs import actions
from pages.shared.runs.progress import Progress, progress, workers_text
from pages.shared.wording import duration, handle, ordinal, plain, sentence, size

POLL_S = 2.0
MOST_SHOWN = 5
MOST_STOPPED = 2


def active_runs() -> list[Run]:
    """Return the runs that are at work, then those that wait, in the order of their turns."""
    active = [run for run in reversed(cached.runs()) if run.is_active]
    turns = {ticket.run: number for number, ticket in enumerate(queue.waiting())} if len(active) > 1 else {}
    return sorted(active, key=lambda run: turns.get(run, -1))


def stopped_runs() -> list[Run]:
    """Return the newest runs that are paused, or whose process is gone without a word."""
    return [run for run in cached.runs() if run.status in ("interrupted", "paused")][:MOST_STOPPED]


def draw() -> None:
    """Draw the strip; it looks again only while there is something to follow."""
    if not active_runs() and not stopped_runs():
        return
    with st.sidebar:
        live.follow(lambda: bool(active_runs()), _strip, POLL_S)


def _strip() -> None:
    runs, stopped = active_runs(), stopped_runs()
    if runs:
        st.caption("Running and queued")
    for run in runs[:MOST_SHOWN]:
        _entry(run)
    if len(runs) > MOST_SHOWN:
        nav.link("manage/runs", f"{len(runs) - MOST_SHOWN} more")
    if stopped:
        st.caption("Paused or broken off")
    for run in stopped:
        _entry(run, is_stopped=True)


def _entry(run: Run, *, is_stopped: bool = False) -> None:
    page = "explore/accuracy" if run.record().kind == "evaluate" else "distill/recover"
    place = queue.place(run) if run.status == "queued" else None
    with st.container(border=True, gap="xxsmall"):
        nav.link(page, plain(handle(run)), run=run.id, width="stretch")
        with errors.contained(run.id):
            if is_stopped:
                st.caption(plain(run.error or sentence(_where(progress(run)))))
            else:
                now = progress(run)
                st.progress(now.fraction)
                st.caption(f"{ordinal(place)} in the queue" if place else sentence(_where(now)))
                st.caption(plain(_device(run)))
                workers = workers_text(run)
                if workers:
                    st.caption(plain(sentence(workers)))
                silent = silent_since(run)
                if silent:
                    st.caption(f":orange[No sign of life since {silent:%H:%M}]")
        with st.container(horizontal=True, gap="small"):
            actions.control_buttons(run, "strip", compact=True)
            if place:
                actions.move_buttons(run, "strip")


def _where(now: Progress) -> str:
    """Return round, iteration and time left; before the first iteration what is being done."""
    if now.round_text == "–":
        return now.text
    left = f", {duration(now.left_s)} left" if now.left_s is not None else ""
    return f"round {now.round_text}, iteration {now.iteration_text}{left}"


def _device(run: Run) -> str:
    """Return the device, and the memory in use: of a GPU as the run measured it, else of the process."""
    record = run.record()
    name = record.device_name or device_lock_name(record.device or run.experiment.device).upper()
    if record.device and not record.device.startswith("cpu"):
        step = run.latest_event(StepEvent)
        used = step.memory_mb * 2**20 if step and step.memory_mb else None
    else:
        used = start.memory(run)
    return f"{name} · {size(used)} of memory" if used else name
