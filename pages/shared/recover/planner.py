"""The plan of a run before it starts: who joins when, what it costs, what EarlyLate saves, how long it may take."""

from __future__ import annotations

import streamlit as st

from delt_engine.analysis import mi_curves
from delt_engine.analysis.cost import Plan
from delt_engine.config import Experiment
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.plots import recovery
from delt_engine.runs.command import command_for
from pages.shared import controls, figure
from pages.shared.recover import cost
from pages.shared.wording import count, duration, plain, short_name, size

_GROUPS_NAMED = 10


def draw(experiment: Experiment) -> None:
    """Draw numbers, lanes, curves, and the command of a planned run."""
    schedule, planned = experiment.recover.schedule, cost.planned(experiment)
    _numbers(experiment, planned)
    if planned.classes is None:
        unread = "counts are of one class until its folder was read, which Data and teachers does."
        st.caption(f"How many classes {plain(short_name(experiment.dataset))} has is not known: {unread}")
    if not schedule.is_still:
        cost.draw_time(experiment)
        _accuracy(experiment)
    st.caption(sentence(experiment))
    if not schedule.is_still:
        _figures(experiment)
    st.caption("The same run from a terminal:")
    controls.command(command_for(experiment))


def _accuracy(experiment: Experiment) -> None:
    """Say what the planned MI costs in accuracy, where the method was measured."""
    recover = experiment.recover
    found = mi_curves.accuracy_at(recover.method, recover.iterations, experiment.dataset)
    if found is not None:
        st.caption(plain(mi_curves.sentence(recover.method, found)))


def _figures(experiment: Experiment) -> None:
    schedule = experiment.recover.schedule
    lanes, curves = st.tabs(["Who joins when", "Learning rate and crops"])
    with lanes:
        figure.plain(recovery.schedule_lanes(schedule), "recover/lanes")
        st.caption(groups(schedule))
    with curves:
        figure.plain(recovery.learning_curves(experiment.recover), "recover/curves")
        st.caption(
            "Both follow the run's iterations: who joins late begins with the small steps and hard crops of "
            "that moment."
            if schedule.has_rounds
            else "The same for every image."
        )


def _numbers(experiment: Experiment, planned: Plan) -> None:
    schedule, each = experiment.recover.schedule, "" if planned.classes else " per class"
    with st.grid(4, min_column_width=118):
        if schedule.is_still:
            st.metric(f"Images{each}", count(planned.images))
            own = cost.scores(experiment)
            what = "" if own.seconds else "; only ranking them takes time"
            st.metric("Iterations", "0", help=f"The selected patches are the images{what}.")
            if own.seconds:
                st.metric("Time for the scores", duration(own.seconds), help=plain(own.origin))
        else:
            _iterations(schedule, planned, each)
            time = cost.expected(experiment)
            st.metric("Time expected", duration(time.seconds) if time.seconds else "–", help=plain(time.origin))
        _room(experiment, planned)


def _iterations(schedule: EarlyLateSchedule, planned: Plan, each: str) -> None:
    total, full = planned.image_iterations, planned.baseline_image_iterations
    whose = f"the images of all {count(planned.classes)} classes" if planned.classes else "the images of one class"
    st.metric("Rounds", schedule.num_rounds, help="MI divided by RI.")
    what = f"Iterations summed over {whose}; from the schedule."
    st.metric(f"Image-iterations{each}", count(total), help=what)
    saved = f"{count(full - total)} image-iterations: {count(total)} against {count(full)} if every image got MI "
    st.metric("Saved", f"{schedule.saved_percent:.1f} %", help=f"{saved}iterations; from the schedule.")


def _room(experiment: Experiment, planned: Plan) -> None:
    """Draw memory, disk and the size of stored labels; what is not known yet is a dash."""
    needed = cost.memory(experiment)
    unknown = "Known after the first run with this teacher, on this machine or an example."
    st.metric("Memory", size(needed[0]) if needed else "–", help=plain(needed[1]) if needed else unknown)
    origin = "Estimated: images, a strip a class and round, events, at the PNG sizes of the shipped example."
    if planned.checkpoint_bytes:
        origin += f" While it runs, {size(planned.checkpoint_bytes)} more for what resume needs."
    st.metric("Disk", size(planned.bytes) if planned.bytes else "–", help=origin)
    epochs = f"Of {count(planned.label_epochs)} epochs: images x epochs x classes x bytes of a number."
    labels = f"{epochs} Only where labels are stored; else the teacher gives them while students train."
    st.metric("Soft labels", size(planned.label_bytes) if planned.label_bytes else "–", help=labels)


def sentence(experiment: Experiment) -> str:
    """Return what EarlyLate does in this plan."""
    schedule = experiment.recover.schedule
    if schedule.is_still:
        return "Not optimised: the images are the selected real patches, as they are."
    if not experiment.recover.early_late:
        return f"All {schedule.ipc} images of a class join in round 1 and get {count(schedule.iterations)} iterations."
    if schedule.ipc == 1:
        return "With one image per class there are no rounds to join in: EarlyLate does nothing and saves nothing."
    if not schedule.has_rounds:
        return "RI equals MI, so there is one round and every image gets all iterations."
    last = schedule.image_iterations_each[-1]
    return (
        f"Early images join in round 1 and get {count(schedule.iterations)} iterations; "
        f"the latest join in round {schedule.start_rounds[-1]} and get {count(last)}."
    )


def groups(schedule: EarlyLateSchedule) -> str:
    """Return the sizes of the groups that join together, with their iterations.

    >>> groups(EarlyLateSchedule(10, 200, 50))
    'Images of a class by round: 3 with 200 iterations, 3 with 150, 2 with 100, 2 with 50.'
    """
    pairs = [(n, schedule.iterations - at * schedule.round_iterations) for at, n in enumerate(schedule.newcomers) if n]
    (first, most), *others = pairs
    words = [f"{first} with {count(most)} iterations", *(f"{n} with {count(each)}" for n, each in others)]
    if len(words) > _GROUPS_NAMED:
        words = [*words[: _GROUPS_NAMED - 2], "…", words[-1]]
    return f"Images of a class by round: {', '.join(words)}."
