"""Early vs late: what early and late optimisation do to an image, as a tour for a lesson, from the pipeline on."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.shared import address, controls, errors, nav
from pages.shared.lab import batches, overview, predict, privacy, stored, timeline, tour
from pages.shared.lab.source import Source, SourceScene, scene, sources
from pages.shared.lab.steps import lab_steps
from pages.shared.wording import plain

BATCHES = 6
"""The lesson on what a batch is matched with."""


def choose_patch(source: Source, class_name: str) -> int:
    """Draw the choice of a patch where there are several, and return its number, from 1."""
    numbers = range(1, source.patches(class_name) + 1)
    if len(numbers) == 1:
        address.publish("patch", "lab/patch", "")
        return 1
    look = {"always": True, "width": 110, "disabled": "patch" in tour.locked()}
    return controls.linked_choice("patch", "Patch" if source.lab else "Image", numbers, "lab/patch", **look)


def inside(shown: SourceScene, found: Sequence[Source]) -> None:
    """Draw one iteration stage by stage; runs keep none, so the first lab stands in for them."""
    if not shown.source.lab:
        lab = next((source for source in found if source.lab), None)
        if lab is None:
            st.info("Runs keep no single iterations. `delt lab` records some.")
            return
        st.info(f"Runs keep no single iterations, so these are from {plain(lab.title)}, class {plain(lab.classes[0])}.")
        shown = scene(lab, lab.classes[0], 1)
    subject = shown.subject
    sheet = stored.sheet(str(shown.source.lab.folder), subject.stages_sheet)
    lab_steps(subject.stages, shown.config.iterations, shown.class_name, sheet, shown.tile, key="lab/inside")
    st.caption(f"{plain(shown.origin)} Arrow keys move between the stages.")


def _lesson_on_batches(found: Sequence[Source]) -> None:
    """Draw the lesson that has images of its own, so without the choice of others, which waits for the next one."""
    for key in ("lab/source", "lab/class", "lab/patch"):
        if key in st.session_state:  # kept for want of a widget
            st.session_state[key] = st.session_state[key]
    chosen = st.session_state.get("lab/source", st.query_params.get("src"))
    source = next((source for source in found if source.id == chosen), found[0])
    tour.choose_end(source.config.iterations, source.config.round_iterations)
    with st.container(horizontal=True, horizontal_alignment="right"):
        tour.for_a_class(source)
    tour.introduce(BATCHES, is_run=source.run is not None)
    batches.draw()
    tour.walk(BATCHES)


def _show(found: Sequence[Source]) -> None:
    step = tour.choose_step()
    if step == BATCHES:
        _lesson_on_batches(found)
        return
    locked, titles = tour.locked(), {source.id: source.title for source in found}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = controls.linked_choice("src", "Images from", titles, "lab/source", disabled="src" in locked)
        source = next(source for source in found if source.id == chosen)
        look = {"default": source.opens_with, "always": True, "width": 220, "disabled": "cls" in locked}
        class_name = controls.linked_choice("cls", "Class", source.classes, "lab/class", **look)
        number = choose_patch(source, class_name)
        recover = source.config
        end = tour.choose_end(recover.iterations, recover.round_iterations)
        tour.for_a_class(source)
    address.publish("upto", tour.UPTO, end if end != recover.iterations else "")
    if step == 0:
        overview.draw(source, class_name)
    else:
        tour.introduce(step, is_run=source.run is not None)
        shown = scene(source, class_name, number, end)
        if step == 5:
            inside(shown, found)
        else:
            views = {
                1: timeline.one_patch,
                2: timeline.twins,
                3: timeline.late,
                4: predict.predict,
                7: privacy.draw,
                8: tour.take_home,
            }
            views[step](shown)
    tour.walk(step)


st.title("Early vs late")
with errors.shown():
    material = sources()
    if material:
        _show(material)
    else:
        st.info("There is no recorded lab and no run yet. Start a run, or record a lab with `delt lab`.")
        nav.link("start/home", "Start a run")
