"""Recover: plan a run, start it, watch its images change round by round."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import start as jobs
from delt_engine.runs.lineage import parent_of
from delt_engine.runs.store import Run
from pages.shared import controls, errors, live
from pages.shared.compare import mi_ri
from pages.shared.controls import button, headline
from pages.shared.recover import form, launch, next_steps, planner, rerun, tweak
from pages.shared.runs import actions, view
from pages.shared.session import session


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


def _watch(run: Run) -> None:
    session().watched = run.id
    st.query_params["run"] = run.id
    with headline("Recover", 1):
        button("Plan another run", "arrow_back", "recover/back", leave)
        if not run.unreadable:
            mi_ri.open_button(run, "recover")
            if run.classes and run.record().kind == "recover" and run.status != "finished":  # then it stands below
                actions.open_button(run, "recover")
    if run.unreadable:
        errors.show(run.unreadable)
        return
    parent = parent_of(run)
    if parent is not None and parent.unreadable:
        parent = None

    def is_active() -> bool:
        return run.is_active or (parent is not None and parent.is_active)

    live.follow(is_active, lambda: view.draw_head(run))
    is_recovery = run.record().kind == "recover"
    if is_recovery and run.status == "finished":
        next_steps.draw(run)
    if is_recovery and run.experiment.recover.is_optimised:
        tweak.draw(run)
    if parent is not None:
        rerun.draw_changes(run, parent)
    live.follow(is_active, lambda: view.draw_images(run, parent))
    live.follow(is_active, lambda: view.draw_curves(run), view.CURVES_S)
    view.settings(run)
    if not run.is_active:
        jobs.prepare()  # a rerun will begin at once; beside one at work it would take its cores


def _plan() -> None:
    st.title("Recover")
    st.write("Images start from real patches, join round by round and are optimised against the frozen teacher.")
    top = st.container()
    left, right = st.columns([5, 7], gap="large")
    with left, errors.shown():
        form.draw_main()
        form.draw_more()
    with top:  # says what the form has changed, so it is drawn after it
        rerun.draw_planned()
    experiment, refused = session().draft, controls.refused(form.PAGE)
    with right:
        is_started = launch.draw(experiment, is_refused=bool(refused))
        if refused:
            st.warning(f"Not taken: {'; '.join(refused)}. The plan is drawn when that is mended.")
        else:
            planner.draw(experiment)
    if is_started:
        with errors.shown():
            run = launch.start(experiment)
        st.query_params["run"] = run.id
        st.rerun()
    jobs.prepare()  # the run that is being planned will begin at once


opened = watched_run()
if opened is None:
    _plan()
else:
    _watch(opened)
