"""Batch to batch beside batch to global: what each matches, the same patches under both, their time and memory.

The runs are made on this machine when the reader asks for them, so their numbers are this machine's.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.errors import DeltError
from delt_engine.jobs import start as jobs
from delt_engine.jobs.prices import Known, Price, recovery_price
from delt_engine.lab import batch_lesson as lesson
from delt_engine.runs.command import command_for
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, live
from pages.shared.accuracy.comparison import made
from pages.shared.controls import button
from pages.shared.lab.matching_picture import TO_BATCH, TO_GLOBAL
from pages.shared.lab.predict import methods_grid
from pages.shared.runs.progress import progress
from pages.shared.wording import count, duration, plain, plural, sentence

_SETTINGS = (
    f"{lesson.IPC} images a class of {', '.join(lesson.CLASSES)}, {lesson.ITERATIONS} iterations, "
    f"{lesson.REAL_BATCH} real images a class and iteration for DM and DC"
)


def draw() -> None:
    """Draw both mechanisms, each as a picture with its words, and the runs or the button that makes them."""
    for column, picture, words in zip(
        st.columns(2), (TO_BATCH, TO_GLOBAL), (lesson.TO_BATCH, lesson.TO_GLOBAL), strict=True
    ):
        column.image(picture, width="stretch")
        column.markdown(words)
    experiments = {method: lesson.lesson_experiment(method) for method in lesson.METHODS}
    live.follow(lambda: any(run.is_active for run in _runs(experiments).values()), lambda: _results(experiments))
    st.markdown(f"**Why not for 1,000 classes at 224 px?** {lesson.why_not_large()}")


def _runs(experiments: Mapping[str, Experiment]) -> dict[str, Run]:
    """Return the runs that are made, or on their way, by method."""
    found = {method: made(experiment) for method, experiment in experiments.items()}
    return {method: run for method, run in found.items() if run is not None}


def _results(experiments: Mapping[str, Experiment]) -> None:
    runs = _runs(experiments)
    finished = {method: run for method, run in runs.items() if run.status == "finished"}
    missing = {method: experiments[method] for method in experiments if method not in runs}
    for method, run in runs.items():
        if method not in finished:
            now = progress(run)
            st.progress(now.fraction, text=f"{METHOD_TITLES[method]}: {plain(sentence(now.text))}")
    if missing:
        _offer(missing)
    if finished:
        _side_by_side(finished)


def _offer(missing: Mapping[str, Experiment]) -> None:
    """Draw the button that makes what is missing, with its price and the commands."""
    price = _price(missing)
    basis = "from what was measured here" if price.is_measured else "guessed, for not all was measured here"
    if button(f"Make {plural(len(missing), 'run')} here", "play_arrow", "lab/batches", changes=True, type="primary"):
        with errors.shown():
            for experiment in missing.values():
                jobs.start(experiment)
            st.rerun()
    st.caption(
        f"About {duration(price.seconds)} of work, {basis}; each run also takes some seconds to start, and its patches "
        f"are ranked once. {_SETTINGS}."
    )
    with st.expander("The same on the command line"):
        for experiment in missing.values():
            controls.command(command_for(experiment))


def _price(experiments: Mapping[str, Experiment]) -> Price:
    known, total = Known.of([*cached.runs(), *cached.examples()]), Price()
    for experiment in experiments.values():
        size, teacher = cached.dataset_of(experiment).spec.image_size, ""
        try:
            teacher = cached.planned_teacher(experiment).fingerprint
        except DeltError as error:
            errors.show(error)
        total += recovery_price(experiment, len(lesson.CLASSES), size, teacher, known)
    return total


def _side_by_side(runs: Mapping[str, Run]) -> None:
    """Draw the images of a class by each method under one slider, and what each run took."""
    names = {name: name for name in lesson.CLASSES}
    class_name = controls.choice("Class", names, "lab/batch_class", default=lesson.CLASSES[0], segmented=True)
    methods_grid(list(runs.values()), class_name, "lab/batch_images")
    controls.table([_row(method, run) for method, run in runs.items()])
    device = next(iter(runs.values())).record().device_name or "this machine"
    st.caption(
        f"Measured in runs {', '.join(run.id for run in runs.values())} on {plain(device)}: the loop's time by "
        "image-iteration, and how far its peak of memory lies above what was in use before. The teacher is "
        f"{_teacher(runs)}, the networks of DM and DC are ConvNet-3; {_SETTINGS}."
    )


def _teacher(runs: Mapping[str, Run]) -> str:
    record = next(iter(runs.values())).record().teacher
    return plain(f"{record.name} ({record.network})") if record else "named by its run"


def _row(method: str, run: Run) -> dict[str, str]:
    record, config = run.record(), run.experiment.recover
    rate, memory = record.image_iterations_per_second, record.memory.get("loop_mb")
    return {
        "Method": METHOD_TITLES[method],
        "What is matched": lesson.MATCHED[method],
        "Real images an iteration": count(lesson.real_images(config, len(run.classes))),
        "Time an image-iteration": f"{1000 / rate:,.1f} ms" if rate else "–",
        "Peak memory of the loop": f"{memory:,.0f} MB" if memory is not None else "–",
    }
