"""The button that measures how fast this device is with the planned settings, as a process."""

from __future__ import annotations

import streamlit as st

from delt_engine.analysis.cost import largest_batch
from delt_engine.config import Experiment
from delt_engine.config.command_line import option_words
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Progress, Task
from pages.shared import errors, live
from pages.shared.recover.cost import expected, num_classes
from pages.shared.wording import plain


def measuring(experiment: Experiment) -> Task:
    """Return the task that measures this device with these settings, whether it was started or not."""
    batch = largest_batch(experiment.recover, num_classes(experiment) or 1)
    return tasks.task(
        "measure", experiment.dataset, experiment.image_size, experiment.teacher, experiment.device, batch
    )


def draw(experiment: Experiment) -> None:
    """Draw where the time is from and the button that measures it; looks again while that goes on."""
    work = measuring(experiment)
    live.follow(lambda: work.is_running, lambda: _measure(experiment, work))


def _measure(experiment: Experiment, work: Task) -> None:
    time = expected(experiment)
    words, action = st.columns([2, 1], vertical_alignment="center")
    told = work.progress() if work.is_running else None
    words.caption(f"Time: {plain(_doing(told))}" if work.is_running else f"Time: {plain(time.origin)}")
    action.button(
        "Measuring…" if work.is_running else "Measure",
        key="recover/measure",
        icon=":material/speed:",
        on_click=_start,
        args=(experiment,),
        disabled=work.is_running,
        width="stretch",
        help="Runs the loop for some seconds on this device and keeps its speed.",
    )
    if work.error:
        errors.show(work.error)
    errors.show_kept("measure")


def _doing(told: Progress | None) -> str:
    if told is None:
        return "the measurement starts."
    what = "measuring the loop" if told.what == "measure" else f"reading {told.what}"
    return f"{what}, {told.done} of {told.total}."


def _start(experiment: Experiment) -> None:
    errors.attempt("measure", lambda: tasks.start(measuring(experiment), _words(experiment)))


def _words(experiment: Experiment) -> list[str]:
    """Return the command that measures; of the settings only those that change the time are named."""
    recover = experiment.recover
    return [
        "cost",
        *option_words(
            measure=True,
            dataset=experiment.dataset,
            method=recover.method,
            ipc=recover.ipc,
            batch_size=recover.batch_size,
            batching=recover.batching,
            teacher=experiment.teacher,
            device=experiment.device,
            image_size=experiment.image_size,
            mi=recover.iterations,
            ri=recover.round_iterations,
        ),
    ]
