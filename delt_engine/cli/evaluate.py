"""``delt evaluate``: train students on images and test them on the real test images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from delt_engine.cli.options import (
    output_options,
    read_run_options,
    run_options,
    setting_options,
    teacher_options,
    typed_settings,
)
from delt_engine.cli.recover import OUT, begun_before, finish, follow, launched, pieces_of
from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.errors import ConfigError
from delt_engine.jobs import ranks
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.runs.command import STAGES, command_for
from delt_engine.runs.record import RunOptions
from delt_engine.runs.sources import Source, find_source
from delt_engine.runs.store import Run, check_free, new_run_path


@click.command()
@click.argument("source", metavar="SOURCE")
@setting_options(["experiment", *STAGES["evaluate"]])
@teacher_options
@run_options("evaluate")
@OUT
@output_options
def evaluate(source: str, out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train students on SOURCE and test them on the real test images.

    SOURCE is a run (its folder or id), a folder with one folder of images a class, or `real` for the whole training
    set of --dataset. A run brings its own dataset, image size, teacher and classes. Stop with Ctrl-C and go on with
    `delt resume`. Several ranks share the students; more ranks than students train each together, each rank on its
    part of every batch.
    """
    found, options = find_source(source), read_run_options(values)
    experiment = read_evaluation(found, values)
    number = ranks.wanted(options.ranks, experiment, lambda: pieces_of(experiment, "evaluate"))
    if number > 1:
        path = out if out is not None else new_run_path(experiment, "evaluate")
        command = command_for(experiment, path, "evaluate", options, found.ref)
        launched(Run(path), number, command[1:], as_json=as_json, quiet=quiet)
        return
    run, stopped = evaluated(found, experiment, out, options, quiet=quiet)
    finish(run, as_json=as_json, stopped=stopped)


def read_evaluation(source: Source, values: dict[str, Any]) -> Experiment:
    """Make the settings of an evaluation of what was typed.

    Raises:
        ConfigError: a value that is not allowed, or one that the run itself decides.
    """
    typed = typed_settings(values)
    config = EvaluateConfig.for_recipe(**{"recipe": "delt", **typed.get("evaluate", {})})
    changes = dict(typed.get("experiment", {}))
    if source.run is None:
        return evaluation_experiment(source, config, squeeze=typed.get("squeeze", {}), **changes)
    if "squeeze" in typed:
        name, value = next(iter(typed["squeeze"].items()))
        raise ConfigError(f"{name}: {value!r} given, but run {source.ref} itself says it.")
    own = source.run.experiment
    changes = {name: value for name, value in changes.items() if value != getattr(own, name)}
    return evaluation_experiment(source, config, **changes)


def evaluated(
    source: Source, experiment: Experiment, out: Path | None, options: RunOptions, *, quiet: bool
) -> tuple[Run, Exception | None]:
    """Make an evaluate run and work on it; return it, and why it stopped if it was asked to.

    Raises:
        DeltError: it cannot be done; what is wrong with the question is said before a folder is made.
    """
    from delt_engine.pipeline.run import run_experiment

    again = begun_before(experiment, out, "evaluate")
    if again is not None:
        return again, follow(run_experiment(again), quiet=quiet) if again.record().status != "finished" else None
    path = out if out is not None else new_run_path(experiment, "evaluate")
    inputs = None
    if not (path / "run.json").is_file():
        from delt_engine.pipeline.training_images import evaluation_inputs

        check_free(path)
        inputs = evaluation_inputs(experiment, source)
    command = command_for(experiment, path, "evaluate", options, source.ref)
    run = Run.create(path, experiment, "evaluate", command, options, source.ref)
    return run, follow(run_experiment(run, inputs), quiet=quiet)
