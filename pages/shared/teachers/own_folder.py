"""One's own images: upload a zip, click through the folders of this machine, or type a path."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from delt_engine.data import browse
from delt_engine.data.available import add_folder
from delt_engine.errors import DataError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from pages.shared import controls, errors
from pages.shared.controls import button, choice
from pages.shared.session import session
from pages.shared.teachers import datasets
from pages.shared.wording import count, plain, plural, said

PAGE, AT, ZIP, PATH, OPEN = "data", "data/browse_at", "data/zip", "data/folder", "data/own_is_open"
UNPACKING = "data/unpacking"
"""Set while this session waits for an upload: the file."""

MOST_MB = 1000
FOLDERS_SHOWN, NAMED = 60, 8
WAYS = {"upload": "Upload a zip", "browse": "Browse folders", "path": "Type a path"}


def unpacking() -> Task:
    """Return the task that unpacks what this session uploaded last, whether there was anything or not."""
    return tasks.task("unpack", st.session_state.get(UNPACKING, ""))


def draw() -> None:
    """Draw the three ways to bring images, when they are asked for."""
    errors.show_failed(PAGE)
    if not st.session_state.get(OPEN):
        return
    with st.container(border=True):
        st.caption(
            "One folder of images per class. Train and val (or test) folders are used as they are; without them a "
            "fifth of each class is set aside for tests. Your files are never changed."
        )
        way = choice("How", WAYS, f"{PAGE}/way", segmented=True, label_visibility="collapsed")
        {"upload": _upload, "browse": _browse, "path": _path}[way]()


def opener() -> None:
    """Draw the button that opens and closes them."""
    is_open = bool(st.session_state.get(OPEN))
    label, icon = ("Close", "close") if is_open else ("Use your own images", "add_photo_alternate")
    button(label, icon, f"{PAGE}/own", _open, not is_open, width="stretch")


def _open(is_open: bool) -> None:
    st.session_state[OPEN] = is_open


def take_upload() -> None:
    """Go on with an upload that is unpacked, or say why it is not."""
    name, work = st.session_state.get(UNPACKING), unpacking()
    if not name or work.is_running:
        return
    st.session_state.pop(UNPACKING)
    tasks.drop_upload(name)
    result = work.result()
    if work.error or result is None:
        errors.show(work.error or "The upload was stopped.")
    else:
        choose(str(result["root"]))
        st.rerun()


def choose(path: str) -> None:
    """Let the page show a folder, and close what it was found with."""
    st.session_state[f"{PAGE}/dataset"] = path
    _open(False)


def _upload() -> None:
    look = {"type": ["zip"], "max_upload_size": MOST_MB, "label_visibility": "collapsed"}
    controls.upload("A zip of images", ZIP, on_change=errors.attempt, args=(PAGE, _start_upload), **look)
    st.caption(
        "Folders around the classes in the zip do not matter. It is unpacked on this machine and named after it."
    )


def _start_upload() -> None:
    upload = st.session_state.get(ZIP)
    if upload is None:
        return
    path = tasks.store_upload(upload.name, upload.getvalue())
    size = session().draft.image_size
    work = tasks.task("unpack", path)  # of its own: others may upload at the same time
    tasks.start(work, ["datasets", str(path), *(["--image-size", str(size)] if size else [])])
    st.session_state[UNPACKING] = str(path)


def _path() -> None:
    left, right = st.columns([8, 2], vertical_alignment="bottom")
    with left:
        st.text_input("Folder on this machine", key=PATH, placeholder="/path/with/one/folder/of/images/per/class")
    with right:
        button("Add", "create_new_folder", f"{PAGE}/add", errors.attempt, PAGE, _add_typed, width="stretch")


def _add_typed() -> None:
    _add(st.session_state.get(PATH) or "")
    st.session_state[PATH] = ""


def _add(path: str) -> None:
    folder = add_folder(path)
    datasets.read(folder)
    choose(folder)


def _browse() -> None:
    roots = browse.roots()
    if not roots:
        st.info("There is no folder to look into; name one in the environment variable DELT_DATA.")
        return
    try:
        found = browse.look(st.session_state.get(AT) or roots[0])
    except DataError as error:  # it has gone since
        st.session_state.pop(AT, None)
        errors.show(error)
        return
    _trail(found.path, roots)
    if found.classes:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plural(found.classes, 'class folder')}**".replace("classs", "class"), width="content")
            use = (errors.attempt, PAGE, _add, str(found.path))
            button("Use this folder", "check", f"{PAGE}/use_folder", *use, type="primary")
        more = f" and {count(len(found.folders) - NAMED)} more" if len(found.folders) > NAMED else ""
        st.caption(f"In it: {plain(', '.join(found.folders[:NAMED]))}{more}.")
        return
    names = found.folders
    if len(names) > FOLDERS_SHOWN:
        part = st.text_input("Find", key=f"{PAGE}/browse_find", placeholder="Part of a name", icon=":material/search:")
        names = tuple(name for name in names if (part or "").casefold() in name.casefold())
    with st.grid(min_column_width=170, gap="small"):
        for name in names[:FOLDERS_SHOWN]:
            look = {"type": "tertiary", "width": "stretch"}
            button(plain(name), "folder", f"{PAGE}/into/{name}", _go, str(found.path / name), **look)
    if len(names) > FOLDERS_SHOWN:
        st.caption(f"The first {FOLDERS_SHOWN} of {count(len(names))} folders.")
    if not found.folders:
        st.caption("No folders in here.")
    st.caption(said(found.why_not))


def _trail(path: Path, roots: tuple[Path, ...]) -> None:
    """Draw the way from the root to where one is; each part leads back."""
    root = max((one for one in roots if path.is_relative_to(one)), key=lambda one: len(one.parts))
    below = path.relative_to(root).parts
    steps = [root.joinpath(*below[:depth]) for depth in range(len(below) + 1)]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for other in roots:
            if other != root:
                key = f"{PAGE}/root/{other}"
                button(plain(other.name or "/"), "home_storage", key, _go, str(other), type="tertiary")
        for number, step in enumerate(steps):
            icon, name = ("home_storage", step.name or "/") if number == 0 else ("chevron_right", step.name)
            key, is_here = f"{PAGE}/trail/{number}", step == path
            button(plain(name), icon, key, _go, str(step), type="tertiary", disabled=is_here)


def _go(path: str) -> None:
    st.session_state[AT] = path
