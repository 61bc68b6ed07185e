"""``delt run``: a whole experiment from a file."""

from __future__ import annotations

from pathlib import Path

import click

from delt_engine.cli.options import output_options, size_of
from delt_engine.cli.recover import OUT, recovered
from delt_engine.cli.squeeze import squeezed
from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError
from delt_engine.jobs import ranks
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import check_free


@click.command("run")
@click.argument("experiment", type=click.Path(path_type=Path))
@OUT
@output_options
def run_file(experiment: Path, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Do a whole experiment as a YAML or JSON file says.

    A teacher is squeezed first where there is none for the dataset yet.
    """
    settings = Experiment.read(experiment, size_of)
    if out is not None and not (out / "run.json").is_file():
        check_free(out)
    if settings.teacher == "auto" and not ranks.first(lambda: _has_teacher(settings)):
        squeezed(settings, None, RunOptions(), quiet=quiet)
    recovered(settings, out, RunOptions(), as_json=as_json, quiet=quiet)


def _has_teacher(experiment: Experiment) -> bool:
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.models.card import find_teacher

    spec = load_dataset(experiment.dataset, experiment.image_size).spec
    try:
        find_teacher("auto", spec.name, spec.image_size, spec.class_names)
    except CheckpointError:
        return False
    return True
