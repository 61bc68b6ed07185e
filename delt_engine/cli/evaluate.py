"""``delt evaluate`` and ``delt relabel``: train students on images and test them, or write their soft labels first."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delt_engine.cli import STOPPED
from delt_engine.cli.options import (
    given_preset,
    named_students,
    output_options,
    path_option,
    read_run_options,
    read_training,
    run_options,
    setting_options,
    students_option,
    teacher_options,
    typed_settings,
)
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.cli.progress import display
from delt_engine.cli.recover import OUT, completed, finish, flags, made, results
from delt_engine.config import Experiment, RelabelConfig
from delt_engine.errors import ConfigError
from delt_engine.jobs import ranks
from delt_engine.jobs.evaluations import evaluation_experiment, for_students
from delt_engine.runs.command import EVALUATED_DATA, RELABEL_SETTINGS, STAGES, command_for, relabel_command
from delt_engine.runs.events import StageEvent
from delt_engine.runs.record import RunOptions
from delt_engine.runs.sources import Source, asks_for_teacher, find_source
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.tables import Column, shown

if TYPE_CHECKING:
    from delt_engine.pipeline.relabel import RelabelJob

STUDENT_COLUMNS = (
    Column("student", "Student"),
    Column("top1_last", "Top-1, last epoch (%)", 1, "top1_last_std"),
    Column("top1_best", "Top-1, best epoch (%)", 1, "top1_best_std"),
    Column("top5_last", "Top-5 (%)", 1),
    Column("seconds", "Training (s)", 1),
    Column("run", "Run"),
)
"""The table of `delt evaluate --students`."""


@click.command()
@click.argument("source", metavar="SOURCE")
@setting_options(["experiment", *STAGES["evaluate"]], {"experiment": EVALUATED_DATA})
@teacher_options
@preset_option
@run_options("evaluate")
@students_option(
    "Train each of these networks in place of --student, one run each; with --out, as folders in it. One that is "
    "finished is used again."
)
@OUT
@output_options
def evaluate(source: str, students: str | None, out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train students on SOURCE and test them on the real test images.

    SOURCE is a run (its folder or id), a folder with one folder of images a class, or `real` for the whole training
    set of --dataset. A run brings its own dataset, image size, teacher and classes. Stop with Ctrl-C and go on with
    `delt resume`. On a CUDA device the students of several seeds are trained side by side. Several ranks share the
    students; more ranks than students train each together, each rank on its part of every batch.
    """
    found, options = find_source(source), read_run_options(values)
    experiment = read_evaluation(found, values)
    told = preset_told(values, ("evaluate",), silent=as_json or quiet, **known_of(found))
    names = named_students(students, values)
    if names is not None:
        runs = trained(experiment, found, names, out, options, quiet=quiet)
        _say_students([results(run) for run in runs], as_json=as_json)
        return
    from delt_engine.pipeline.inputs import evaluation_inputs

    run, inputs = made(
        experiment, "evaluate", out, options, lambda: evaluation_inputs(experiment, found), source=found.ref
    )
    finish(run, as_json=as_json, stopped=completed(run, inputs, quiet=quiet), told=told)


def trained(
    experiment: Experiment,
    source: Source,
    students: Sequence[str],
    out: Path | None,
    options: RunOptions,
    *,
    quiet: bool,
) -> list[Run]:
    """Return a finished evaluation of each student; those that are there are used again.

    Raises:
        ConfigError: a network that is none, or cannot take these images; before anything is trained.
        RunCancelled: it was stopped; the same command goes on.
    """
    from delt_engine.cli.finished import finished_run
    from delt_engine.pipeline.inputs import evaluation_inputs
    from delt_engine.training.recipe import check_student

    plans = [experiment.replace(evaluate=config) for config in for_students(experiment.evaluate, students)]
    inputs = evaluation_inputs(max(plans, key=lambda plan: asks_for_teacher(plan, source)), source)
    for plan in plans:
        check_student(plan.evaluate, len(inputs.classes), inputs.dataset.spec.image_size)
    made_with = source.run.record().teacher if source.run else inputs.card
    teacher, runs = made_with.fingerprint if made_with else None, []
    for number, plan in enumerate(plans, start=1):

        def say_step(words: str, place: str = f"{plan.evaluate.student} ({number} of {len(plans)})") -> None:
            if not quiet and ranks.this_rank().is_first:
                click.echo(f"{place}: {words}", err=True)

        path = out / plan.evaluate.student if out else None
        known = list_runs(out) if out else None
        how: dict[str, Any] = {"source": source.ref, "path": path, "runs": known, "options": options}
        runs.append(finished_run(plan, "evaluate", inputs, teacher, **how, quiet=quiet, say=say_step))
    return runs


