"""What can be asked of a run, as buttons: pause, resume, stop, move in the queue, do again, open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.jobs import queue, start, watchdog
from delt_engine.jobs.start import RESUMABLE
from delt_engine.runs.store import Run
from pages.shared import errors, nav
from pages.shared.controls import button
from pages.shared.session import forget, session
from pages.shared.wording import STATUS_LOOKS

RERUN = "Rerun with changes"
"""What it is called, wherever another run is planned from the settings of one that is there."""

STOP_HARD = (
    "It has not reacted for two seconds: a long step, or it hangs. This ends the process; what was made since the "
    "last checkpoint is lost, and the run can be resumed from there."
)
END_AND_RESUME = (
    "It seems to hang. This ends its process and starts another one, which goes on from the last checkpoint."
)
_CAN_PAUSE = ("recover", "squeeze", "evaluate")
"""Kinds of runs that resume where they were; a ranking is made in one go."""


def badge(run: Run) -> None:
    """Show the run's status with its icon; a request that its process has not answered yet is said."""
    icon, colour = STATUS_LOOKS[run.status]
    request = run.requested() if run.is_active else None
    label = {"pause": "pausing…", "cancel": "stopping…"}.get(request or "", run.status)
    st.badge(label, icon=icon, color=colour)


def control_buttons(run: Run, page: str, *, compact: bool = False) -> None:
    """Draw the buttons that fit the run's status; ``compact`` ones are words without frames, for a narrow place."""

    def ask(label: str, icon: str, deed: Callable[[Run], None], **look: Any) -> None:
        _ask(label, icon, page, deed, run, compact=compact, **look)

    can_pause = run.record().kind in _CAN_PAUSE
    if run.is_active and start.is_overdue(run):
        ask("Stop hard", "dangerous", start.stop_hard, help=STOP_HARD)
    elif run.is_active and watchdog.is_silent(run):
        ask("End and resume", "restart_alt", watchdog.end_and_resume, help=END_AND_RESUME)
    elif run.is_active and run.requested():
        ask("Stop", "stop", start.cancel, disabled=True)
    elif run.is_active:
        if can_pause:
            ask("Pause", "pause", start.pause)
        ask("Stop", "stop", start.cancel)
    elif run.status in RESUMABLE:
        if can_pause:
            ask("Resume", "play_arrow", start.resume)
        if run.status in ("paused", "interrupted"):
            ask("Stop", "stop", start.cancel)
    errors.show_failed(run.id)


def move_buttons(run: Run, page: str) -> None:
    """Draw the buttons that let a waiting run come sooner, unless it is the next one anyway."""
    if (queue.place(run) or 1) > 1:
        _ask("Sooner", "arrow_upward", page, queue.move_up, run, compact=True, help="One place up in the queue.")
        first = "To the front of the queue."
        _ask("First", "vertical_align_top", page, queue.move_to_front, run, compact=True, help=first)


def _ask(
    label: str, icon: str, page: str, deed: Callable[[Run], None], run: Run, *, compact: bool, **look: Any
) -> None:
    key = f"{page}/{label.lower().replace(' ', '_')}/{run.id}"
    kind = "tertiary" if compact else "secondary"
    button(label, "" if compact else icon, key, errors.attempt, run.id, deed, run, type=kind, **look)


def again_buttons(run: Run, page: str) -> None:
    """Draw the buttons that make another run of this one's settings, as they are or changed."""
    if not run.is_active and run.status != "finished":
        same = "A new run with the same settings; this one stays."
        if button("Start again", "replay", f"{page}/retry/{run.id}", changes=True, help=same):
            with errors.shown():
                new = start.retry(run)
            if run.record().kind == "evaluate":
                nav.go("explore/accuracy", run=new.id)
            session().watched = new.id
            nav.go("distill/recover", run=new.id)
    if run.record().kind == "recover":
        rerun_button(run.experiment, f"{page}/rerun/{run.id}", run)


def rerun_button(experiment: Experiment, key: str, run: Run | None = None, label: str = RERUN) -> None:
    """Draw the button that plans a run with some settings; it stands beside ``run``, which has them, where given.

    An imported run has none to change, so it has no button.
    """
    if run is not None and run.record().origin is not None:
        return  # nobody here knows how its images are made
    if button(label, "tune", key, help="Opens Recover with these settings; nothing starts yet."):
        now = session()
        now.draft, now.watched, now.parent = experiment, "", run.id if run else ""
        forget("recover/")
        st.query_params.clear()
        nav.go("distill/recover")


def open_button(run: Run, page: str, *, primary: bool = False) -> None:
    """Draw the button that opens the run in the gallery; students in the page of accuracies."""
    kind, key = "primary" if primary else "secondary", f"{page}/open/{run.id}"
    if run.record().kind == "evaluate":
        if button("Open in accuracy", "leaderboard", key, type=kind):
            nav.go("explore/accuracy", runs=run.id)
    elif button("Open in gallery", "photo_library", key, type=kind):
        nav.go("explore/gallery", run=run.id)
