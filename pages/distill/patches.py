"""Patches: how probable the teacher finds each real patch, and which ones start the images."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import RecoverConfig, SelectConfig
from delt_engine.config.methods import CORESETS, METHOD_TITLES
from delt_engine.data.catalogue import CATALOGUE, find_entry
from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard
from delt_engine.patches.ranker import Ranker, find_ranker
from delt_engine.patches.ranking import Ranking
from pages.shared import address, cached, controls, errors, nav
from pages.shared.controls import button, headline
from pages.shared.patches import band, page, rows
from pages.shared.patches import ranking as patch_ranking
from pages.shared.recover import form
from pages.shared.session import forget, session
from pages.shared.wording import plain

PAGE = "patches"
CRITERIA = {"medium": "medium", "top": "top (easiest)", "min": "min (hardest)", "random": "random"}
CRITERIA |= {name: METHOD_TITLES[name] for name in CORESETS}
ORDERS = {"delt": "as the criterion", "ascending": "hardest first", "descending": "easiest first", "random": "random"}


def controls_row() -> tuple[Dataset, int]:
    """Draw what to look at and how to choose, and keep it in the draft; the page ends where the data is missing."""
    now, key = session(), f"{PAGE}/dataset"
    known = (*CATALOGUE, *cached.folders())
    address.tell_stranger("data", key, known, "dataset")
    address.restore("data", key, address.member(known))
    grid = st.grid(7, min_column_width=124, vertical_alignment="bottom")
    with grid:
        name = form.dataset_control(PAGE)
    address.publish("data", key, name)
    if not cached.is_at_hand(name):
        st.info(
            f"{plain(name)} is not on this machine yet. Ranking it fetches it first, and says what to do if it cannot."
        )
        patch_ranking.rank_first(now.draft, "Fetch and rank")
        st.stop()
    with grid:
        data = cached.dataset_of(now.draft)
        class_index = _class_control(data)
        select = {name: _select_control(name, titles) for name, titles in (("criterion", CRITERIA), ("order", ORDERS))}
        mosaic = controls.spec_of(SelectConfig, "mosaic")
        select["mosaic"] = controls.setting(mosaic, now.draft.select.mosaic, PAGE)
        now.change("select", **select)
        ipc = controls.spec_of(RecoverConfig, "ipc")
        now.change("recover", ipc=controls.setting(ipc, now.draft.recover.ipc, PAGE, label="IPC"))
        patch_ranking.ranking_control(PAGE, data)
    band.take_band()
    return data, class_index


def _class_control(data: Dataset) -> int:
    """Draw the choice of a class, a striking one first; one that the link asks for and is not there is said."""
    entry, names = find_entry(data.spec.name), list(data.spec.class_names)
    striking = entry.striking if entry else ""
    address.tell_stranger("cls", "patches/class", names, "class")
    look = {"always": True, "on_change": band.forget_selected, "default": striking if striking in names else names[0]}
    return names.index(controls.linked_choice("cls", "Class", names, "patches/class", **look))


def _select_control(name: str, titles: dict[str, str]) -> str:
    spec, now = controls.spec_of(SelectConfig, name), getattr(session().draft.select, name)
    return controls.setting(spec, now, PAGE, compact=True, format_func=lambda value: titles.get(value, value))


def _ranked(ranking: Ranking, data: Dataset, class_index: int, ranks: Ranker | TeacherCard) -> None:
    view = rows.View(ranking, data, session().draft, band.settings(ranking), class_index)
    left, right = st.columns(2, gap="large")
    with left:
        band.figure(view)
        patch_ranking.line(ranks)
    with right:
        with headline("Chosen, in the order of joining"):
            if button("Recover from these", "arrow_forward", "patches/use", type="primary"):
                forget("recover/")
                nav.go("distill/recover")
        rows.chosen_grid(view)
        st.subheader(f"One image from 1 x 1 to {rows.MOSAICS} x {rows.MOSAICS} patches")
        rows.mosaics_grid(view)
    st.subheader("Hardest, medium, easiest and random")
    rows.extremes_grid(view)
    page.draw(view)
    page.draw_files(view)


def _show() -> None:
    data, class_index = controls_row()
    experiment = session().draft
    try:
        ranks = _ranks(data)
    except CheckpointError as error:
        st.info(plain(str(error)))
        nav.link("distill/data_and_teachers", "Train a teacher, or add one")
        rows.unranked_grid(data, experiment, class_index)
        return
    ranking = cached.ranking(data.fingerprint, ranks.fingerprint, experiment.rank, experiment.seed)
    if ranking is not None:
        _ranked(ranking, data, class_index, ranks)
        return
    patch_ranking.line(ranks)
    st.info("It has not ranked these images yet. That is done once, and the result is kept.")
    patch_ranking.rank_first(experiment, "Rank the training images")


def _ranks(data: Dataset) -> Ranker | TeacherCard:
    """Return what ranks; a ranking from a file is read where it was not yet."""
    experiment = session().draft
    if not experiment.ranker:
        return cached.teacher(experiment.teacher, data.spec.name, data.spec.image_size, data.spec.class_names)
    ranker = find_ranker(experiment.ranker, data)
    if ranker.card is None:
        ranker.known_ranking(data, experiment.rank, experiment.seed)
    return ranker


st.title("Patches")
st.write("Real patches ranked by the teacher's probability of their true class; the chosen ones start the images.")
with errors.shown():
    _show()
