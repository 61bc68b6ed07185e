"""The start of a planned run: what it is called, what is lacking before it can begin, and the button."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError
from delt_engine.jobs import start as jobs
from delt_engine.models.card import find_teacher
from delt_engine.models.committee import find_committee
from delt_engine.runs.lineage import save_parent
from delt_engine.runs.store import Run
from delt_engine.runs.titles import LONGEST_TITLE, RunTitle, write_title
from pages.shared import cached, errors, live, nav
from pages.shared.controls import button
from pages.shared.recover import form, rerun
from pages.shared.runs import actions, failure
from pages.shared.runs.progress import progress
from pages.shared.session import session
from pages.shared.teachers import training
from pages.shared.wording import plain, sentence

_NAME = "recover/name"
Lacking = Literal["", "data", "teacher", "named teacher", "committee"]


def draw(experiment: Experiment, *, is_refused: bool) -> bool:
    """Draw name and button, and what is lacking before it can be pressed; return whether it was pressed."""
    lacking = missing(experiment)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        look = {"max_chars": LONGEST_TITLE, "placeholder": "optional: what tells it from other runs"}
        st.text_input("Name of the run", key=_NAME, **look)
        look = {"type": "primary", "disabled": bool(lacking) or is_refused}
        is_started = button("Start this run", "play_arrow", "recover/start", changes=True, **look)
    if lacking == "data":
        title = plain(form.dataset_title(experiment.dataset))
        st.info(f"{title} is not on this machine yet; Data and teachers fetches it.", icon=":material/info:")
        nav.link("distill/data_and_teachers", "Go to Data and teachers")
    elif lacking == "committee":
        errors.show(_committee_error(experiment))
        nav.link("distill/data_and_teachers", "Train another network")
    elif lacking:
        _teacher(experiment, lacking)
    return is_started


def missing(experiment: Experiment) -> Lacking:
    """Return what has to be there before this run can start, "" when nothing is missing."""
    if not cached.is_at_hand(experiment.dataset):
        return "data"
    if cached.found_teacher(experiment) is not None:
        return "committee" if _committee_error(experiment) else ""
    if Path(experiment.teacher).expanduser().is_file():  # it may come without a card
        return ""
    return "teacher" if experiment.teacher == "auto" else "named teacher"


def _committee_error(experiment: Experiment) -> CheckpointError | None:
    """Return why there is no committee for a recovery that needs one."""
    card = cached.found_teacher(experiment)
    if card is None or not experiment.recover.committee:
        return None
    try:
        path = find_teacher(experiment.teacher, experiment.dataset, card.image_size, card.class_names)
        find_committee(experiment.teachers, path, experiment.dataset, card.class_names)
    except CheckpointError as error:
        return error
    return None


def _teacher(experiment: Experiment, lacking: Lacking) -> None:
    """Say that there is no teacher, and offer to train one; the training is followed where it goes on."""
    if lacking == "named teacher":
        try:
            cached.planned_teacher(experiment)
        except CheckpointError as error:
            errors.show(error)
        nav.link("distill/data_and_teachers", "Choose a teacher")
        return
    run = training.newest(experiment.dataset)
    is_active = run is not None and run.is_active
    with st.container(border=True, key="recover/no_teacher"):
        name = plain(form.dataset_title(experiment.dataset))
        st.markdown(f"**There is no teacher for {name} yet.** It is a network trained on these images, and frozen.")
        if run is not None and run.status != "finished":
            live.follow(lambda: run.is_active, lambda: _progress(run))
        with st.container(horizontal=True, vertical_alignment="center"):
            if not is_active:
                training.small_button()
            nav.link("distill/data_and_teachers", "Other teachers")


def _progress(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        actions.badge(run)
        st.space("stretch")
        actions.control_buttons(run, "recover")
    st.progress(progress(run).fraction, text=plain(sentence(progress(run).text)))
    failure.show(run)


def start(experiment: Experiment) -> Run:
    """Start the planned run under its name, and watch it; it stands beside the run that it repeats, if any.

    Raises:
        RunError: it cannot be started.
    """
    repeated, run = rerun.parent(), jobs.start(experiment)
    if repeated is not None:
        save_parent(run, repeated.id)
    name = (st.session_state.get(_NAME) or "").strip()
    if name:
        write_title(run, RunTitle(name))
    session().watched, session().parent = run.id, ""
    return run
