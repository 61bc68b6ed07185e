"""What a planned run will take: time, with where the number is from and the button that measures it; and disk."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from delt_engine.analysis.cost import (
    Rate,
    best_rate,
    checkpoint_bytes,
    largest_batch,
    predicted_bytes,
    predicted_seconds,
)
from delt_engine.config import Experiment
from delt_engine.config.command_line import option_words
from delt_engine.data.catalogue import find_entry
from delt_engine.jobs import tasks
from delt_engine.jobs.measured_rates import known_rates, rate_key
from delt_engine.jobs.tasks import Task
from delt_engine.paths import runs_dir
from delt_engine.runs.store import Run
from pages.shared import cached, errors, live
from pages.shared.controls import button
from pages.shared.wording import count, plain
from pages.shared.wording import size as file_size

_UNKNOWN = "Not known on this machine yet: a run, or a measurement, tells it."
_RUNS_READ = 200


@dataclass(frozen=True)
class Expected:
    """How long a run may take, and where that is from; no seconds while nothing was measured."""

    seconds: float | None
    origin: str
    where: str = ""


def num_classes(experiment: Experiment) -> int | None:
    """Return how many classes the run recovers, None for a folder that is not read yet."""
    if experiment.classes is not None:
        return len(experiment.classes)
    entry, card = find_entry(experiment.dataset), cached.found_teacher(experiment)
    return entry.num_classes if entry else card.num_classes if card else None


def expected(experiment: Experiment) -> Expected:
    """Return how long a run may take, from the measurement that is nearest to it."""
    classes, card = num_classes(experiment), cached.found_teacher(experiment)
    if classes is None:
        return Expected(None, _UNKNOWN)
    runs = [*cached.runs()[:_RUNS_READ], *cached.examples()]
    if card is not None:
        key = rate_key(experiment, classes, card.fingerprint, experiment.image_size or card.image_size)
        rate, is_exact = best_rate(known_rates(runs), key)
        if rate is not None:
            seconds = predicted_seconds(experiment.recover, classes, rate)
            return Expected(seconds, _origin(rate, is_exact, key.batch_size), _where(rate.is_here))
    run = next((run for run in runs if _is_like(run, experiment)), None)
    if run is None:
        return Expected(None, _UNKNOWN)
    rate_s = run.record().image_iterations_per_second or 1.0
    origin = f"Estimated: {count(rate_s)} image-iterations/s in run {run.id} on the same dataset, another teacher."
    seconds = experiment.recover.schedule.image_iterations(classes) / rate_s
    return Expected(seconds, origin, _where(run.path.parent == runs_dir()))


def _origin(rate: Rate, is_exact: bool, images: int) -> str:
    speed = f"{count(rate.per_second(images))} image-iterations/s"
    whose = f"run {rate.name}" if rate.source == "run" else f"the measurement of {rate.name[:16].replace('T', ' ')} UTC"
    if is_exact:
        return f"Measured on this machine in {whose}: {speed}."
    return f"Estimated from {whose} ({_where(rate.is_here)}, batch {rate.key.batch_size}): {speed}."


def _where(is_here: bool) -> str:
    return "on this machine" if is_here else "on the machine of the example"


def _is_like(run: Run, experiment: Experiment) -> bool:
    if run.status != "finished" or not run.record().image_iterations_per_second:
        return False
    return (run.experiment.dataset, run.experiment.image_size) == (experiment.dataset, experiment.image_size)


def disk(experiment: Experiment) -> tuple[float, str] | None:
    """Return the bytes a run will take and how they were counted; None while the number of classes is unknown."""
    classes, entry, card = num_classes(experiment), find_entry(experiment.dataset), cached.found_teacher(experiment)
    size = experiment.image_size or (entry.image_size if entry else card.image_size if card else None)
    if classes is None or size is None:
        return None
    going = checkpoint_bytes(experiment.recover, classes, size)
    origin = (
        "Estimated: images, a strip a class and round, events, at the PNG sizes of the shipped example. "
        f"While it runs, {file_size(going)} more for what resume needs."
    )
    return predicted_bytes(experiment.recover, classes, size), origin


def draw_time(experiment: Experiment) -> None:
    """Draw where the time is from and the button that measures it; looks again while that goes on."""
    batch = largest_batch(experiment.recover, num_classes(experiment) or 1)
    work = tasks.task(
        "measure", experiment.dataset, experiment.image_size, experiment.teacher, experiment.device, batch
    )
    live.follow(lambda: work.is_running, lambda: _measure(experiment, work))


def _measure(experiment: Experiment, work: Task) -> None:
    words, action = st.columns([2, 1], vertical_alignment="center")
    text = expected(experiment).origin
    if work.is_running:
        now = work.progress()
        what = "measuring the loop" if now and now.what == "measure" else f"reading {now.what}" if now else ""
        text = f"{what}, {now.done} of {now.total}." if now else "the measurement starts."
    words.caption(f"Time: {plain(text)}")
    with action:
        button(
            "Measuring…" if work.is_running else "Measure",
            "speed",
            "recover/measure",
            errors.attempt,
            "measure",
            tasks.start,
            work,
            _words(experiment),
            disabled=work.is_running,
            width="stretch",
            help="Runs the loop for some seconds on this device and keeps its speed.",
        )
    errors.show(work.error)
    errors.show_failed("measure")


def _words(experiment: Experiment) -> list[str]:
    """Return the command that measures; of the settings only those that change the time are named."""
    recover = experiment.recover
    options = option_words(
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
    )
    return ["cost", *options]
