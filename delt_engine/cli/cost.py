"""``delt cost``: what a recovery would cost before it runs; only ``--measure`` computes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import click

from delt_engine.analysis.cost import (
    MATCHING_COST,
    Plan,
    formula_cost,
    plan,
    predicted_memory,
    predicted_seconds,
    targets_seconds,
)
from delt_engine.analysis.mi_curves import accuracy_at, sentence
from delt_engine.cli.options import count_option, output_options, read_experiment, setting_options, teacher_options
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.config import Experiment
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import CheckpointError, ConfigError
from delt_engine.jobs.measured_rates import known_rates, rate_key
from delt_engine.jobs.prices import Known, scores_price
from delt_engine.models.card import find_teacher, read_card
from delt_engine.papers.presets import PRESETS
from delt_engine.patches.coresets import needs_scores
from delt_engine.recovery.batches import plan_batches
from delt_engine.runs.command import image_size_of
from delt_engine.runs.record import NO_ROUNDS
from delt_engine.runs.store import list_runs
from delt_engine.runs.titles import example_runs
from delt_engine.threads import set_thread_waiting

COST_SETTINGS = (
    *("method", "ipc", "iterations", "round_iterations", "early_late", "batching", "batch_size", "bn_targets"),
    *MATCHING_COST,
)


@click.command()
@click.option("--classes", type=int, metavar="N", help="Number of classes. [default: as the dataset has]")
@click.option("--dataset", metavar="TEXT", help="Take the number of classes from a dataset. [default: cifar10-mini]")
@click.option(
    "--measure",
    "is_measured",
    is_flag=True,
    help="Run the loop for some seconds here, keep its speed, and predict the time from it.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="X",
    help="Predict the time from X image-iterations/s of one rank, as `delt bench recover` or a finished run "
    "tells them.",
)
@count_option("--ranks", text="GPUs that share the batches, for the time.", default=1)
@setting_options(
    ["recover", "experiment"], {"recover": COST_SETTINGS, "experiment": ("image_size", "teacher", "device")}
)
@teacher_options
@preset_option
@progress_option
@output_options
def cost(
    classes: int | None,
    dataset: str | None,
    is_measured: bool,
    rate: float | None,
    ranks: int,
    as_json: bool,
    **values: Any,
) -> None:
    """Say what a recovery costs: image-iterations, what EarlyLate saves, the disk, with --measure or --rate the time.

    Settings that do not change the counts, such as the teacher, matter to --measure only.
    """
    if rate is not None and is_measured:
        raise ConfigError(f"rate: {rate:g} given together with --measure, but one of them says it.")
    experiment = read_experiment({**values, "experiment__dataset": dataset})
    used = (*COST_SETTINGS, "dataset", "image_size", "teacher")
    told = preset_told(values, ("experiment", "recover"), silent=as_json or values["quiet"], only=used)
    named = experiment.dataset if values["preset"] in PRESETS else dataset or ""
    size, spec, scores = image_size_of(named, experiment.image_size), None, None
    if classes is None:
        from delt_engine.data.catalogue import load_dataset

        entry = find_entry(experiment.dataset)
        spec = entry if entry and entry.num_classes else load_dataset(experiment.dataset, experiment.image_size).spec
        classes, size = spec.num_classes or 0, experiment.image_size or spec.image_size
        scores = _scores_seconds(experiment, size)
    elif dataset is not None:
        raise ConfigError(f"classes: {classes} given together with dataset {dataset!r}, but one of them says it.")
    if classes < 1:
        raise ConfigError(f"classes: {classes} given, but it must be at least 1.")
    result = counts(experiment.recover.schedule, classes)
    if is_measured:
        result |= _measured(experiment, classes, reporter(values["progress_json"]))
        rate = result["image_iterations"] / result["seconds"] if result["seconds"] else None
    planned = plan(experiment, classes, size)
    result |= _room(planned) | {"memory_mb": _memory_mb(experiment, planned)}
    result["scores_seconds"], result["targets_seconds"] = scores, None
    if rate and spec and spec.train_size:
        result["targets_seconds"] = round(targets_seconds(experiment.recover, spec.train_size, rate), 1)
    result["accuracy"] = None
    if experiment.recover.is_optimised:
        result["accuracy"] = accuracy_at(experiment.recover.method, experiment.recover.iterations, experiment.dataset)
    result |= {"ranks": ranks, "hours": _hours_on(experiment, classes, rate, ranks)}
    if as_json:
        say_json({**result, **told})
        return
    say(
        f"{result['images']:,} images: {result['image_iterations']:,} image-iterations instead of "
        f"{result['baseline_image_iterations']:,}, {result['saved_percent']:g} % saved."
    )
    if result["has_rounds"]:
        say(f"{result['formula']}.")
        columns = ("round", "join", "joined", "iterations")
        say_table(columns, [[row[column] for column in columns] for row in result["rounds"]], "Images of one class")
    if is_measured:
        say(
            f"About {result['seconds']:,.0f} s on {result['device_name']}, measured now: "
            f"{result['image_iterations_per_second']:,.0f} image-iterations/s with {result['batch_images']} images."
        )
    if result["hours"] is not None:
        say(f"{time_words(result['hours'])} on {ranks:,} rank{'s' if ranks > 1 else ''} at {rate:,.0f} a second each.")
    if result["scores_seconds"]:
        say(f"Scores of the training images, once for a dataset: about {time_words(result['scores_seconds'] / 3600)}.")
    if result["targets_seconds"]:
        look = time_words(result["targets_seconds"] / 3600)
        say(f"BatchNorm targets: one look at the training images, once for a dataset and teacher, about {look} more.")
    if result["bytes"] is not None:
        least, more = size_words(result["bytes_without_rounds"]), size_words(result["checkpoint_bytes"])
        say(
            f"Disk at {result['image_size']} px: {size_words(result['bytes'])}, or {least} without pictures of the "
            f"rounds (--snapshot-classes 0); while it runs {more} more a rank."
        )
    labels = size_words(result["label_bytes"])
    say(f"Soft labels, where they are stored for {result['label_epochs']:,} epochs: {labels}.")
    if result["memory_mb"] is not None:
        say(f"Memory at most: about {size_words(result['memory_mb'] * 2**20)}, as a run with this teacher needed here.")
    for note in result["notes"]:
        say(note)
    if result["accuracy"] is not None:
        say(sentence(experiment.recover.method, result["accuracy"]))


def _measured(experiment: Experiment, num_classes: int, report: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Measure this device with these settings, and return what ``--json`` prints of it."""
    set_thread_waiting()  # as runs have it; read when torch is loaded
    from delt_engine.pipeline.measure_rate import measure

    rate = measure(experiment, report)
    images = rate.key.batch_size
    return {
        "seconds": round(predicted_seconds(experiment.recover, num_classes, rate), 3),
        "image_iterations_per_second": round(rate.per_second(images), 3),
        "batch_images": images,
        "seconds_per_iteration": {"fixed": rate.fixed_s, "per_image": rate.per_image_s},
        "device": rate.key.device,
        "device_name": rate.device_name,
        "measured": rate.name,
    }


