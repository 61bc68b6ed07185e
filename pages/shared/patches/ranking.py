"""The ranking a page looks at: which crops are scored, the run that scores them, and what is missing before it can."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.data.dataset import Dataset
from delt_engine.errors import DataError
from delt_engine.jobs import start, tasks
from delt_engine.models.card import TeacherCard
from delt_engine.patches.ranker import Ranker
from delt_engine.patches.ranking import keep_ranking
from delt_engine.patches.ranking_csv import read_ranking_csv
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, live
from pages.shared.controls import button
from pages.shared.recover import form
from pages.shared.runs import actions
from pages.shared.runs.progress import progress
from pages.shared.session import session
from pages.shared.wording import plain, sentence

CROPS = ("crops", "min_crop", "max_crop")


UPLOAD = "patches/import"
MOST_MB = 100


def line(ranks: Ranker | TeacherCard) -> None:
    """Say which teacher ranks, which ranker in its place, or where the ranking is from."""
    card, role = (ranks.card, "Ranker") if isinstance(ranks, Ranker) else (ranks, "Teacher")
    if card is None:
        st.caption(f"Ranking {plain(ranks.name)}.")
        return
    accuracy = f", {card.accuracy:.1f} % on the test images (measured when it was trained)" if card.accuracy else ""
    st.caption(f"{role}: {plain(card.name)}, {plain(card.network)} at {card.image_size} px{accuracy}.")


def ranking_control(page: str, data: Dataset) -> None:
    """Draw what ranks (the teacher, another network, an uploaded ranking) and what is scored: whole images or crops."""
    with st.popover("Ranking", icon=":material/sort:", width="stretch", key=f"{page}/ranking_box"):
        form.ranker_control(page)
        look = {"type": "csv", "max_upload_size": MOST_MB}
        deed = {"on_change": errors.attempt, "args": (UPLOAD, _import, page, data)}
        controls.upload("or import a ranking", UPLOAD, **look, **deed)
        st.caption("A CSV with score and img_path, as the published code and the download below write it.")
        st.divider()
        session().change("rank", **controls.settings(session().draft.rank, CROPS, page, compact=True))
        st.caption("Whole images are scored unless crops are asked for; each choice is ranked once and kept.")
    errors.show_failed(UPLOAD)


def _import(page: str, data: Dataset) -> None:
    """Keep an uploaded ranking, and let it rank from now on."""
    upload = st.session_state.get(UPLOAD)
    if upload is None:
        return
    path = tasks.store_upload(upload.name, upload.getvalue())
    try:
        taken = read_ranking_csv(path, data)
    except DataError as error:
        tasks.drop_upload(path)
        raise DataError(str(error).replace(str(path), path.name)) from None
    keep_ranking(taken.ranking)
    session().change(ranker=str(path))
    session().change("rank", crops=0)
    st.session_state[f"{page}/ranker"], st.session_state[f"{page}/crops"] = str(path), 0
    st.toast(plain(taken.sentence))


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
    if button(label, "sort", "patches/rank", changes=True, type="primary"):
        with errors.shown():
            start.start(experiment, kind="rank")
        st.rerun()
