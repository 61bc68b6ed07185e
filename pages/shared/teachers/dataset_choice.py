"""Choosing a dataset, adding a folder, and reading what is not read yet in a process of its own."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.available import Place, add_folder, forget_folder, known_folders, place_of
from delt_engine.errors import DataError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from pages.shared import cached, errors
from pages.shared.recover import form
from pages.shared.session import session
from pages.shared.wording import count, plain

PAGE = "data"
_REFUSED = f"{PAGE}/refused"
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
        st.button("Add", icon=":material/create_new_folder:", key=f"{PAGE}/add", on_click=_add, width="stretch")
    refused = st.session_state.pop(_REFUSED, "")
    if refused:
        errors.show(refused)
    if name in known_folders():
        st.button(
            "Take this folder off the list",
            icon=":material/playlist_remove:",
            key=f"{PAGE}/forget",
            type="tertiary",
            on_click=_forget,
            args=(name,),
        )
    return place_of(name)


def _add() -> None:
    """Keep the typed folder, choose it, and begin to read it."""
    try:
        path = add_folder(st.session_state.get(f"{PAGE}/folder") or "")
        read(path)
    except DataError as error:
        st.session_state[_REFUSED] = str(error)
        return
    st.session_state[f"{PAGE}/dataset"] = path
    st.session_state[f"{PAGE}/folder"] = ""


def _forget(path: str) -> None:
    forget_folder(path)
    st.session_state[f"{PAGE}/dataset"] = "photos"


def reading(name: str) -> Task:
    """Return the task that reads a dataset, whether it was started or not."""
    return tasks.task("read", name, session().draft.image_size)


def read(name: str) -> None:
    """Begin to read a dataset in a process: download it where it can be, decode it, keep what is quick to read."""
    size = session().draft.image_size
    cached.dataset.clear(name, size)
    tasks.start(reading(name), ["datasets", name, *(["--image-size", str(size)] if size else [])])


def absent(place: Place) -> None:
    """Say what a dataset that cannot be read at once needs, and offer to do it."""
    work = reading(place.name)
    if work.is_running:
        return
    if work.error:
        errors.show(work.error)
    elif place.state == "missing":
        st.warning(plain(place.note), icon=":material/folder_off:")
    else:
        st.info(
            plain(place.note), icon=":material/download:" if place.state == "download" else ":material/folder_open:"
        )
    if place.state != "missing":
        label = "Download it" if place.state == "download" else "Read it"
        st.button(
            label, type="primary", icon=":material/download:", key=f"{PAGE}/read", on_click=read, args=(place.name,)
        )


def progress_bar(work: Task) -> None:
    """Draw how far a task is, with a button that ends it."""
    told = work.progress()
    words = _WORDS.get(told.what, told.what) if told else "Starting"
    share = told.done / told.total if told and told.total > 1 else 0.0
    text = f"{words}, {count(told.done)} of {count(told.total)}" if told and told.total > 1 else words
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, share), text=plain(text))
        st.button("Stop", icon=":material/stop:", key=f"{PAGE}/stop/{work.name}", on_click=work.forget)