def _room(planned: Plan) -> dict[str, Any]:
    """Return the bytes that a recovery takes, as ``--json`` prints them."""
    names = ("image_size", "bytes", "bytes_without_rounds", "checkpoint_bytes", "label_bytes", "label_epochs")
    return {name: getattr(planned, name) for name in names}


def _hours_on(experiment: Experiment, classes: int, rate: float | None, ranks: int) -> float | None:
    """Return the hours where a rate of image-iterations a second is known.

    A batch is in one rank's hands, so the last batches may leave some ranks idle.
    """
    config = experiment.recover
    if rate is None or not config.is_optimised:
        return None
    batches = len(plan_batches(classes, config))
    return config.schedule.image_iterations(classes) / batches * -(-batches // ranks) / rate / 3600


def _scores_seconds(experiment: Experiment, size: int | None) -> float | None:
    """Return how long the scores of a coreset take the first time; None where there are none or nothing is known."""
    entry = find_entry(experiment.dataset)
    if not needs_scores(experiment.select) or entry is None or not entry.train_size or size is None:
        return None
    with contextlib.suppress(CheckpointError):
        card = read_card(find_teacher(experiment.teacher, experiment.dataset, size))
        squeeze = experiment.squeeze.replace(network=card.network, width=card.width)
        experiment = experiment.replace(squeeze=squeeze)
    known = Known.of([*list_runs(), *example_runs()], experiment.device)
    return round(scores_price(experiment, entry.train_size, size, known).seconds, 1)


def _memory_mb(experiment: Experiment, planned: Plan) -> float | None:
    """Return the peak memory in MB, continued from a run with the same teacher; None without one."""
    try:
        card = read_card(find_teacher(experiment.teacher, experiment.dataset, planned.image_size))
    except CheckpointError:
        return None
    if planned.classes is None or planned.image_size is None:
        return None
    key = rate_key(experiment, planned.classes, card.fingerprint, planned.image_size)
    found = predicted_memory(known_rates([*list_runs(), *example_runs()]), key)
    return round(found[0], 1) if found else None


def time_words(hours: float) -> str:
    """Return a time in the unit that suits it.

    >>> time_words(0.002), time_words(7.25), time_words(700)
    ('7 s', '7.2 h', '700 h (29 days)')
    """
    if hours < 1:
        return f"{3600 * hours:,.0f} s"
    return f"{hours:,.1f} h" if hours < 48 else f"{hours:,.0f} h ({hours / 24:,.0f} days)"


def size_words(count: int) -> str:
    """Return a size in the unit that suits it.

    >>> size_words(12_000_000), size_words(7_400_000_000)
    ('12 MB', '7.4 GB')
    """
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def formula_words(schedule: EarlyLateSchedule) -> str:
    """Return what DELT's formula says of a class, and why the count is another one.

    >>> formula_words(EarlyLateSchedule(8, 4000, 500))
    'DELT Sec. 4.4, N x T - j(j-1)/2 x RI with j = 8: 18,000 a class, as counted'
    """
    cost, rounds = formula_cost(schedule), schedule.num_rounds
    words = f"DELT Sec. 4.4, N x T - j(j-1)/2 x RI with j = {rounds:,}: {cost.formula:,.0f} a class"
    if cost.is_exact:
        return f"{words}, as counted"
    return f"{words}, counted {cost.counted:,}, since {rounds:,} rounds do not divide IPC {schedule.ipc:,}"


def counts(schedule: EarlyLateSchedule, classes: int) -> dict[str, Any]:
    """Return the iterations that recovering ``classes`` classes takes, as ``--json`` prints them."""
    notes = []
    if not schedule.iterations:
        notes.append("Nothing is optimised: the images are the selected patches.")
    elif schedule.ipc == 1:
        notes.append(NO_ROUNDS)
    elif not schedule.early_late:
        notes.append("EarlyLate is off: every image joins in round 1.")
    same = ("ipc", "iterations", "round_iterations", "num_rounds", "has_rounds")
    return {
        "classes": classes,
        **{name: getattr(schedule, name) for name in same},
        "images": classes * schedule.ipc,
        "image_iterations": schedule.image_iterations(classes),
        "baseline_image_iterations": schedule.baseline_image_iterations(classes),
        "saved_percent": round(schedule.saved_percent, 2),
        "formula": formula_words(schedule) if schedule.has_rounds else "",
        "formula_image_iterations": round(formula_cost(schedule).formula * classes),
        "rounds": [
            {
                "round": number,
                "join": schedule.newcomers[number - 1],
                "joined": schedule.joined(number),
                "iterations": schedule.iterations - (number - 1) * schedule.round_iterations,
            }
            for number in range(1, schedule.num_rounds + 1)
        ],
        "notes": notes,
    }
