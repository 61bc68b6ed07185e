"""Import a set that others published: where it lies, whose classes it has, what it is called; the work is a task."""

from __future__ import annotations

import streamlit as st

from delt_engine.config.command_line import option_words
from delt_engine.data.catalogue import dataset_names
from delt_engine.data.tensor_files import PIXELS
from delt_engine.errors import DataError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors
from pages.shared.controls import button, choice
from pages.shared.recover.form import dataset_title
from pages.shared.runs import actions
from pages.shared.session import session
from pages.shared.teachers.datasets import progress_bar
from pages.shared.wording import plain

PLACE, OPEN, ZIP = "runs/import", "runs/import_is_open", "runs/import_zip"
WAITING = "runs/importing"
"""Set while this session waits for an import: the name of its task, and the uploaded file, or "" of a typed path."""

MOST_MB = 1000
WAYS = {"path": "Type a path", "upload": "Upload a zip"}


def importing() -> Task:
    """Return the task that imports what this session asked for last, whether there was anything or not."""
    name, _ = st.session_state.get(WAITING, ("import", ""))
    return Task(name)


def draw() -> None:
    """Draw the button that opens the form, and the form where it is open."""
    is_open = bool(st.session_state.get(OPEN))
    label, icon = ("Close", "close") if is_open else ("Import a set", "drive_folder_upload")
    button(label, icon, f"{PLACE}/open", _open, not is_open)
    errors.show_failed(PLACE)
    if is_open:
        with st.container(border=True):
            _form()


def draw_work() -> None:
    """Draw how far the import of this session is, and what came of it."""
    if WAITING not in st.session_state:
        return
    work = importing()
    if work.is_running:
        progress_bar(work)
        return
    result = work.result()
    if work.error or result is None:
        errors.show(work.error or "The import was stopped.")
        _forget_upload()
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{plain(result['method'])}** is imported: {result['classes']:,} classes, {result['ipc']:,} images each. "
            + plain(" ".join(result["notes"])),
            width="stretch",
        )
        actions.open_button(Run(result["path"]), PLACE, primary=True)
    _forget_upload()


def _forget_upload() -> None:
    work, upload = st.session_state[WAITING]
    if upload:
        tasks.drop_upload(upload)
        st.session_state[WAITING] = (work, "")


def _open(is_open: bool) -> None:
    st.session_state[OPEN] = is_open
    if is_open and not importing().is_running:
        st.session_state.pop(WAITING, None)  # what came of the last one was read


def _form() -> None:
    st.caption(
        "A folder with one folder of images per class, also as SRe2L, CDA, DELT and RDED save them; images.pt with "
        "labels.pt; or parquet files of Hugging Face. Classes and size are checked against the dataset, pixels are "
        "kept as they are, and nothing that is stored in a file is run."
    )
    way = choice("Where is it", WAYS, f"{PLACE}/way", segmented=True, label_visibility="collapsed")
    if way == "upload":
        look = {"type": ["zip"], "max_upload_size": MOST_MB, "label_visibility": "collapsed"}
        controls.upload("A zip of class folders", ZIP, **look)
    else:
        st.text_input("Folder or file on this machine", key=f"{PLACE}/path", placeholder="/path/to/the/set")
    with st.grid(4, min_column_width=170, vertical_alignment="bottom"):
        names = [*dataset_names(), *cached.folders()]
        look = {"format_func": dataset_title, "help": "Whose classes it has; a folder's path can be typed in."}
        dataset = controls.open_choice("Dataset", names, f"{PLACE}/dataset", session().draft.dataset, **look)
        size = st.number_input(
            "Image size", 8, 1024, None, key=f"{PLACE}/size", placeholder="the dataset's", help="Side in pixels."
        )
        name = st.text_input("Name of the method", key=f"{PLACE}/name", max_chars=40, placeholder="like the folder")
        pixels = choice(
            "Numbers in tensors",
            PIXELS,
            f"{PLACE}/pixels",
            segmented=False,
            help="In [0, 1] (unit), or normalised by the dataset's or ImageNet's mean and std; auto looks at them.",
        )
    words = ["--dataset", dataset, *option_words(image_size=size, method_name=name)]
    words += option_words(pixels=pixels if pixels != "auto" else None)
    start = (errors.attempt, PLACE, _start, way, words)
    button("Import", "download", f"{PLACE}/start", *start, type="primary", disabled=importing().is_running)


def _start(way: str, words: list[str]) -> None:
    """Start the import of what was given.

    Raises:
        DataError: nothing was given.
    """
    upload, path = st.session_state.get(ZIP), (st.session_state.get(f"{PLACE}/path") or "").strip()
    if (upload if way == "upload" else path) in (None, ""):
        raise DataError("set: nothing given, but a folder, a file or a zip is needed.")
    kept = ""
    if way == "upload":
        path = kept = str(tasks.store_upload(upload.name, upload.getvalue()))
    work = tasks.task("import", path, *words)  # of its own: others may import at the same time
    tasks.start(work, ["import", tasks.argument(path), *words])
    st.session_state[WAITING] = (work.name, kept)
    _open(False)
