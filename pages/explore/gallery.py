"""Gallery: any class of any run under one round slider, runs beside each other, and one image in detail."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.runs.store import Run
from pages.shared import cached, errors, live, nav
from pages.shared.controls import headline
from pages.shared.gallery import choices, image
from pages.shared.gallery import view as gallery_view
from pages.shared.gallery.film import View
from pages.shared.runs import compare
from pages.shared.runs.actions import badge


def choose(runs: Sequence[Run]) -> View:
    """Draw the choices above the images and return what to show."""
    left, middle, right = st.columns([7, 6, 9])
    with left:
        main = choices.choose_run(runs)
    with middle:
        shown = (main, *choices.choose_beside(runs, main))
    with right:
        class_name = choices.choose_class(main)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sort, descending = choices.choose_order()
        arrangement = choices.choose_arrangement(len(shown))
        size = choices.choose_size()
        facts = cached.image_facts(main, main.class_names.index(class_name))
        conditions = choices.choose_filter(main.experiment.recover.schedule, facts)
    if conditions.number:
        st.caption(f"{len(conditions.of(facts))} of {len(facts)} images of this class fit the filter.")
    return View(shown, class_name, sort, descending, arrangement, size, conditions)


def _show(runs: Sequence[Run]) -> None:
    view = choose(runs)
    unfinished = [run for run in view.runs if run.status != "finished"]
    for run in unfinished:
        badge(run)
    position, opened = gallery_view.draw(view)
    if len(view.runs) > 1:
        compare.draw_differences(view.runs)
    if opened is None:
        st.caption("Click an image to see its patch, all its rounds, the teacher's view of it and its settings.")
    else:
        run = view.runs[opened[0]]
        image.draw(run, view.class_of(run), opened[1], position, opened[0])
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


def _state(active: Sequence[Run], view: View) -> list[tuple[str, int]]:
    return [(run.status, len(run.rounds_written(view.class_of(run) or 0))) for run in active]


with headline("Gallery", 1, vertical_alignment="bottom"):
    image.drop_image()
with errors.shown():
    found = cached.recoveries()
    if found:
        _show(found)
    else:
        st.info("There are no images yet. Start a run, and its images can be browsed here round by round.")
        nav.link("start/home", "Start a run")
