"""What a planned run will take: counts, disk, memory, time; where each is from, and the button that measures time."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from delt_engine.analysis.cost import (
    MATCHING_COST,
    Plan,
    Rate,
    best_rate,
    largest_batch,
    plan,
    predicted_memory,
    predicted_seconds,
    scaled_to_this_machine,
    targets_seconds,
)
from delt_engine.config import Experiment
from delt_engine.config.command_line import option_words
from delt_engine.data.catalogue import find_entry
from delt_engine.jobs import tasks
from delt_engine.jobs.measured_rates import known_rates, rate_key
from delt_engine.jobs.prices import Known, scores_price
from delt_engine.jobs.tasks import Task
from delt_engine.patches.coresets import needs_scores
from delt_engine.paths import runs_dir
from delt_engine.runs.store import Run
from pages.shared import cached, errors, live
from pages.shared.controls import button
from pages.shared.wording import count, duration, plain, plural

_UNKNOWN = "Not known yet: measure it here, or see it after the first run."
_RUNS_READ = 200


@dataclass(frozen=True)
class Expected:
    """How long a run may take, and where that is from; no seconds while nothing was measured."""

    seconds: float | None
    origin: str
    where: str = ""


def num_classes(experiment: Experiment) -> int | None:
    """Return how many classes the run recovers: those chosen, else the dataset's; None for a folder not read yet."""
    if experiment.classes is not None:
        return len(experiment.classes)
    known = find_entry(experiment.dataset) or cached.folder_spec(experiment)
    card = None if known else cached.found_teacher(experiment)
    return known.num_classes if known else card.num_classes if card else None


def classes_of(run: Run) -> int:
    """Return how many classes a run recovers, also while it has not read its data; 1 where nobody knows."""
    return len(run.classes) or num_classes(run.experiment) or 1


def image_size(experiment: Experiment) -> int | None:
    """Return the side of the images in pixels; None for a folder not read yet."""
    known = find_entry(experiment.dataset) or cached.folder_spec(experiment)
    card = None if known else cached.found_teacher(experiment)
    return experiment.image_size or (known.image_size if known else card.image_size if card else None)


def planned(experiment: Experiment) -> Plan:
    """Return what the run takes, as `delt cost` counts it; of one class while their number is unknown."""
    return plan(experiment, num_classes(experiment), image_size(experiment))


def _runs() -> list[Run]:
    return [*cached.runs()[:_RUNS_READ], *cached.examples()]


def _rates() -> list[Rate]:
    return known_rates(_runs())


def memory(experiment: Experiment) -> tuple[float, str] | None:
    """Return the most bytes of memory that the run will need, and the run that this is continued from."""
    card, classes, size = cached.found_teacher(experiment), num_classes(experiment), image_size(experiment)
    if card is None or classes is None or size is None or not experiment.recover.is_optimised:
        return None
    key = rate_key(experiment, classes, card.fingerprint, size)
    found = predicted_memory(_rates(), key)
    if found is None:
        return None
    needed, rate = found
    same = rate.key.batch_size == key.batch_size
    how = "Measured" if same and rate.key == key else "Estimated from what was measured"
    batch = "" if same else f", with {rate.key.batch_size} images in a batch instead of {key.batch_size}"
    whose = "the GPU's memory" if key.device.startswith("cuda") else "the memory of the run's process"
    return needed * 2**20, f"{how} in run {rate.name}{batch}: {whose} at most."


def expected(experiment: Experiment) -> Expected:
    """Return how long a run may take, from the measurement that is nearest to it."""
    classes, card = num_classes(experiment), cached.found_teacher(experiment)
    if classes is None:
        return Expected(None, _UNKNOWN)
    if card is not None:
        key = rate_key(experiment, classes, card.fingerprint, experiment.image_size or card.image_size)
        rates = _rates()
        rate, is_exact = best_rate(rates, key)
        if rate is not None:
            rate, own = scaled_to_this_machine(rate, rates)
            seconds = predicted_seconds(experiment.recover, classes, rate)
            origin = _origin(rate, is_exact, key.batch_size)
            if look := targets_seconds(experiment.recover, _seen(experiment, classes), rate.per_second(key.batch_size)):
                seconds += look
                origin += f" {duration(look)} of it is a look at the training images for the BatchNorm targets, once."
            if own is not None:
                origin += f" Taken at this machine's speed, as its {own.source} {own.name} shows it."
            return Expected(seconds, origin, _where(rate.is_here or own is not None))
    if experiment.recover.is_batch_to_batch:  # other networks and real images take another time
        return Expected(None, _UNKNOWN)
    run = next((run for run in _runs() if _is_like(run, experiment)), None)
    if run is None:
        return Expected(None, _UNKNOWN)
    rate_s = run.record().image_iterations_per_second or 1.0
    origin = f"Estimated: {count(rate_s)} image-iterations/s in run {run.id} on the same dataset, another teacher."
    seconds = experiment.recover.schedule.image_iterations(classes) / rate_s
    seconds += targets_seconds(experiment.recover, _seen(experiment, classes), rate_s)
    return Expected(seconds, origin, _where(run.path.parent == runs_dir()))


def _seen(experiment: Experiment, classes: int) -> int:
    """Return how many training images the classes of a run have, 0 for a folder not read yet."""
    spec = find_entry(experiment.dataset) or cached.folder_spec(experiment)
    return spec.train_size * classes // spec.num_classes if spec else 0


def scores(experiment: Experiment) -> Expected:
    """Return how long the scores of a coreset take the first time, no seconds where a selection needs none."""
    entry, card, size = find_entry(experiment.dataset), cached.found_teacher(experiment), image_size(experiment)
    if not needs_scores(experiment.select) or card is None or size is None:
        return Expected(None, "")
    spec = entry or cached.folder_spec(experiment)
    squeeze = experiment.squeeze.replace(network=card.network, width=card.width)
    known = Known.of(_runs(), experiment.device)
    price = scores_price(experiment.replace(squeeze=squeeze), spec.train_size if spec else 0, size, known)
    select = experiment.select
    what = "One look of the teacher at all training images"
    if select.criterion != "herding":
        networks = plural(select.score_networks, "training")
        what = f"{networks} of the teacher's network on all real images, {plural(select.score_epochs, 'epoch')} each"
    basis = "continued from this machine's newest training" if price.is_measured else "a guess from two processor cores"
    return Expected(price.seconds or None, f"{what}; {basis}. Scores are kept, so it is paid once for a dataset.")


def _origin(rate: Rate, is_exact: bool, images: int) -> str:
    speed = f"{count(rate.per_second(images))} image-iterations/s"
    whose = f"run {rate.name}" if rate.source == "run" else f"the measurement of {rate.name[:16].replace('T', ' ')} UTC"
    if is_exact:
        return f"Measured on this machine in {whose}: {speed}."
    return f"Estimated from {whose} ({_where(rate.is_here)}, batch {rate.key.batch_size}): {speed}."


def _where(is_here: bool) -> str:
    return "on this machine" if is_here else "on the computer that made the example"


def _is_like(run: Run, experiment: Experiment) -> bool:
    if (
        run.status != "finished"
        or run.experiment.recover.is_batch_to_batch
        or not run.record().image_iterations_per_second
    ):
        return False
    return (run.experiment.dataset, run.experiment.image_size) == (experiment.dataset, experiment.image_size)


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
        **({name: getattr(recover, name) for name in MATCHING_COST} if recover.is_batch_to_batch else {}),
    )
    return ["cost", *options]
