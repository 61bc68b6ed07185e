"""The ranking a page looks at: which crops are scored, the run that scores them, and what is missing before it can."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.jobs import start
from delt_engine.models.card import TeacherCard
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, live
from pages.shared.runs import actions
from pages.shared.runs.progress import progress
from pages.shared.session import session
from pages.shared.wording import plain, sentence

CROPS = ("crops", "min_crop", "max_crop")


def teacher_line(card: TeacherCard) -> None:
    """Say which teacher ranks."""
    accuracy = f", {card.accuracy:.1f} % on the test images (measured when it was trained)" if card.accuracy else ""
    st.caption(f"Teacher: {plain(card.name)}, {plain(card.network)} at {card.image_size} px{accuracy}.")


def crops_control(page: str) -> None:
    """Draw what is scored: whole images or crops; another choice is another ranking."""
    with st.popover("Crops", icon=":material/crop:", width="stretch", key=f"{page}/crops_box"):
        st.caption("Whole images are scored unless crops are asked for; each choice is ranked once and kept.")
        session().change("rank", **controls.settings(session().draft.rank, CROPS, page, compact=True))


def newest(experiment: Experiment) -> Run | None:
    """Return the newest run that ranks the same images, or None."""
    for run in cached.runs():
        if not run.unreadable and run.record().kind == "rank":
            same = run.experiment
            if (same.dataset, same.teacher, same.rank) == (experiment.dataset, experiment.teacher, experiment.rank):
                return run
    return None


def follow(run: Run) -> None:
    """Draw the progress of a ranking until it is done."""

    def draw() -> None:
        now = progress(run)
        st.progress(now.fraction, text=sentence(now.text))
        actions.control_buttons(run, "patches")

    live.follow(lambda: run.is_active, draw)


def rank_first(experiment: Experiment, label: str) -> None:
    """Offer to rank the training images; while that goes on, show how far it is."""
    run = newest(experiment)
    if run and run.is_active:
        follow(run)
        return
    if run and run.error:
        errors.show(run.error)
    if st.button(label, type="primary", icon=":material/sort:", key="patches/rank"):
        with errors.shown():
            start.start(experiment, kind="rank")
        st.rerun()