def _say_students(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if not ranks.this_rank().is_first:
        return
    if as_json:
        say_json(found)
        return
    say_table(
        [column.title for column in STUDENT_COLUMNS],
        [[shown({**row, "run": Path(row["run"]).name}, column) for column in STUDENT_COLUMNS] for row in found],
        found[0]["source_title"],
    )


def read_evaluation(source: Source, values: dict[str, Any]) -> Experiment:
    """Make the settings of an evaluation of what was typed.

    Raises:
        ConfigError: a value that is not allowed, or one that the run itself decides.
    """
    typed = typed_settings(values)
    config = read_training(values, **known_of(source))
    changes = dict(typed.get("experiment", {}))
    published = given_preset(values) if source.is_real else None
    if published is not None:
        data = ("dataset", "image_size", "resize")
        changes = {name: getattr(published.experiment, name) for name in data} | changes
    if source.run is None:
        return evaluation_experiment(source, config, squeeze=typed.get("squeeze", {}), **changes)
    if "squeeze" in typed:
        name, value = next(iter(typed["squeeze"].items()))
        raise ConfigError(f"{name}: {value!r} given, but run {source.ref} itself says it.")
    own = source.run.experiment
    changes = {name: value for name, value in changes.items() if value != getattr(own, name)}
    return evaluation_experiment(source, config, **changes)


def known_of(source: Source) -> dict[str, Any]:
    """Return what a run says of what a preset depends on: images per class, and the network of its teacher."""
    if source.run is None:
        return {}
    teacher = source.run.record().teacher
    return {"ipc": source.run.experiment.recover.ipc, "network": teacher.network if teacher else ""}


@click.command()
@click.argument("source", metavar="SOURCE")
@setting_options(["relabel", "evaluate", "experiment"], {"evaluate": RELABEL_SETTINGS, "experiment": EVALUATED_DATA})
@teacher_options
@preset_option
@run_options("relabel")
@path_option("--out", "DIR", "Folder of the labels.")
@click.option("--predict", is_flag=True, help="Say what they would take, and write nothing.")
@click.option("--no-result", is_flag=True, hidden=True, help="Say nothing of the result: for ranks of another command.")
@output_options
@progress_option
def relabel(
    source: str,
    out: Path | None,
    predict: bool,
    no_result: bool,
    as_json: bool,
    quiet: bool,
    progress_json: bool,
    **values: Any,
) -> None:
    """Write the teacher's labels of every image, epoch by epoch, as students will be shown them.

    SOURCE is a run (its folder or id), a folder with one folder of images a class, or `real` for the whole training
    set of --dataset. Stop with Ctrl-C and run the same command again to go on. Several ranks share the epochs.
    """
    if out is None and not predict:
        raise ConfigError("out: nothing given, but labels need a folder; or ask for their size with --predict.")
    found = find_source(source)
    experiment = read_evaluation(found, values)
    experiment = experiment.replace(relabel=RelabelConfig(**typed_settings(values).get("relabel", {})))
    told = preset_told(values, ("relabel", "evaluate"), silent=as_json or quiet, **known_of(found))
    from delt_engine.pipeline.relabel import relabel_job

    if predict or out is None:
        facts = _facts(relabel_job(experiment, found))
    else:
        asked, more = read_run_options(values).ranks, flags(as_json=as_json, quiet=quiet)
        written = labels_written(experiment, found, out, asked, more, quiet=quiet, progress_json=progress_json)
        if written is None or no_result:  # the first of several ranks has said it
            return
        facts = written
        config = experiment.evaluate.replace(labels="stored", label_store=facts["labels"])
        command = command_for(experiment.replace(evaluate=config), kind="evaluate", source=found.ref)
        facts["evaluate"] = shlex.join(command)
    if ranks.this_rank().is_first and as_json:
        say_json({**facts, **told})
    elif ranks.this_rank().is_first:
        _say(facts)


def labels_written(
    experiment: Experiment,
    source: Source,
    out: Path,
    asked: int = 0,
    more: Sequence[str] = (),
    *,
    quiet: bool,
    progress_json: bool = False,
) -> dict[str, Any] | None:
    """Write the labels that are not there yet, or let several ranks on this machine do so.

    Args:
        out: folder of the labels.
        asked: how many ranks; 0 for one a card.
        more: options for these ranks, of which the first one says the result.

    Returns:
        What was written; None where several ranks did.

    Raises:
        RunCancelled: it was stopped; whole epochs stay.
        DeltError: it cannot be done.
    """
    from delt_engine.pipeline.relabel import relabel_job, write_labels

    rank = ranks.this_rank()
    rank.check_device(experiment.device)
    number = ranks.wanted(asked, experiment, lambda: experiment.relabel.label_epochs or experiment.evaluate.epochs)
    if number > 1:
        _launch(number, experiment, source, out, [*more, *["--progress-json"] * progress_json])
        return None
    job = relabel_job(experiment, source)
    began, report = time.monotonic(), reporter(progress_json and rank.is_first)
    with display(quiet=quiet or progress_json or not rank.is_first) as shown:

        def said(event: StageEvent) -> None:
            shown.show(event)
            report("labels", event.done, event.total or 0)

        write_labels(job, out, said)
    return {**_facts(job), "labels": str(out.absolute()), "seconds": round(time.monotonic() - began, 3)}


def _launch(number: int, experiment: Experiment, source: Source, out: Path, more: list[str]) -> None:
    """Let several ranks on this machine do the same command; the first of them says the result.

    Raises:
        DeltError: it cannot be done: said once, for ranks that fail are started again and would repeat it.
        Exit: it failed or was stopped, which was said.
    """
    from delt_engine.models.device import pick_device
    from delt_engine.pipeline.relabel import relabel_job

    pick_device(experiment.device)
    relabel_job(experiment.replace(device="cpu"), source).check(out)
    code = ranks.launch(number, [*relabel_command(experiment, out, source.ref)[1:], *more])
    from delt_engine.training.soft_labels import is_complete

    if code == 0 and not is_complete(out):  # ranks that were asked to stop ended well
        code = STOPPED
    if code:
        raise click.exceptions.Exit(code)


def _facts(job: RelabelJob) -> dict[str, Any]:
    facts = job.facts
    size, every = facts.size, replace(facts, form="float16", label_epochs=facts.epochs).size
    return {
        "images": facts.images,
        "classes": facts.num_classes,
        "epochs": facts.epochs,
        "label_epochs": facts.label_epochs,
        "batch_size": facts.config.batch_size,
        "seed": facts.seed,
        "teacher": facts.teacher,
        "teacher_fingerprint": facts.teacher_fingerprint,
        "form": facts.form,
        "bytes": {**asdict(size), "total": size.total},
        "float16_bytes": {**asdict(every), "total": every.total},
        "times_smaller": {part: round(getattr(every, part) / getattr(size, part), 3) for part in ("labels", "total")},
    }


def _say(facts: dict[str, Any]) -> None:
    stored = "every epoch's" if facts["label_epochs"] == facts["epochs"] else f"{facts['label_epochs']:,} epochs of"
    say(f"Labelled by {facts['teacher']}.")
    say(
        f"{facts['images']:,} images, {facts['epochs']:,} epochs, {stored} labels in {facts['form']}: "
        f"{facts['bytes']['total']:,} bytes, where float16 of every epoch takes {facts['float16_bytes']['total']:,}."
    )
    rows = [[part, facts["bytes"][part], facts["float16_bytes"][part]] for part in facts["bytes"]]
    say_table(("part", "bytes", "as float16 of every epoch"), rows)
    if "labels" in facts:
        say(f"{facts['seconds']:.1f} s: {facts['labels']}")
        say(f"Train on them with: {facts['evaluate']}")
