"""``delt recover``, ``delt run`` and ``delt resume``: make the synthetic images of a run, or go on with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.group import STOPPED
from delt_engine.cli.options import (
    output_options,
    read_experiment,
    read_run_options,
    run_options,
    setting_options,
    size_of,
    teacher_options,
)
from delt_engine.cli.output import say, say_json
from delt_engine.cli.progress import Event, display
from delt_engine.config import Experiment
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import RunCancelled
from delt_engine.jobs import ranks
from delt_engine.recovery.batches import plan_batches
from delt_engine.runs.command import STAGES, command_for
from delt_engine.runs.naming import relevant_settings, with_absolute_paths
from delt_engine.runs.record import Kind, RunOptions
from delt_engine.runs.store import Run, check_free, list_runs, new_run_path

OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the run: new, empty, or prepared with the same settings. [default: one among your runs]",
)

PIXELS_A_RANK = 2**20
"""Fewer pixels of a batch than these (21 images of 224 px) are no work for a card of their own; ours, not measured."""

STUDENT_BATCH = 100
"""Images in a step of student training where the recipe decides; the published number at IPC 50."""


@click.command()
@setting_options(["experiment", *STAGES["recover"]])
@teacher_options
@run_options("recover")
@OUT
@output_options
def recover(out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Make the synthetic images of a method: optimised against the teacher in rounds, or taken as they are.

    Patches are ranked by the teacher and selected first; a ranking made before is used again. Stop with Ctrl-C and go
    on with `delt resume`.
    """
    recovered(read_experiment(values), out, read_run_options(values), as_json=as_json, quiet=quiet)


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--ranks",
    "number",
    type=click.IntRange(min=0, max=1024),
    metavar="N",
    help="Processes that go on with it; images do not depend on it. [default: as it was begun]",
)
@output_options
def resume(run: str, number: int | None, as_json: bool, quiet: bool) -> None:
    """Go on with a run that stopped: its folder, or its id among your runs."""
    from delt_engine.pipeline.run import resume_run

    opened = Run.open(run)
    record = opened.record()
    if record.kind in ("recover", "evaluate", "squeeze") and record.status != "finished":
        asked = record.options.ranks if number is None else number
        number = ranks.wanted(asked, record.experiment, lambda: pieces_of(record.experiment, record.kind))
        if number > 1:
            launched(opened, number, ["resume", str(opened.path)], as_json=as_json, quiet=quiet)
            return
    stopped = follow(resume_run(opened), quiet=quiet)
    finish(opened, as_json=as_json, stopped=stopped)


def recovered(experiment: Experiment, out: Path | None, options: RunOptions, *, as_json: bool, quiet: bool) -> None:
    """Make a recover run, work on it, and say the result."""
    from delt_engine.pipeline.run import run_experiment

    again = begun_before(experiment, out)
    path = again.path if again else out if out is not None else new_run_path(experiment)
    inputs = None
    if not (path / "run.json").is_file():
        from delt_engine.pipeline.inputs import load_inputs

        check_free(path)
        inputs = load_inputs(experiment)  # what is wrong with the question is said before a folder is made
    command = command_for(experiment, path, "recover", options)
    number = ranks.wanted(options.ranks, experiment, lambda: pieces_of(experiment))
    if number > 1:
        launched(Run(path), number, command[1:], as_json=as_json, quiet=quiet)
        return
    run = again or Run.create(path, experiment, "recover", command, options)
    stopped = follow(run_experiment(run, inputs), quiet=quiet) if run.record().status != "finished" else None
    finish(run, as_json=as_json, stopped=stopped)


def launched(run: Run, number: int, words: list[str], *, as_json: bool, quiet: bool) -> None:
    """Let several ranks on this machine do a command; the first of them says the result.

    Raises:
        Exit: it failed or was stopped, which was said.
    """
    code = ranks.launch(number, [*words, *flags(as_json=as_json, quiet=quiet)])
    is_stopped = run.status in ("cancelled", "paused") if not run.unreadable else code == 0
    if code or is_stopped:
        raise click.exceptions.Exit(STOPPED if is_stopped else code)


def flags(*, as_json: bool, quiet: bool) -> list[str]:
    """Return the options of the output as they were typed."""
    return [flag for flag, is_on in (("--json", as_json), ("--quiet", quiet)) if is_on]


