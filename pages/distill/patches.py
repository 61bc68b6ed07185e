"""Patches: how probable the teacher finds each real patch, and which ones start the images."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard
from delt_engine.patches.ranking import Ranking
from pages.shared import cached, controls, errors, nav
from pages.shared.controls import button, headline
from pages.shared.patches import band, page, rows
from pages.shared.patches import ranking as patch_ranking
from pages.shared.recover import form
from pages.shared.session import forget, session
from pages.shared.wording import plain

PAGE = "patches"
SELECT = ("criterion", "order", "mosaic")


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
        names, look = list(data.spec.class_names), {"always": True, "on_change": band.forget_drag}
        class_index = names.index(controls.linked_choice("cls", "Class", names, "patches/class", **look))
        now.change("select", **controls.settings(now.draft.select, SELECT, PAGE, compact=True))
        now.change("recover", **controls.settings(now.draft.recover, ["ipc"], PAGE, compact=True))
        patch_ranking.crops_control(PAGE)
    return data, class_index


def _ranked(ranking: Ranking, data: Dataset, class_index: int, card: TeacherCard) -> None:
    view = rows.View(ranking, data, session().draft, band.settings(ranking), class_index)
    left, right = st.columns(2, gap="large")
    with left:
        band.figure(view)
        patch_ranking.teacher_line(card)
    with right:
        with headline("Chosen, in the order of joining"):
            if button("Recover from these", "arrow_forward", "patches/use", type="primary"):
                forget("recover/")
                nav.go("distill/recover")
        rows.chosen_grid(view)
        st.subheader("One image from 1 x 1 to 5 x 5 patches")
        rows.mosaics_grid(view)
    st.subheader("Hardest, medium, easiest, random")
    rows.extremes_grid(view)
    page.draw(view)
    page.draw_files(view)


def _show() -> None:
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
        _ranked(ranking, data, class_index, card)
        return
    patch_ranking.teacher_line(card)
    st.info("The teacher has not ranked these images yet. It does so once, and the result is kept.")
    patch_ranking.rank_first(experiment, "Rank the training images")


st.title("Patches")
st.write("Real patches ranked by the teacher's probability of their true class; the chosen ones start the images.")
with errors.shown():
    _show()
