"""``delt run``: a whole experiment from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.evaluate import labels_written
from delt_engine.cli.finished import finished_run, teacher_fingerprint
from delt_engine.cli.options import output_options, size_of
from delt_engine.cli.output import say, say_json
from delt_engine.cli.recover import OUT, flags, recovered, results, sentence
from delt_engine.cli.squeeze import squeezed
from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.errors import CheckpointError, ConfigError, RunCancelled
from delt_engine.jobs import ranks
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.jobs.label_stores import new_store
from delt_engine.paths import expanded
from delt_engine.runs.record import RunOptions
from delt_engine.runs.sources import Source, find_source
from delt_engine.runs.store import Run, check_free, list_runs

_LATER = "labels"
"""Stands for a store of labels that is written on the way."""


@click.command("run")
@click.argument("experiment", type=click.Path(path_type=Path))
@OUT
@output_options
def run_file(experiment: Path, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Do a whole experiment as a YAML or JSON file says.

    A teacher is squeezed first where there is none for the dataset yet. Students are trained where the file has an
    `evaluate` section; on stored labels where it has a `relabel` section as well, or asks for them. With one of these
    sections, what the same file made before is used again: stop with Ctrl-C and type the same command again. With --out
    DIR the labels go to DIR-labels and the students to DIR-students.
    """
    plan = _read(experiment)
    if out is not None and not (out / "run.json").is_file():
        check_free(out)
    if plan.experiment.teacher == "auto" and not ranks.first(lambda: _has_teacher(plan.experiment)):
        squeezed(plan.experiment, None, RunOptions(), quiet=quiet)
    if not (plan.is_storing or plan.is_training):
        recovered(plan.experiment, out, RunOptions(), as_json=as_json, quiet=quiet)
        return
    try:
        found = _done(plan, out, quiet=quiet, as_json=as_json)
    except RunCancelled as stopped:
        raise RunCancelled(f"{stopped} The same `delt run` goes on as well.") from None
    if as_json and ranks.this_rank().is_first:
        say_json(found)


@dataclass(frozen=True)
class _Plan:
    """What a file asks for besides the recovery."""

    experiment: Experiment
    is_storing: bool
    is_training: bool


def _read(path: Path) -> _Plan:
    """Read a file; labels that it leaves open are stored where it has a relabel section.

    Raises:
        ConfigError: what stands there is not allowed.
    """
    values = Experiment.values_in(path)
    is_storing, is_training = "relabel" in values, "evaluate" in values
    for stage in ("relabel", "evaluate"):
        if values.get(stage, {}) is None:  # a section without a line
            values[stage] = {}
    evaluate: Any = values.get("evaluate", {})
    if isinstance(evaluate, Mapping):
        is_hard = EvaluateConfig.for_recipe(str(evaluate.get("recipe", "delt"))).labels == "hard"
        labels = evaluate.get("labels", "stored" if is_storing and not is_hard else None)
        is_named = bool(evaluate.get("label_store"))
        is_storing = is_storing or (labels == "stored" and not is_named)
        if labels == "stored":
            values["evaluate"] = {"label_store": _LATER, **evaluate, "labels": labels}
    plan = _Plan(Experiment.from_mapping(values, size_of), is_storing, is_training)
    if is_storing and plan.experiment.evaluate.labels == "hard":
        raise ConfigError(
            "relabel: given with hard labels, but a hard label is the class itself; leave the section out, or train "
            "on soft labels."
        )
    return plan


def _done(plan: _Plan, out: Path | None, *, quiet: bool, as_json: bool) -> dict[str, Any]:
    """Recover, store labels and train students, as far as it is asked for and not done yet; return what was found."""
    from delt_engine.pipeline.inputs import evaluation_inputs, load_inputs

    experiment, config = plan.experiment, plan.experiment.evaluate
    inputs = load_inputs(experiment)
    teacher = teacher_fingerprint(experiment, inputs)
    run = finished_run(experiment, "recover", inputs, teacher, **_places(out), ranks_asked=0, quiet=quiet)
    found = _told(run, as_json=as_json)
    source = find_source(run.path)
    own = evaluation_experiment(source, config, seed=experiment.seed, device=experiment.device)
    own = own.replace(relabel=experiment.relabel)
    if plan.is_storing:
        store = _store(own, source, out)
        more = [*flags(as_json=False, quiet=True), "--no-result"]
        labels_written(own, source, store, more=more, quiet=quiet)
        found["labels"] = str(store.absolute())
        if not as_json and ranks.this_rank().is_first:
            say(f"labels: {store}")
        if config.labels == "stored":
            own = own.replace(evaluate=config.replace(label_store=found["labels"]))
    if plan.is_training:
        students = _places(None if out is None else out.with_name(f"{out.name}-students"))
        inputs = evaluation_inputs(own, source)
        trained = finished_run(
            own, "evaluate", inputs, teacher, source=source.ref, **students, ranks_asked=0, quiet=quiet
        )
        found["evaluate"] = _told(trained, as_json=as_json)
    return found


def _places(out: Path | None) -> dict[str, Any]:
    """Return where a run is looked for, and where a new one goes."""
    if out is None:
        return {"path": None, "runs": list_runs()}
    return {"path": out, "runs": [Run(out)] if (out / "run.json").is_file() else []}


def _store(experiment: Experiment, source: Source, out: Path | None) -> Path:
    """Return the folder of the labels: the one that is named, one beside the run, or the one that the app takes."""
    named = experiment.evaluate.label_store
    if named not in ("", _LATER):
        return expanded(named)
    return new_store(experiment, source) if out is None else out.with_name(f"{out.name}-labels")


def _told(run: Run, *, as_json: bool) -> dict[str, Any]:
    found = results(run)
    if not as_json and ranks.this_rank().is_first:
        say(sentence(run, found))
    return found


def _has_teacher(experiment: Experiment) -> bool:
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.models.card import find_teacher

    spec = load_dataset(experiment.dataset, experiment.image_size, resize=experiment.resize).spec
    try:
        find_teacher("auto", spec.name, spec.image_size, spec.class_names)
    except CheckpointError:
        return False
    return True
