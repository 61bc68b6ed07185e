"""MI and RI on a run's own page: move them, see the new plan over the old one, and run it again with one press."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.jobs import start as jobs
from delt_engine.plots import recovery
from delt_engine.runs.lineage import save_parent
from delt_engine.runs.store import Run
from pages.shared import errors, figure
from pages.shared.controls import button
from pages.shared.recover import cost, rounds
from pages.shared.recover.cost import Expected
from pages.shared.runs import actions
from pages.shared.session import session
from pages.shared.wording import count, duration, plain

_PAIR = "recover/tweak/{}"


@st.fragment
def draw(run: Run) -> None:
    """Draw the two sliders, both plans, and the button that starts the new one; itself drawn again by a move only."""
    if st.query_params.get("run") != run.id:
        st.rerun()  # the page is the new run's
    recover = _experiment(run).recover
    with st.container(border=True, key="recover/tweak"):
        left, right = st.columns([5, 7], gap="large")
        with left:
            is_taken = rounds.draw(recover.schedule, run.id, lambda *pair: _take(run, pair))
            same = recover == run.experiment.recover
            with st.container(horizontal=True):
                look = {"type": "primary", "disabled": same or not is_taken}
                what = "Move MI or RI first." if same else "Starts it with these MI and RI; this run stays as it is."
                again = (errors.attempt, "recover/again", repeat, run)
                button("Rerun", "replay", "recover/again", *again, help=what, **look)
                actions.rerun_button(run.experiment, "recover/reuse", run, "Other changes…")
            errors.show_failed("recover/again")
        with right:
            _plan(run, recover.schedule)


def _experiment(run: Run) -> Experiment:
    """Return the run's settings with MI and RI as they were moved here."""
    recover = run.experiment.recover
    pair = st.session_state.get(_PAIR.format(run.id), (recover.iterations, recover.round_iterations))
    return run.experiment.replace(recover=recover.replace(iterations=pair[0], round_iterations=pair[1]))


def _take(run: Run, pair: tuple[int, ...]) -> None:
    st.session_state[_PAIR.format(run.id)] = pair


def repeat(run: Run) -> None:
    """Start the run again with the MI and RI that were chosen, and watch the new one, beside this one."""
    new = jobs.start(_experiment(run))
    save_parent(new, run.id)
    st.session_state.pop(_PAIR.format(run.id), None)
    session().watched = new.id
    st.query_params.from_dict({"run": new.id})


def _plan(run: Run, new: EarlyLateSchedule) -> None:
    old, is_new = run.experiment.recover.schedule, new != run.experiment.recover.schedule
    classes = cost.classes_of(run)
    before, after = _seconds(run), cost.expected(_experiment(run))
    if is_new and before.seconds and run.record().image_iterations_per_second:
        per_image = before.seconds / old.image_iterations(classes)
        after = Expected(per_image * new.image_iterations(classes), f"At the speed of run {run.id}.")
    with st.grid(4, min_column_width=118, gap="small"):
        _pair("Rounds", count(old.num_rounds), count(new.num_rounds), "MI divided by RI.")
        whose = "Summed over the images of all classes of the run; from the schedule."
        totals = (count(each.image_iterations(classes)) for each in (old, new))
        _pair("Image-iterations", *totals, whose)
        saved = "Image-iterations against giving every image MI; from the schedule."
        _pair("Saved", f"{old.saved_percent:.1f} %", f"{new.saved_percent:.1f} %", saved)
        times = tuple(duration(each.seconds) if each.seconds else "–" for each in (before, after if is_new else before))
        _pair("Time", *times, f"{before.origin} {after.origin if is_new else ''}")
    figure.plain(recovery.schedule_lanes(new, ghost=old if is_new else None, height=165), "recover/tweaked")


def _pair(label: str, old: str, new: str, what: str) -> None:
    """Draw a number of the new plan, and the old one's where it differs."""
    change = {"delta": f"was {old}", "delta_color": "off", "delta_arrow": "off"} if old != new else {}
    st.metric(label, new, help=plain(what), **change)


def _seconds(run: Run) -> Expected:
    """Return what the run took, or may take while it is not finished."""
    record = run.record()
    if run.status == "finished":
        return Expected(record.seconds, f"Measured in this run on {record.device_name or record.device}.")
    return cost.expected(run.experiment)
