"""Choosing a dataset, adding a folder, and reading what is not read yet in a process of its own."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.available import Place, add_folder, forget_folder, known_folders, place_of
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from pages.shared import cached, errors
from pages.shared.controls import button
from pages.shared.recover import form
from pages.shared.session import session
from pages.shared.wording import count, plain

PAGE = "data"
_WORDS = {
    "scan": "Reading the files",
    "download": "Downloading",
    "photos": "Making the images",
    "teacher": "Loading the teacher",
    "check": "Checking on test images",
}


def control() -> Place:
    """Draw the choice of a dataset and a field for a new folder; return where the chosen one stands."""
    left, right, side = st.columns([5, 5, 2], vertical_alignment="bottom")
    with left:
        name = form.dataset_control(PAGE)
    with right:
        st.text_input(
            "Add a folder",
            key=f"{PAGE}/folder",
            placeholder="/path/with/one/folder/of/images/per/class",
            help="Its folders are the classes. Train and test (or val) folders are used as they are; without "
            "them a fifth of each class is set aside for tests. The folder is never changed.",
        )
    with side:
        button("Add", "create_new_folder", f"{PAGE}/add", errors.attempt, PAGE, _add, width="stretch")
    errors.show_failed(PAGE)
    if name in known_folders():
        key = f"{PAGE}/forget"
        button("Take this folder off the list", "playlist_remove", key, _forget, name, type="tertiary")
    return place_of(name)


def _add() -> None:
    path = add_folder(st.session_state.get(f"{PAGE}/folder") or "")
    read(path)
    st.session_state[f"{PAGE}/dataset"] = path
    st.session_state[f"{PAGE}/folder"] = ""


def _forget(path: str) -> None:
    forget_folder(path)
    st.session_state[f"{PAGE}/dataset"] = "photos"


def reading(name: str) -> Task:
    """Return the task that reads a dataset, whether it was started or not."""
    return tasks.task("read", name, session().draft.image_size)


def read(name: str) -> None:
    """Begin to read a dataset in a process: download it where it can be, decode it, store what is quick to read."""
    size = session().draft.image_size
    cached.dataset.clear(name, size)
    tasks.start(reading(name), ["datasets", name, *(["--image-size", str(size)] if size else [])])


def absent(place: Place) -> None:
    """Say what a dataset that cannot be read at once needs, and offer to do it."""
    work, downloads = reading(place.name), place.state == "download"
    if work.is_running:
        return
    if work.error:
        errors.show(work.error)
    elif place.state == "missing":
        st.warning(plain(place.note), icon=":material/folder_off:")
    else:
        st.info(plain(place.note), icon=":material/download:" if downloads else ":material/folder_open:")
    if place.state != "missing":
        label = "Download it" if downloads else "Read it"
        button(label, "download", f"{PAGE}/read", read, place.name, type="primary")


def progress_bar(work: Task) -> None:
    """Draw how far a task is, with a button that ends it."""
    now = work.progress()
    text, share = _WORDS.get(now.what, now.what) if now else "Starting", 0.0
    if now and now.total > 1:
        text, share = f"{text}, {count(now.done)} of {count(now.total)}", min(1.0, now.done / now.total)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=plain(text))
        button("Stop", "stop", f"{PAGE}/stop/{work.name}", work.forget)
