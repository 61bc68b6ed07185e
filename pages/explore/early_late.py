"""Early vs late: what early and late optimisation do to an image, as a tour of six steps for a lesson."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.shared import address, errors, nav
from pages.shared.lab import cached, export, predict, tour
from pages.shared.lab import views as lab_views
from pages.shared.lab.source import Scene, Source, scene, sources
from pages.shared.lab.steps import lab_steps
from pages.shared.wording import plain


def choose_source(found: Sequence[Source]) -> Source:
    """Draw the choice between recorded labs and runs."""
    ids = [source.id for source in found]
    address.restore("src", "lab/source", address.member(ids))
    titles = {source.id: source.title for source in found}
    chosen = st.selectbox("Material", ids, key="lab/source", format_func=titles.get, disabled="src" in tour.locked())
    address.publish("src", "lab/source", chosen if chosen != ids[0] else "")
    return found[ids.index(chosen)]


def choose_class(source: Source) -> str:
    """Draw the choice of a class."""
    names = source.classes
    address.restore("cls", "lab/class", address.member(names))
    if st.session_state.get("lab/class") not in names:
        st.session_state["lab/class"] = source.opens_with
    chosen = st.selectbox("Class", names, key="lab/class", width=220, disabled="cls" in tour.locked())
    address.publish("cls", "lab/class", chosen)
    return chosen


def choose_patch(source: Source, class_name: str) -> int:
    """Draw the choice of a patch where there are several, and return its number, from 1."""
    patches = source.patches(class_name)
    address.restore("patch", "lab/patch", tour.whole(1, patches))
    if not 1 <= (st.session_state.get("lab/patch") or 0) <= patches:
        st.session_state["lab/patch"] = 1
    if patches == 1:
        address.publish("patch", "lab/patch", "")
        return 1
    numbers = list(range(1, patches + 1))
    label = "Patch" if source.lab else "Image"
    chosen = st.selectbox(label, numbers, key="lab/patch", width=110, disabled="patch" in tour.locked())
    address.publish("patch", "lab/patch", chosen)
    return chosen


def inside(shown: Scene, found: Sequence[Source]) -> None:
    """Draw one iteration stage by stage; runs keep none, so the first lab stands in for them."""
    if not shown.source.lab:
        lab = next((source for source in found if source.lab), None)
        if lab is None:
            st.info("Runs keep no single iterations. `delt lab` records some.")
            return
        st.info(f"Runs keep no single iterations, so these are from {plain(lab.title)}, class {plain(lab.classes[0])}.")
        shown = scene(lab, lab.classes[0], 1)
    subject = shown.subject
    sheet = cached.sheet(shown.source.lab, subject.stages_sheet)
    lab_steps(subject.stages, shown.config.iterations, shown.class_name, sheet, shown.tile, key="lab/inside")
    st.caption(f"{plain(shown.origin)} Arrow keys move between the stages.")


def take_home(shown: Scene) -> None:
    """Draw the downloads, and how the material was made."""
    export.downloads(shown)
    if shown.source.lab:
        with st.expander("How this was recorded"):
            st.code(shown.source.lab.record.command, language="bash", wrap_lines=True)
            st.caption("Record a lab of your own data with the same command and another --dataset; it appears here.")


def show(found: Sequence[Source]) -> None:
    """Draw the tour on one of the sources."""
    step = tour.choose_step()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = choose_source(found)
        class_name = choose_class(source)
        number = choose_patch(source, class_name)
        recover = source.config
        end = tour.choose_end(recover.iterations, recover.round_iterations)
        tour.lesson_links(recover.iterations, recover.round_iterations)
    address.publish("upto", tour.UPTO, end if end != recover.iterations else "")
    shown = scene(source, class_name, number, end)
    tour.introduce(step, is_run=source.run is not None)
    if step == 5:
        inside(shown, found)
    else:
        views = {1: lab_views.one_patch, 2: lab_views.twins, 3: lab_views.late, 4: predict.predict, 6: take_home}
        views[step](shown)
    tour.walk(step)


st.title("Early vs late")
with errors.shown():
    material = sources()
    if material:
        show(material)
    else:
        st.info("There is no recorded lab and no run yet. Start a run, or record a lab with `delt lab`.")
        nav.link("start/home", "Start a run")
