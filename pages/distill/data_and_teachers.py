"""Data and teachers: what the images are, whether the teacher knows them, and how to get one that does."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError
from delt_engine.jobs.tasks import Task
from delt_engine.runs.store import Run
from pages.shared import cached, errors, live, nav
from pages.shared.controls import button, headline
from pages.shared.session import session
from pages.shared.teachers import card as teacher_card
from pages.shared.teachers import datasets, training
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


def teacher_side(data: Dataset) -> None:
    """Draw the teacher's card, or how to get a teacher; then training and checkpoints."""
    st.subheader("Teacher")
    run, works = training.newest(session().draft.dataset), [training.adding()]
    chosen = teacher_card.choose(data)
    try:
        card = cached.teacher(chosen, data.spec.name, data.spec.image_size, data.spec.class_names)
    except CheckpointError as error:
        st.info(plain(teacher_card.none_yet(data) if chosen == "auto" else str(error)), icon=":material/school:")
        if run is None or not run.is_active:
            training.small_button()
    else:
        teacher_card.draw(card, data)
        works.append(teacher_card.checking(card, data))
        nav.link("distill/patches", "See the patches it ranks")
    at_work(works, run)
    with st.expander("Train a teacher", icon=":material/model_training:", key="data/training"):
        training.form(data)
    with st.expander("Use a checkpoint", icon=":material/upload_file:", key="data/checkpoint_box"):
        training.draw_checkpoint()


def _show() -> None:
    place = datasets.control()
    reading = datasets.reading(place.name)
    if reading.is_running or place.state != "ready":
        datasets.absent(place)
        at_work([reading], None)
    else:
        draft = session().draft
        data = cached.dataset(draft.dataset, draft.image_size)
        left, right = st.columns([6, 5], gap="large")
        with left:
            with headline(plain(data.spec.title)):
                if data.root:
                    changed = "After files were added or changed."
                    button("Read again", "refresh", "data/again", datasets.read, draft.dataset, help=changed)
            datasets.numbers(data)
            datasets.samples(draft.dataset, draft.image_size, data)
            datasets.per_class(data)
            datasets.left_out(data)
        with right:
            teacher_side(data)
    st.subheader("All datasets")
    datasets.overview()


st.title("Data and teachers")
st.write("The images, and the teacher that ranks them and guides the recovery. Check the teacher before anything else.")
with errors.shown():
    _show()
