"""What can be asked of a run, as buttons: pause, resume, stop, move in the queue, do again, open."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from delt_engine.jobs import queue, start
from delt_engine.jobs.start import RESUMABLE
from delt_engine.runs.store import Run
from pages.shared import errors, nav
from pages.shared.session import forget, session
from pages.shared.wording import STATUS_LOOKS

STOP_HARD = (
    "It has not reacted for two seconds: a long step, or it hangs. This ends the process; what was made since the "
    "last checkpoint is lost, and the run can be resumed from there."
)


def badge(run: Run) -> None:
    """Show the run's status with its icon; a wish that is not yet met is said."""
    icon, colour = STATUS_LOOKS[run.status]
    wish = run.requested() if run.is_active else None
    label = {"pause": "pausing…", "cancel": "stopping…"}.get(wish or "", run.status)
    st.badge(label, icon=icon, color=colour)


def control_buttons(run: Run, page: str, *, compact: bool = False) -> None:
    """Draw the buttons that fit the run's status; pressing one asks.

    Args:
        run: the run.
        page: who draws; part of the buttons' keys.
        compact: words without frames, for a narrow place.
    """
    can_pause = run.record().kind in ("recover", "evaluate")
    if run.is_active:
        if start.is_overdue(run):
            _ask("Stop hard", "dangerous", page, start.stop_hard, run, compact=compact, help=STOP_HARD)
        elif run.requested():
            _ask("Stop", "stop", page, start.cancel, run, compact=compact, disabled=True)
        else:
            if can_pause:
                _ask("Pause", "pause", page, start.pause, run, compact=compact)
            _ask("Stop", "stop", page, start.cancel, run, compact=compact)
    elif run.status in RESUMABLE:
        if can_pause:
            _ask("Resume", "play_arrow", page, start.resume, run, compact=compact)
        if run.status in ("paused", "interrupted"):
            _ask("Stop", "stop", page, start.cancel, run, compact=compact)
    errors.show_kept(run.id)


def move_buttons(run: Run, page: str) -> None:
    """Draw the buttons that let a waiting run come sooner, unless it is the next one anyway."""
    if (queue.place(run) or 1) > 1:
        _ask("Sooner", "arrow_upward", page, queue.move_up, run, compact=True, help="One place up in the queue.")
        _ask(
            "First",
            "vertical_align_top",
            page,
            queue.move_to_front,
            run,
            compact=True,
            help="To the front of the queue.",
        )


def again_buttons(run: Run, page: str) -> None:
    """Draw the buttons that make another run of this one's settings, as they are or changed."""
    if not run.is_active and run.status != "finished":
        again = st.button(
            "Start again",
            icon=":material/replay:",
            key=f"{page}/retry/{run.id}",
            help="A new run with the same settings; this one stays.",
        )
        if again:
            with errors.shown():
                new = start.retry(run)
            if run.record().kind == "evaluate":
                nav.go("explore/accuracy", run=new.id)
            session().watched = new.id
            nav.go("distill/recover", run=new.id)
    if run.record().kind == "recover" and st.button(
        "Duplicate with changes",
        icon=":material/tune:",
        key=f"{page}/duplicate/{run.id}",
        help="Opens Recover with these settings.",
    ):
        session().draft, session().watched = run.experiment, ""
        forget("recover/")
        nav.go("distill/recover")


def open_button(run: Run, page: str, *, primary: bool = False) -> None:
    """Draw the button that opens the run in the gallery; students in the page of accuracies."""
    kind = "primary" if primary else "secondary"
    if run.record().kind == "evaluate":
        if st.button("Open in accuracy", icon=":material/leaderboard:", type=kind, key=f"{page}/open/{run.id}"):
            nav.go("explore/accuracy", runs=run.id)
    elif st.button("Open in gallery", icon=":material/photo_library:", type=kind, key=f"{page}/open/{run.id}"):
        nav.go("explore/gallery", run=run.id)


def _ask(
    label: str,
    icon: str,
    page: str,
    deed: Callable[[Run], None],
    run: Run,
    *,
    compact: bool = False,
    disabled: bool = False,
    help: str | None = None,
) -> None:
    # A callback runs before the page does, so a press is not lost when the page is just being drawn anew.
    key = f"{page}/{label.lower().replace(' ', '_')}/{run.id}"
    st.button(
        label,
        icon=None if compact else f":material/{icon}:",
        type="tertiary" if compact else "secondary",
        key=key,
        disabled=disabled,
        help=help,
        on_click=errors.attempt,
        args=(run.id, deed, run),
    )
