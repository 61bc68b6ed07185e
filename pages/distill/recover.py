"""Recover: plan a run, start it, watch its images change round by round."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import start as jobs
from delt_engine.runs.lineage import parent_of, save_parent
from delt_engine.runs.store import Run
from pages.shared import errors, live, nav
from pages.shared.compare import mi_ri
from pages.shared.controls import button
from pages.shared.recover import form, planner, rerun
from pages.shared.runs import view
from pages.shared.session import session
from pages.shared.wording import plain


def watched_run() -> Run | None:
    """Return the run that the address names, or the one this session started while it is active."""
    named = st.query_params.get("run")
    try:
        if named:
            return Run.open(named)
        watched = Run.open(session().watched) if session().watched else None
        return watched if watched and watched.is_active else None
    except RunError as error:
        if named:
            errors.show(error)
        return None


def leave() -> None:
    """Go back to planning, on a run of its own."""
    session().watched = session().parent = ""
    st.query_params.clear()


def repeat(run: Run) -> None:
    """Plan another run from this one's settings; both will stand side by side."""
    leave()
    session().draft, session().parent = run.experiment, run.id


def _watch(run: Run) -> None:
    session().watched = run.id
    st.query_params["run"] = run.id
    with st.container(horizontal=True):
        button("Plan another run", "arrow_back", "recover/back", leave)
        if not run.unreadable:
            stays = "Opens the form with this run's settings; it stays as it is."
            button("Rerun with changes", "tune", "recover/reuse", repeat, run, help=stays)
            mi_ri.open_button(run, "recover")
    if run.unreadable:
        errors.show(run.unreadable)
        return
    parent = parent_of(run)
    if parent is not None and parent.unreadable:
        parent = None
    if parent is not None:
        rerun.draw_changes(run, parent)

    def is_active() -> bool:
        return run.is_active or (parent is not None and parent.is_active)

    live.follow(is_active, lambda: view.draw(run, parent))
    live.follow(is_active, lambda: view.draw_curves(run), view.CURVES_S)
    view.settings(run)


def _plan() -> None:
    st.write("Images start from real patches, join round by round and are optimised against the frozen teacher.")
    top = st.container()
    left, right = st.columns([5, 7], gap="large")
    with left, errors.shown():
        form.draw_main()
        form.draw_more()
    with top:  # says what the form has changed, so it is drawn after it
        rerun.draw_planned()
    experiment = session().draft
    with right:
        lacking = form.missing(experiment)
        look = {"type": "primary", "disabled": bool(lacking)}
        is_started = button("Start this run", "play_arrow", "recover/start", **look)
        if lacking:
            st.info(plain(lacking), icon=":material/info:")
            nav.link("distill/data_and_teachers", "Go to Data and teachers")
        planner.draw(experiment)
    if is_started:
        with errors.shown():
            repeated, run = rerun.parent(), jobs.start(experiment)
            if repeated is not None:
                save_parent(run, repeated.id)
        session().watched, session().parent = run.id, ""
        st.query_params["run"] = run.id
        st.rerun()
    jobs.prepare()  # the run that is being planned will begin at once


st.title("Recover")
opened = watched_run()
if opened is None:
    _plan()
else:
    _watch(opened)
