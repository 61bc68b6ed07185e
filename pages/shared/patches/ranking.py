"""The ranking a page looks at: which crops are scored, the run that scores them, and what is missing before it can."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.jobs import start
from delt_engine.models.card import TeacherCard
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, live
from pages.shared.controls import button
from pages.shared.runs import actions
from pages.shared.runs.progress import progress
from pages.shared.session import session
from pages.shared.wording import plain, sentence

CROPS = ("crops", "min_crop", "max_crop")


def teacher_line(card: TeacherCard, role: str = "Teacher") -> None:
    """Say which teacher ranks, or which ranker in its place."""
    accuracy = f", {card.accuracy:.1f} % on the test images (measured when it was trained)" if card.accuracy else ""
    st.caption(f"{role}: {plain(card.name)}, {plain(card.network)} at {card.image_size} px{accuracy}.")


def crops_control(page: str) -> None:
    """Draw what is scored: whole images or crops; another choice is another ranking."""
    with st.popover("Crops", icon=":material/crop:", width="stretch", key=f"{page}/crops_box"):
        st.caption("Whole images are scored unless crops are asked for; each choice is ranked once and kept.")
        session().change("rank", **controls.settings(session().draft.rank, CROPS, page, compact=True))


def newest(experiment: Experiment) -> Run | None:
    """Return the newest run that ranks the same images, or None."""
    names = ("dataset", "teacher", "ranker", "rank")
    same = [getattr(experiment, name) for name in names]
    return cached.newest("rank", lambda run: [getattr(run.experiment, name) for name in names] == same)


def _progress(run: Run) -> None:
    with errors.contained(run.id):
        now = progress(run)
        st.progress(now.fraction, text=sentence(now.text))
    actions.control_buttons(run, "patches")


def rank_first(experiment: Experiment, label: str) -> None:
    """Offer to rank the training images; while that goes on, show how far it is."""
    run = newest(experiment)
    if run and run.is_active:
        live.follow(lambda: run.is_active, lambda: _progress(run))
        return
    errors.show(run and run.error)
    if button(label, "sort", "patches/rank", type="primary"):
        with errors.shown():
            start.start(experiment, kind="rank")
        st.rerun()
