"""Data and teachers: what the images are, whether the teacher knows them, and how to get one that does."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError, DataError
from delt_engine.jobs.tasks import Task
from delt_engine.models.card import TeacherCard
from delt_engine.runs.store import Run
from pages.shared import cached, errors, live
from pages.shared.controls import button, headline
from pages.shared.session import session
from pages.shared.teachers import card as teacher_card
from pages.shared.teachers import datasets, own_folder, own_teacher, steps, training
from pages.shared.wording import plain


def at_work(tasks: list[Task], run: Run | None) -> None:
    """Draw what goes on in processes now: reading, checking, adding, training."""

    def draw() -> None:
        for work in tasks:
            if work.is_running:
                datasets.progress_bar(work)
        if run is not None:
            training.watch(run)

    live.follow(lambda: any(work.is_running for work in tasks) or bool(run and run.is_active), draw)


def teacher_side(data: Dataset, chosen: str, card: TeacherCard | None, refusal: str) -> None:
    """Draw the teacher's card, or how to get a teacher; then training and checkpoints."""
    run, works = training.newest(session().draft.dataset), [own_teacher.adding()]
    if card is None:
        st.info(plain(teacher_card.none_yet(data) if chosen == "auto" else refusal), icon=":material/school:")
        size = teacher_card.other_size(data)
        if size:
            datasets.size_button(size, "data/size/teacher", f"Use {size} px, which a teacher knows")
        elif run is None or not run.is_active:
            st.caption(training.small_words())
    else:
        teacher_card.draw(card, data)
        works.append(teacher_card.checking(card, data))
    at_work(works, run)
    with st.expander("Train a teacher", icon=":material/model_training:", key="data/training"):
        training.form(data)
    with st.expander("Use a checkpoint", icon=":material/upload_file:", key="data/checkpoint_box"):
        own_teacher.draw()


def data_side(data: Dataset) -> None:
    """Draw what the images are."""
    draft = session().draft
    with headline(plain(data.spec.title)):
        if data.root:
            changed = "After files were added or changed."
            button("Read again", "refresh", "data/again", datasets.read, draft.dataset, changes=True, help=changed)
    datasets.numbers(data)
    datasets.advise(data)
    datasets.samples(draft.dataset, draft.image_size, data)
    datasets.per_class(data)
    datasets.left_out(data)


def whole(data: Dataset) -> None:
    """Draw how far the dataset is, the images and the teacher."""
    way_on = st.container()
    left, right = st.columns([6, 5], gap="large")
    with left:
        data_side(data)
    with right:
        st.subheader("Teacher")
        chosen, refusal, card = teacher_card.choose(data), "", None
        try:
            card = cached.teacher(chosen, data.spec.name, data.spec.image_size, data.spec.class_names)
        except CheckpointError as error:
            refusal = str(error)
        with way_on:
            steps.draw(steps.standing(data, card))
        teacher_side(data, chosen, card, refusal)


def _show() -> None:
    own_folder.take_upload()
    place = datasets.control(own_folder.opener)
    own_folder.draw()
    reading, unpacking = datasets.reading(place.name), own_folder.unpacking()
    if unpacking.is_running:
        at_work([unpacking], None)
    if reading.is_running or place.state != "ready":
        datasets.absent(place)
        at_work([reading], None)
    else:
        draft = session().draft
        try:
            data = cached.dataset_of(draft)
        except DataError as error:
            datasets.unreadable(draft.dataset, error)
        else:
            whole(data)
    st.subheader("All datasets")
    datasets.overview()


st.title("Data and teachers")
st.write("The images, and the teacher that ranks them and guides the recovery.")
with errors.shown():
    _show()