def pieces_of(experiment: Experiment, kind: Kind = "recover") -> int:
    """Return how many ranks can share a run with gain: by its students, by its batches, or by what is in a batch.

    No images are read, but the size of a folder's: classes of a folder are its folders.
    """
    if kind == "evaluate" and experiment.evaluate.seeds > 1:
        return experiment.evaluate.seeds
    if kind in ("evaluate", "squeeze"):
        batch = experiment.squeeze.batch_size if kind == "squeeze" else experiment.evaluate.batch_size or STUDENT_BATCH
        return max(1, batch * size_of(experiment.dataset, experiment.image_size) ** 2 // PIXELS_A_RANK)
    classes = len(experiment.classes or ())
    entry = find_entry(experiment.dataset)
    if not classes and entry is not None:
        classes = entry.num_classes
    elif not classes:
        root = Path(experiment.dataset).expanduser()
        folder = root / "train" if (root / "train").is_dir() else root
        classes = len([path for path in folder.iterdir() if path.is_dir()]) if folder.is_dir() else 0
    return len(plan_batches(classes, experiment.recover)) if classes and experiment.recover.is_optimised else 1


def begun_before(experiment: Experiment, out: Path | None, kind: Kind = "recover") -> Run | None:
    """Return the run that these ranks began before their launcher started them again; None at the first start."""
    if not ranks.this_rank().restarts:
        return None
    wanted = relevant_settings(with_absolute_paths(experiment), kind)
    found = [Run(out)] if out is not None else list_runs()
    return next(
        (
            run
            for run in found
            if not run.unreadable
            and run.record().kind == kind
            and run.experiment == wanted
            and (out is not None or run.record().status != "finished")
        ),
        None,
    )


def follow(events: Iterator[Event], *, quiet: bool) -> RunCancelled | None:
    """Show the events of a run until it is done; return why it stopped, if it was asked to."""
    try:
        with display(quiet=quiet) as shown:
            for event in events:
                shown.show(event)
    except RunCancelled as stopped:
        return stopped
    return None


def finish(run: Run, *, as_json: bool, stopped: RunCancelled | None) -> None:
    """Say the result of a run, also of one that was stopped.

    Raises:
        RunCancelled: it was stopped.
    """
    result = results(run)
    if as_json:
        say_json(result)
    elif stopped is None:
        say(_sentence(run, result))
    if stopped is not None:
        raise stopped


def results(run: Run) -> dict[str, Any]:
    """Return what ``--json`` prints for a run."""
    record = run.record()
    found: dict[str, Any] = {"run": str(run.path), "kind": record.kind, "status": run.status}
    if record.kind == "recover":
        found |= _recover_results(run)
    else:
        found |= {"seconds": record.seconds, **record.result}
    if record.teacher is not None:
        found["teacher"] = record.teacher.name
        found["teacher_accuracy"] = record.teacher.measured_accuracy
    return found


def _recover_results(run: Run) -> dict[str, Any]:
    record, schedule = run.record(), run.experiment.recover.schedule
    return {
        "method": run.experiment.recover.method,
        "images": len(list((run.path / "images").glob("*/*.png"))),
        "num_rounds": schedule.num_rounds,
        "has_rounds": schedule.has_rounds,
        "is_optimised": run.experiment.recover.is_optimised,
        "image_iterations": record.image_iterations,
        "baseline_image_iterations": schedule.baseline_image_iterations(len(run.classes)),
        "saved_percent": round(schedule.saved_percent, 2),
        "seconds": record.seconds,
        "image_iterations_per_second": record.image_iterations_per_second,
        "first_snapshot_seconds": record.first_snapshot_seconds,
        "device": record.device,
        "memory": record.memory,
        "notes": list(record.notes),
    }


def _sentence(run: Run, result: dict[str, Any]) -> str:
    if result["kind"] == "evaluate":
        return f"{accuracy_words(result)} in {result['seconds']:.1f} s: {run.path}"
    if result["kind"] != "recover":
        return f"{result['kind']} finished in {result['seconds']:.1f} s: {run.path}"
    if not result["is_optimised"]:
        return f"{result['images']:,} images, not optimised, in {result['seconds']:.1f} s: {run.path}"
    rounds = f"{result['num_rounds']} rounds" if result["has_rounds"] else "no rounds"
    rate = result["image_iterations_per_second"] or 0
    return (
        f"{result['images']:,} images, {rounds}, {result['image_iterations']:,} image-iterations "
        f"({result['saved_percent']:g} % saved) in {result['seconds']:.1f} s ({rate:,.0f}/s)"
        f"{memory_words(result['memory'])}: {run.path}"
    )


def memory_words(record: dict[str, Any]) -> str:
    """Return what a run's record says of memory, to go on a line with; nothing of a run that says nothing.

    >>> memory_words({"of": "process", "predicted_mb": 812.3, "measured_mb": 790.0})
    ', peak memory 790 MB of the process (812 MB predicted)'
    """
    if not record:
        return ""
    measured, predicted = f"{record['measured_mb']:,.0f} MB", f"{record['predicted_mb']:,.0f} MB"
    return f", peak memory {measured} of the {record['of']} ({predicted} predicted)"


def accuracy_words(result: dict[str, Any]) -> str:
    """Return what students reached in a line: top-1 of the last and of the best epoch, and by which recipe.

    >>> result = {"source_title": "DELT, IPC 10", "seeds": [0], "top1_last": 41.2, "top1_last_std": 0.0,
    ...     "top1_best": 43.0, "recipe_title": "DELT", "epochs": 60, "is_shortened": True, "student": "resnet18"}
    >>> accuracy_words(result)
    'DELT, IPC 10: top-1 41.2 % (best epoch 43.0 %), resnet18, recipe DELT shortened to 60 epochs'
    """
    spread = f" ± {result['top1_last_std']:.1f} over {len(result['seeds'])} seeds" if len(result["seeds"]) > 1 else ""
    length = f" shortened to {result['epochs']} epochs" if result["is_shortened"] else ""
    best = f"best epoch {result['top1_best']:.1f} %"
    return (
        f"{result['source_title']}: top-1 {result['top1_last']:.1f} %{spread} ({best}), {result['student']}, "
        f"recipe {result['recipe_title']}{length}"
    )
