"""The images on the gallery page, under one slider, with what the reader clicked kept in the address."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.runs.store import Run
from pages.shared import address, errors
from pages.shared.compare import numbers, panel
from pages.shared.compare.film import tile
from pages.shared.gallery import choices
from pages.shared.gallery.choices import CLASS
from pages.shared.gallery.film import View, film
from pages.shared.gallery.grid import Film, Look, gallery_grid
from pages.shared.gallery.image import IMAGE
from pages.shared.runs import strips
from pages.shared.wording import count, plain

GRID, POSITION = "gallery/grid", "gallery/position"
LAYOUTS = {"halves": "sides", "rounds": "flow"}


def draw(view: View) -> int:
    """Draw the images of one run; return the slider's position in iterations."""
    made = film(view)
    frame, image = _frame(view, made), opened(view)
    look = Look(
        tile=tile(view.run, view.shown),
        shown=view.shown,
        slider=True,
        download=strips.zip_address(),
        layout="rows" if view.is_rows else LAYOUTS.get(view.arrangement, "grid"),
    )
    gallery_grid(
        made.rows,
        made.sheets,
        key=GRID,
        look=look,
        frames=made.frames,
        frame=frame,
        selected="" if image is None else f"{image[1]}/{image[2]}",
        on_frame=lambda: st.session_state.update({POSITION: position_of(int(st.session_state[GRID]["frame"]))}),
        on_pick=lambda: _take_image(view, st.session_state[GRID]["picked"]),
    )

    def position_of(at: int) -> int:
        return made.rounds[at] * view.run.experiment.recover.round_iterations

    _captions(view)
    address.publish("round", POSITION, made.rounds[frame])
    return position_of(frame)


def draw_compared(view: View, mode: str, show: str) -> None:
    """Draw the images of several runs, those of a single class in the order asked for."""
    runs, indices = [view.run, *view.others], None
    common = panel.common_classes(runs)
    names = panel.page_of([name for name in view.class_names if name in common], "gallery")
    if len(names) == 1:
        indices = [entry.index for entry in view.facts(view.run.class_names.index(names[0]))]
    image = opened(view)
    picked = "" if image is None else f"{'ABCD'[image[0]]}/{image[1]}/{image[2]}"
    look = {"mode": mode, "view": show, "shown": view.shown, "indices": indices, "selected": picked}
    key = "gallery/compared"
    address.say("round", "")
    with errors.contained("The comparison"):
        numbers.draw_summary(runs, names)
    panel.grid(runs, names, "gallery", **look, on_pick=lambda: _take_image(view, str(st.session_state[key]["picked"])))
    with errors.contained("The comparison"):
        numbers.draw(runs, names)


def _captions(view: View) -> None:
    recover = view.run.experiment.recover
    if view.arrangement == "halves" and not view.is_rows:
        odd = f"Image {recover.ipc // 2 + 1} of {recover.ipc} joins in the middle and belongs to neither half. "
        st.caption(
            f"{odd if recover.ipc % 2 else ''}Cosine similarity: mean over all pairs of a half's images, in pixels, at "
            "the slider's round. Within one run the late half is often the more alike; what EarlyLate makes more "
            "diverse is the class as a whole, against a run with the same MI in which all images join at once."
        )
    elif view.is_rows:
        said = "Click a class's name to see it alone. " if view.only is None else ""
        if recover.initialization == "patches":
            said += "Beside each name: the real patch that its first image started from. "
        st.caption(f"{said}Cosine: mean over all pairs of a class's images, in pixels, as last written.")


def _frame(view: View, made: Film) -> int:
    """Return the slider's place: as the link or the reader left it, else where the run has come to."""
    length = max(1, view.run.experiment.recover.round_iterations)

    def read(text: str) -> int:
        if text not in map(str, made.rounds):
            choices.tell(f"There is no round {plain(text)} to show, so this is another one.")
            raise ValueError(text)
        return int(text) * length

    address.restore("round", POSITION, read)
    wanted = st.session_state.get(POSITION)
    if wanted is None:
        class_index = view.run.class_names.index(view.class_names[0])
        wanted = max(view.run.rounds_written(class_index), default=0) * length
    return max((at for at, number in enumerate(made.rounds) if number * length <= wanted), default=0)


def opened(view: View) -> tuple[int, int, int] | None:
    """Return the open image as (run's place, class number in it, index in the class), None when none is open.

    The address counts images from 1, with the class number before it where several classes are shown, and the run's
    place behind it where it is not the first.
    """
    runs = (view.run, *view.others)
    address.restore("img", IMAGE, lambda text: _read_image(view, text))
    image = st.session_state.get(IMAGE)
    if image is not None and not _is_there(runs, image):
        if image[0] < len(runs):
            ipc = runs[image[0]].experiment.recover.ipc
            choices.tell(f"There is no image {image[2] + 1:,} there: a class of this run has {count(ipc)}.")
        image = st.session_state[IMAGE] = None
    address.publish("img", IMAGE, _written(view, image))
    return image


def _is_there(runs: Sequence[Run], image: tuple[int, int, int]) -> bool:
    place, class_index, index = image
    if not 0 <= place < len(runs):
        return False
    return class_index in runs[place].classes and 0 <= index < runs[place].experiment.recover.ipc


def _read_image(view: View, text: str) -> tuple[int, int, int]:
    where, _, place = text.partition(".")
    class_index, _, index = where.rpartition(":")
    try:
        run = (view.run, *view.others)[int(place or 0)]
        return int(place or 0), int(class_index or run.class_names.index(view.class_names[0])), int(index) - 1
    except (ValueError, IndexError):
        choices.tell(f"There is no image {plain(text)} here.")
        raise ValueError(text) from None


def _written(view: View, image: tuple[int, int, int] | None) -> str:
    if image is None:
        return ""
    place, class_index, index = image
    many = len(view.class_names) > 1 or view.is_rows
    return (f"{class_index}:" if many else "") + f"{index + 1}" + (f".{place}" if place else "")


def _take_image(view: View, picked: str) -> None:
    """Open the image that was clicked, close it when it was open; a class's name leads to that class alone."""
    *where, number, index = picked.split("/")
    if where == [] and number == "class":
        st.session_state.update({CLASS: view.run.class_names[int(index)], IMAGE: None})
        return
    place = "ABCD".index(where[0]) if where else 0
    image = (place, int(number), int(index))
    st.session_state[IMAGE] = None if st.session_state.get(IMAGE) == image else image
