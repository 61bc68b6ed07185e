"""``delt run``: a whole experiment from a file, from a paper's preset, or from a file on top of a preset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from delt_engine.analysis.mi_curves import FAST, fast_settings
from delt_engine.cli.evaluate import labels_written
from delt_engine.cli.finished import finished_run, teacher_card
from delt_engine.cli.options import (
    named_network,
    output_options,
    setting_options,
    size_of,
    typed_on_top,
    typed_settings,
)
from delt_engine.cli.output import say, say_json
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.cli.recover import OUT, flags, recovered, results, sentence
from delt_engine.cli.squeeze import squeezed
from delt_engine.config import EvaluateConfig, Experiment, SqueezeConfig
from delt_engine.config.command_line import STAGE_RECORDS
from delt_engine.errors import CheckpointError, ConfigError, RunCancelled
from delt_engine.jobs import ranks
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.jobs.label_stores import new_store
from delt_engine.papers.presets import find_preset
from delt_engine.paths import expanded
from delt_engine.runs.record import RunOptions
from delt_engine.runs.sources import Source, find_source
from delt_engine.runs.store import Run, check_free, list_runs

_LATER = "labels"
"""Stands for a store of labels that is written on the way."""


@click.command("run")
@click.argument("experiment", type=click.Path(path_type=Path), required=False)
@preset_option
@setting_options(
    ["experiment", "recover", "evaluate"],
    {"experiment": ("seed", "device"), "recover": ("ipc",), "evaluate": ("student", "seeds")},
)
@OUT
@output_options
def run_file(
    experiment: Path | None, preset: str | None, out: Path | None, as_json: bool, quiet: bool, **values: Any
) -> None:
    """Do a whole experiment as a YAML or JSON file says, or a paper's preset with what the file says on top.

    A teacher is squeezed first where there is none for the dataset yet. Students are trained with a preset, and where
    the file has an `evaluate` section; on stored labels where it has a `relabel` section as well, or asks for them.
    With one of these sections, what the same file made before is used again: stop with Ctrl-C and type the same command
    again. With --out DIR the labels go to DIR-labels and the students to DIR-students.
    """
    if experiment is None and preset is None:
        raise ConfigError("experiment: nothing given, but it needs a file, or a paper's settings with --preset.")
    plan = _read(experiment, preset, typed_settings(values))
    if out is not None and not (out / "run.json").is_file():
        check_free(out)
    recover, evaluate = plan.experiment.recover, plan.experiment.evaluate
    known = {"preset": preset, "recover__ipc": recover.ipc, "evaluate__student": evaluate.student}
    known |= {"recover__method": recover.method, "squeeze__network": plan.experiment.squeeze.network}
    told = preset_told(known, tuple(STAGE_RECORDS), silent=as_json or quiet)
    for missing in ranks.first(lambda: _missing_teachers(plan.experiment)):
        squeezed(plan.experiment.replace(squeeze=missing), None, RunOptions(), quiet=quiet)
    if not (plan.is_storing or plan.is_training):
        recovered(plan.experiment, out, RunOptions(), as_json=as_json, quiet=quiet)
        return
    try:
        found = _done(plan, out, quiet=quiet, as_json=as_json)
    except RunCancelled as stopped:
        raise type(stopped)(f"{stopped} The same `delt run` goes on as well.") from None
    if as_json and ranks.this_rank().is_first:
        say_json({**found, **told})


@dataclass(frozen=True)
class _Plan:
    """What a file asks for besides the recovery."""

    experiment: Experiment
    is_storing: bool
    is_training: bool


def _read(path: Path | None, preset: str | None, typed: Mapping[str, Mapping[str, Any]]) -> _Plan:
    """Read a file; labels that it leaves open are stored where it has a relabel section.

    Raises:
        ConfigError: what stands there is not allowed.
    """
    values = Experiment.values_in(path) if path is not None else {}
    for stage, own in typed.items():
        where = values if stage == "experiment" else values.setdefault(stage, {})
        where.update(own)
    if preset is not None:
        values = _on_preset(values, preset)
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


def _on_preset(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a paper's experiment as plain values, with those that are given on top."""
    given = {stage: dict(values.get(stage) or {}) for stage in STAGE_RECORDS if stage != "experiment"}
    given["experiment"] = {key: value for key, value in values.items() if key not in given}
    if name == FAST:
        recover = given["recover"]
        return {"evaluate": {}, **values, "recover": {**fast_settings(recover.get("method", "delt")), **recover}}
    axes = given["recover"].get("ipc"), given["evaluate"].get("student", ""), named_network(given)
    whole = typed_on_top(find_preset(name).published(*axes).experiment, given)
    made = json.loads(whole.model_dump_json())
    if "relabel" not in values:
        del made["relabel"]  # labels are stored where that is asked for
    if "labels" not in given["evaluate"]:
        del made["evaluate"]["labels"]
    return made


def _done(plan: _Plan, out: Path | None, *, quiet: bool, as_json: bool) -> dict[str, Any]:
    """Recover, store labels and train students, as far as it is asked for and not done yet; return what was found."""
    from delt_engine.pipeline.inputs import evaluation_inputs, load_inputs

    experiment, config = plan.experiment, plan.experiment.evaluate
    inputs = load_inputs(experiment)
    teacher = teacher_card(experiment, inputs).fingerprint
    run = finished_run(experiment, "recover", inputs, teacher, **_places(out), quiet=quiet, options=RunOptions())
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
            own, "evaluate", inputs, teacher, source=source.ref, **students, quiet=quiet, options=RunOptions()
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


def _missing_teachers(experiment: Experiment) -> list[SqueezeConfig]:
    """Return how the teachers are squeezed that are not there: the one that recovers, and a ResNet-18 that ranks."""
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.models.card import find_teacher

    spec = load_dataset(experiment.dataset, experiment.image_size, resize=experiment.resize).spec
    recovers, ranks_them = experiment.squeeze, experiment.squeeze.replace(network="resnet18")
    missing = []
    for ref, config in ((experiment.teacher, recovers), (experiment.ranker, ranks_them)):
        if ref not in ("auto", config.teacher_name(spec.name, spec.image_size)):
            continue
        try:
            find_teacher(ref, spec.name, spec.image_size, spec.class_names)
        except CheckpointError:
            missing.append(config)
    return missing
