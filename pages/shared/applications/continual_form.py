"""Start continual learning: which images are the memory, in how many steps and orders, and how students are trained."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import EvaluateConfig
from delt_engine.config.continual import ContinualConfig
from delt_engine.jobs import tasks
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.runs.command import continual_command
from delt_engine.runs.sources import find_source
from pages.shared import controls, errors
from pages.shared.applications import task

PAGE = "applications/continual"
_TRAINING = ("student", "student_width", "batch_size", "learning_rate", "temperature", "mix")
EPOCHS = 30
"""Epochs that the form begins with: five steps of a hundred images then take about a minute on two cores."""


def work() -> tasks.Task:
    """Return the work that is going on or was last started from the app: one at a time."""
    return tasks.task("continual")


def draw() -> None:
    """Draw the form, or how far the work is."""
    now = work()
    if task.is_busy(now, PAGE, "Steps that are finished are kept, and the same settings go on."):
        return
    runs = task.whole_runs()
    chosen = task.sources(runs, "Images as the memory", PAGE)
    controls.forget_refused(PAGE)
    data = [found for key in chosen or list(runs)[:1] if (found := runs[key].record().dataset)]
    plain = ContinualConfig()
    plain = plain.replace(steps=min([plain.steps, *(len(one.class_names) for one in data)]))
    with st.grid(5, min_column_width=130, vertical_alignment="bottom"):
        values = controls.settings(plain, ("steps", "orders"), PAGE, compact=True)
        evaluate = controls.settings(EvaluateConfig(epochs=EPOCHS), ("epochs",), PAGE, compact=True)
        values |= controls.settings(plain, ("labels",), PAGE, compact=True)
        has_random = st.toggle(
            "Random real as well", value=True, key=f"{PAGE}/random_real", help="As many random real images a class."
        )
    with st.expander("More settings of the students", key=f"{PAGE}/more"):
        evaluate |= controls.settings_grid(EvaluateConfig(), _TRAINING, PAGE)
    with errors.shown():
        config, training = ContinualConfig(**values), EvaluateConfig(**evaluate)
        for one in data:
            config.check_steps(len(one.class_names), one.title)
        words: list[str] = []
        if runs:
            names = chosen or list(runs)[:1]
            experiment = evaluation_experiment(find_source(names[0]), config.trained(training))
            words = continual_command(experiment, config, *names, random_real=has_random)
        task.start("Learn step by step", "stairs", PAGE, now, words, can_start=bool(chosen))
