"""Gallery: one class or all of any run under one round slider, compared with other runs, and one image in detail."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from delt_engine.runs.store import Run
from pages.shared import cached, errors, live, nav
from pages.shared.compare import mi_ri, panel
from pages.shared.controls import headline
from pages.shared.gallery import choices, image
from pages.shared.gallery import view as gallery_view
from pages.shared.gallery.film import View
from pages.shared.runs import formats
from pages.shared.runs.actions import badge
from pages.shared.runs.strips import stamp


def choose(runs: Sequence[Run]) -> tuple[View, tuple[str, str]]:
    """Draw the choices above the images; return what to show, and how runs are compared."""
    with st.container(horizontal=True):  # in a narrow window the class goes to a line of its own
        main = choices.choose_run(runs)
        with st.container(width=250):
            others = panel.choose_others(main, runs, choices.BESIDE)
        with st.container(width=326):
            names = choices.choose_class(main)
    only = choices.linked_images(main) if not others else None
    if only is not None:
        names = tuple(main.class_names[number] for number in only)
    facts = cached.image_facts(main, main.class_names.index(names[0]))
    sort, descending, arrangement, starts, look = "start", False, "all", False, ("end", "above")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if others:
            with st.popover("View", icon=":material/tune:", key="gallery/look"):
                look = panel.choose_look([main, *others], "gallery")
        with st.container(horizontal=True, vertical_alignment="top", width="content"):  # so that labels are in line
            if not others and len(names) == 1 and only is None:
                arrangement = choices.choose_arrangement()
            size = choices.choose_size("M" if main.experiment.recover.ipc > choices.FEW else "L")
            sort = choices.choose_order()
        descending = choices.choose_direction()
        if not others:
            starts = choices.choose_starts(main)
        conditions = choices.choose_filter(main.experiment.recover.schedule, facts)
    if conditions.number and len(names) == 1:
        st.caption(f"{len(conditions.of(facts))} of {len(facts)} images of this class fit the filter.")
    shown = View(main, names, tuple(others), sort, descending, arrangement, size, conditions, starts, only)
    return shown, look


def _show(runs: Sequence[Run], head: DeltaGenerator, beside: DeltaGenerator) -> None:
    told = st.container()
    view, look = choose(runs)
    with head:
        mi_ri.open_button(view.run, "gallery")
    with beside:
        formats.popover(view.run, "gallery")
    unfinished = [run for run in (view.run, *view.others) if run.status != "finished"]
    position = None
    if view.others:
        gallery_view.draw_compared(view, *look)
    else:
        for run in unfinished:
            badge(run)
        position = gallery_view.draw(view)
    opened = gallery_view.opened(view)
    with told:
        choices.draw_message()
    if opened is None:
        said = "Below an image: how many iterations it has had of those it gets, and p, the teacher's probability. "
        st.caption(f"{said}Click it to see its patch, all its rounds, the teacher's view of it and its settings.")
    else:
        image.open_beside((view.run, *view.others), position)
    watch([run for run in unfinished if run.is_active], view)


def watch(active: Sequence[Run], view: View) -> None:
    """Draw the page again whenever a run that is at work has written another round, and when it ends."""
    if not active:
        return
    before = _state(active, view)

    @st.fragment(run_every=live.POLL_S)
    def look() -> None:
        if _state(active, view) != before:
            st.rerun()

    look()


def _state(active: Sequence[Run], view: View) -> list[tuple[str, int, int]]:
    """Return what is drawn anew when it changes; of runs that are compared also what they made a moment ago."""
    name, found = view.class_names[0], []
    for run in active:
        number = run.class_names.index(name) if name in run.class_names else None
        rounds = len(run.rounds_written(number)) if number is not None else 0
        now = stamp(run.live_path(number)) if number is not None and view.others else 0
        found.append((run.status, rounds, now))
    return found


with headline("Gallery", 1, vertical_alignment="bottom"):
    head, beside = st.container(width="content"), st.container(width="content")  # filled when the run is known
    image.drop_image()
with errors.shown():
    found = cached.recoveries()
    if found:
        _show(found, head, beside)
    else:
        st.info("There are no images yet. Start a run, and its images can be browsed here round by round.")
        nav.link("start/home", "Start a run")
