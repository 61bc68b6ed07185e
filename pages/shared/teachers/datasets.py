"""Choosing, adding and reading a dataset; and one at a glance: numbers, samples, classes, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import streamlit as st

from delt_engine.data.advice import advice
from delt_engine.data.available import Place, forget_folder, known_folders, place_of, places
from delt_engine.data.catalogue import CATALOGUE, find_entry
from delt_engine.data.dataset import Dataset
from delt_engine.data.folder import STANDARD_SIZES, sizes_read
from delt_engine.data.unpack import is_upload, remove_upload
from delt_engine.errors import DataError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.jobs.worker import device_lock_name
from delt_engine.plots.data import class_counts
from pages.shared import address, cached, errors, figure, real_pictures
from pages.shared.controls import button
from pages.shared.gallery.grid import Cell, Look, Row, gallery_grid
from pages.shared.recover import form
from pages.shared.runs.strips import tile_side
from pages.shared.session import session
from pages.shared.wording import count, plain, plural, said, sentence, triple

PAGE = "data"
SAMPLES, CLASSES_SHOWN = 8, 10
MOST_BARS = 1000
"""Classes up to which a figure shows each; ImageNet-21K-P has 10,450."""

STATES = {
    "ready": "here",
    "unread": "here, not read yet",
    "download": "to download",
    "missing": "not here",
    "unusable": "cannot be used",
}
_ODD = {
    "exif_rotated": "turned as their EXIF says",
    "grey": "grey",
    "cmyk": "CMYK",
    "palette": "with a palette",
    "alpha": "with transparency",
    "grey16": "grey of 16 bit",
    "animated": "animated, first frame used",
}
_WORDS = {
    "unpack": "Unpacking the zip",
    "scan": "Reading the files",
    "download": "Downloading",
    "photos": "Making the images",
    "teacher": "Loading the teacher",
    "check": "Checking on test images",
}


def control(draw_opener: Callable[[], None]) -> Place:
    """Draw the choice of a dataset, which the address keeps, and beside it the way to another one.

    Returns:
        Where the chosen one stands.
    """
    key, known = f"{PAGE}/dataset", (*CATALOGUE, *cached.folders())
    address.tell_stranger("data", key, known, "dataset")
    address.restore("data", key, address.member(known))
    left, middle, right = st.columns([6, 3, 2], vertical_alignment="bottom")
    with left:
        name = form.dataset_control(PAGE)
    address.publish("data", key, name)
    with middle:
        draw_opener()
    with right:
        if name in known_folders():
            _removal(name)
    return place_of(name)


def _removal(path: str) -> None:
    with st.popover("Remove", icon=":material/playlist_remove:", width="stretch", key=f"{PAGE}/remove"):
        st.caption(f"Folder {plain(path)}")
        button("Take it off the list", "playlist_remove", f"{PAGE}/forget", errors.attempt, PAGE, _forget, path)
        if is_upload(path):
            deed = (errors.attempt, PAGE, _delete, path)
            button("Delete the uploaded images", "delete_forever", f"{PAGE}/delete", *deed)
            st.caption("They are gone for good then; runs made of them stay.")


def _forget(path: str) -> None:
    forget_folder(path)
    st.session_state[f"{PAGE}/dataset"] = next(iter(CATALOGUE))


def _delete(path: str) -> None:
    remove_upload(path)
    _forget(path)


def reading(name: str) -> Task:
    """Return the task that reads a dataset, whether it was started or not."""
    return tasks.task("read", name, session().draft.image_size)


def read(name: str) -> None:
    """Begin to read a dataset in a process: download it where it can be, decode it, store what is quick to read."""
    size = session().draft.image_size
    cached.forget_dataset(name, size)
    tasks.start(reading(name), ["datasets", tasks.argument(name), *(["--image-size", str(size)] if size else [])])


def absent(place: Place) -> None:
    """Say what a dataset that cannot be read at once needs, and offer to do it."""
    work, downloads = reading(place.name), place.state == "download"
    if work.is_running:
        return
    if place.state in ("missing", "unusable"):
        st.warning(said(place.note), icon=":material/folder_off:")
        return
    if work.error:
        errors.show(work.error)
        label = "Try again"
    else:
        st.info(said(place.note), icon=":material/download:" if downloads else ":material/folder_open:")
        label = "Download it" if downloads else "Read it"
    look = {"type": "secondary" if work.error else "primary"}
    button(label, "download", f"{PAGE}/read", read, place.name, changes=True, **look)


def unreadable(name: str, error: DataError) -> None:
    """Say why a dataset that is here cannot be used, and offer to look again."""
    errors.show(error)
    st.caption("When its files were mended, read it again.")
    button("Read again", "refresh", f"{PAGE}/again", read, name, changes=True)


def progress_bar(work: Task) -> None:
    """Draw how far a task is, with a button that ends it."""
    now = work.progress()
    text, share = _WORDS.get(now.what, now.what) if now else "Starting", 0.0
    if now and now.total > 1:
        text, share = f"{text}, {count(now.done)} of {count(now.total)}", min(1.0, now.done / now.total)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=plain(text))
        button("Stop", "stop", f"{PAGE}/stop/{work.name}", errors.attempt, work.name, work.forget)
    errors.show_failed(work.name)


def numbers(data: Dataset) -> None:
    """Draw sizes, statistics and where they are from."""
    spec = data.spec
    with st.grid(4, min_column_width=110):
        st.metric("Classes", count(spec.num_classes))
        st.metric("Training images", count(len(data.train)))
        st.metric("Test images", count(len(data.test)))
        _size_control(spec.image_size)
    origin = "of the catalogue" if spec.name in CATALOGUE else "measured on its training images"
    st.caption(
        f"Mean {triple(spec.mean)}, std {triple(spec.std)} (red, green, blue; pixels from 0 to 1; {origin}). "
        f"{plain(spec.description)}"
    )


def advise(data: Dataset) -> None:
    """Say what to know before anything is made of these images, with a button where another size would help."""
    draft = session().draft
    has_gpu = not device_lock_name(draft.device).startswith("cpu")
    for number, one in enumerate(advice(data, draft.recover.ipc, has_gpu=has_gpu)):
        show = {"error": st.error, "warning": st.warning, "info": st.info}[one.level]
        show(plain(one.text), icon=":material/lightbulb:")
        if one.image_size:
            size_button(one.image_size, f"{PAGE}/size/{number}", f"Use {one.image_size} px")


def size_button(image_size: int, key: str, label: str) -> None:
    """Draw a button that changes the image size."""
    button(label, "photo_size_select_large", key, _resize, image_size)


def _size_control(now: int) -> None:
    key, sizes = f"{PAGE}/image_size", sorted({*STANDARD_SIZES, now})
    st.session_state[key] = now
    look = {"format_func": lambda side: f"{side} px", "help": "Side of the square that networks see."}
    st.selectbox("Image size", sizes, key=key, on_change=lambda: _resize(st.session_state[key]), **look)


def _resize(image_size: int) -> None:
    draft = session().draft
    session().change(image_size=image_size, teacher="auto", ranker="")
    session().change("select", pinned=(), dropped=(), picked_from="")
    if find_entry(draft.dataset) is None:  # decoding a folder's files anew takes its time
        read(draft.dataset)


def samples(name: str, image_size: int | None, data: Dataset) -> None:
    """Draw the first training images of each class, ten classes at a time."""
    spec = data.spec
    pages = -(-spec.num_classes // CLASSES_SHOWN)
    at = st.pagination(pages, key=f"{PAGE}/page") if pages > 1 else 1
    shown = range(CLASSES_SHOWN * (at - 1), min(spec.num_classes, CLASSES_SHOWN * at))
    sizes = np.bincount(data.train.labels, minlength=spec.num_classes)
    rows, indices = [], []
    for number in shown:
        chosen = data.train.of_class(number)[:SAMPLES].tolist()
        cells = (
            Cell(f"{number}/{index}", f"{spec.class_names[number]}, {data.train.names[index]}", (0,), len(indices) + x)
            for x, index in enumerate(chosen)
        )
        rows.append(Row(spec.class_names[number], tuple(cells), count(sizes[number])))
        indices += chosen
    boxes = tuple(data.train.seen_box(index) for index in indices)
    sheet = real_pictures.patch_sheet(name, image_size, tuple(indices), boxes, data.train.resize)
    look = Look(tile=tile_side(spec.image_size), shown=44, columns=SAMPLES)
    gallery_grid(rows, [sheet], key=f"{PAGE}/samples", look=look)
    st.caption("The first training images of each class; the number is how many there are.")


def per_class(data: Dataset) -> None:
    """Say how many images each class has: one line when all are alike or very many, else a figure."""
    classes = data.spec.num_classes
    train, test = (np.bincount(part.labels, minlength=classes) for part in (data.train, data.test))
    if len(set(train)) == len(set(test)) == 1:
        st.caption(f"Every class has {count(train[0])} training and {count(test[0])} test images.")
        return
    if classes > MOST_BARS:
        spans = [f"{count(part.min())} to {count(part.max())}" for part in (train, test)]
        st.caption(f"A class has {spans[0]} training and {spans[1]} test images.")
        return
    figure.plain(class_counts(data.spec.class_names, train.tolist(), test.tolist()), f"{PAGE}/per_class")


def left_out(data: Dataset) -> None:
    """Say which files were skipped and why, and what was odd about those that were used."""
    odd = [
        f"{count(number)} {_ODD.get(what, what.replace('_', ' '))}"
        for what, number in data.counts.items()
        if number and what not in ("used", "skipped", "ignored")
    ]
    if odd:
        st.caption(f"Used as they should look: {', '.join(odd)}.")
    if data.counts.get("ignored"):
        st.caption(f"Passed over: {plural(data.counts['ignored'], 'file')} not named as an image.")
    if not data.skipped:
        if data.root:
            st.caption("No file had to be left out.")
        return
    reasons = Counter(file.reason for file in data.skipped)
    title = f"{plural(len(data.skipped), 'file')} left out"
    with st.expander(title, icon=":material/warning:", key=f"{PAGE}/skipped"):
        lines = (f"- {plain(sentence(reason))}: {count(number)}" for reason, number in reasons.most_common(20))
        st.markdown("\n".join(lines))
        table = [{"File": file.path, "Why": file.reason} for file in data.skipped]
        st.dataframe(table, hide_index=True, height="content" if len(table) < 8 else 300)


def overview() -> None:
    """Draw every dataset of the catalogue and of the user, and whether it is at hand."""
    rows, columns = [], ("Dataset", "Name", "Classes", "Size, px", "Training", "Test", "State", "What to do")
    for place in places():
        entry = CATALOGUE.get(place.name)
        known = vars(entry) if entry else sizes_read(place.name)
        sizes = [known.get(name) or None for name in ("num_classes", "image_size", "train_size", "test_size")]
        title = entry.title if entry else place.title
        note = sentence(place.note.removeprefix("dataset: ").removeprefix("classes: "))
        values = (title, place.name, *sizes, STATES[place.state], note)
        rows.append(dict(zip(columns, values, strict=True)))
    numbers = {name: st.column_config.NumberColumn(format="localized") for name in columns[2:6]}
    look = {"column_config": numbers, "height": "content", "placeholder": "–"}
    st.dataframe(rows, hide_index=True, key=f"{PAGE}/overview", **look)
