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
from delt_engine.cli.recover import OUT, completed, finish, made
from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.errors import ConfigError
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.runs.command import STAGES
from delt_engine.runs.sources import Source, find_source


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
    from delt_engine.pipeline.inputs import evaluation_inputs

    run, inputs = made(
        experiment, "evaluate", out, options, lambda: evaluation_inputs(experiment, found), source=found.ref
    )
    finish(run, as_json=as_json, stopped=completed(run, inputs, quiet=quiet))


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
