"""Patches: how probable the teacher finds each real patch, and which ones start the images."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import select
from pages.shared import address, cached, controls, errors, nav
from pages.shared.patches import band, mosaics, page, picks, rows, table
from pages.shared.patches import ranking as patch_ranking
from pages.shared.recover import form
from pages.shared.session import forget, session
from pages.shared.wording import plain

PAGE = "patches"
SELECT = ("criterion", "order", "mosaic")


def choose_class(data: Dataset) -> int:
    """Draw the choice of a class and return its number."""
    names = list(data.spec.class_names)
    address.restore("cls", "patches/class", address.member(names))
    if st.session_state.get("patches/class") not in names:
        st.session_state["patches/class"] = names[0]
    chosen = st.selectbox("Class", names, key="patches/class", on_change=band.forget_drag)
    address.publish("cls", "patches/class", chosen)
    return names.index(chosen)


def controls_row() -> tuple[Dataset, int]:
    """Draw what to look at and how to choose, and keep it in the draft; the page ends where the data is missing."""
    now = session()
    grid = st.grid(7, min_column_width=130, vertical_alignment="bottom")
    with grid:
        name = form.dataset_control(PAGE)
    if not cached.is_at_hand(name):
        st.info(
            f"{plain(name)} is not on this machine yet. Ranking it fetches it first, and says what to do if it cannot."
        )
        patch_ranking.rank_first(now.draft, "Fetch and rank")
        st.stop()
    with grid:
        data = cached.dataset(now.draft.dataset, now.draft.image_size)
        class_index = choose_class(data)
        now.change("select", **controls.settings(now.draft.select, SELECT, PAGE, compact=True))
        now.change("recover", **controls.settings(now.draft.recover, ["ipc"], PAGE, compact=True))
        patch_ranking.crops_control(PAGE)
    return data, class_index


def chosen_side(view: rows.View) -> None:
    """Draw what the images start from, and the way to a run that starts from it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Chosen, in the order of joining", width="content")
        st.space("stretch")
        if st.button("Recover from these", type="primary", icon=":material/arrow_forward:", key="patches/use"):
            forget("recover/")
            nav.go("distill/recover")
    rows.chosen_grid(view)
    st.subheader("One image from 1 x 1 to 5 x 5 patches")
    mosaics.mosaics_grid(view)


def ranked(ranking: Ranking, data: Dataset, class_index: int, card: TeacherCard) -> None:
    """Draw everything about the class of a ranking."""
    experiment, config = session().draft, picks.settings(ranking)
    chosen = select(
        ranking, data.train.names, experiment.recover.schedule, config, seed=experiment.seed, classes=[class_index]
    )
    view = rows.View(ranking, data, experiment, config, class_index, chosen)
    left, right = st.columns(2, gap="large")
    with left:
        band.figure(view)
        patch_ranking.teacher_line(card)
    with right:
        chosen_side(view)
    st.subheader("Hardest, medium, easiest, random")
    rows.extremes_grid(view)
    page.draw(view)
    table.draw(ranking, data, experiment, class_index, chosen, config)


def show() -> None:
    """Draw the page."""
    data, class_index = controls_row()
    experiment = session().draft
    try:
        card = cached.teacher(experiment.teacher, data.spec.name, data.spec.image_size, data.spec.class_names)
    except CheckpointError as error:
        st.info(plain(str(error)))
        nav.link("distill/data_and_teachers", "Train a teacher, or add one")
        rows.unranked_grid(data, experiment, class_index)
        return
    ranking = cached.ranking(data.fingerprint, card.fingerprint, experiment.rank, experiment.seed)
    if ranking is not None:
        ranked(ranking, data, class_index, card)
        return
    patch_ranking.teacher_line(card)
    st.info("The teacher has not ranked these images yet. It does so once, and the result is kept.")
    patch_ranking.rank_first(experiment, "Rank the training images")


st.title("Patches")
st.write("Real patches ranked by the teacher's probability of their true class; the chosen ones start the images.")
with errors.shown():
    show()
