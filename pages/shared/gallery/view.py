"""The images of one class on the gallery page, under one slider, with what the reader clicked kept in the address."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.runs.store import Run
from pages.shared import address
from pages.shared.gallery.film import END, View, film, last_position, parts_of, round_at, swiped
from pages.shared.gallery.grid import Film, Look, gallery_grid
from pages.shared.gallery.image import IMAGE
from pages.shared.runs import strips
from pages.shared.runs.class_rows import tile_side
from pages.shared.wording import run_title

GRID, POSITION = "gallery/grid", "gallery/position"


def draw(view: View) -> tuple[int, tuple[int, int] | None]:
    """Draw the images; return the slider's position in iterations and the open image as (run's place, index)."""
    made = film(parts_of(view))
    frame, image = _frame(view, made), _image(view)
    look = Look(
        tile=tile_side(view.runs[0]),
        shown=view.shown,
        slider=True,
        download=strips.zip_address(),
        layout="grid" if view.arrangement in ("all", "rounds", "swipe") else "sides",
        swipe=_names(view) if view.arrangement == "swipe" else (),
    )
    is_swiped = view.arrangement == "swipe" and len(made.rows) == 2
    selected = ""
    if image is not None:
        place, index = image
        selected = f"{view.class_of(view.runs[place])}/{index}" + (f"/{place}" if place else "")
    gallery_grid(
        [swiped(made, _names(view))] if is_swiped else made.rows,
        made.sheets,
        key=GRID,
        look=look,
        frames=made.frames,
        frame=frame,
        selected=selected,
        on_frame=lambda: st.session_state.update({POSITION: made.rounds[int(st.session_state[GRID]["frame"])]}),
        on_pick=_take_image,
    )
    ipc = view.runs[0].experiment.recover.ipc
    if view.arrangement == "halves" and ipc % 2:
        st.caption(f"Image {ipc // 2 + 1} of {ipc} joins in the middle and belongs to neither half.")
    position = made.rounds[frame]
    number = round_at(view.runs[0], position)
    written = number if number is not None and position != END else "end" if position == END else f"{position}it"
    address.publish("round", POSITION, written)
    address.publish("img", IMAGE, "" if image is None else f"{image[1] + 1}" + (f".{image[0]}" if image[0] else ""))
    return position, image


def _names(view: View) -> tuple[str, str]:
    first, second = (run_title(run.experiment) for run in view.runs[:2])
    return f"A: {first}", f"B: {second}"


def _frame(view: View, made: Film) -> int:
    """Return the slider's place: as the link or the reader left it, else where the main run has come to."""
    address.restore("round", POSITION, lambda text: _position(view.runs[0], text, made.rounds))
    wanted = st.session_state.get(POSITION)
    class_index = view.class_of(view.runs[0])
    if wanted is None and class_index is not None:
        wanted = last_position(view.runs, class_index)
    return max((at for at, position in enumerate(made.rounds) if position <= (wanted or 0)), default=0)


def _position(run: Run, text: str, offered: Sequence[int]) -> int:
    """Read a round of the main run, iterations where it has no round ("300it"), or "end"."""
    if text == "end":
        position = END
    else:
        position = int(text[:-2]) if text.endswith("it") else int(text) * run.experiment.recover.round_iterations
    if position not in offered:
        raise ValueError(text)
    return position


def _image(view: View) -> tuple[int, int] | None:
    """Return the open image as (run's place, index in its class), None when none is open."""
    address.restore("img", IMAGE, _image_of)
    image = st.session_state.get(IMAGE)
    if image is None or not 0 <= image[0] < len(view.runs):
        return None
    fits = 0 <= image[1] < view.runs[image[0]].experiment.recover.ipc
    return image if fits and view.class_of(view.runs[image[0]]) is not None else None


def _image_of(text: str) -> tuple[int, int]:
    index, _, place = text.partition(".")
    return int(place or 0), int(index) - 1


def _take_image() -> None:
    """Open the image that was clicked, close it when it was open."""
    _, index, *place = st.session_state[GRID]["picked"].split("/")
    picked = (int(place[0]) if place else 0, int(index))
    st.session_state[IMAGE] = None if st.session_state.get(IMAGE) == picked else picked
