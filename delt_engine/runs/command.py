"""The command line that makes a run: the shortest one that says the same, for people and for processes.

Every setting has its flag in :mod:`delt_engine.config`; only what differs from the defaults of the chosen method is
written, so a command reads like what a person would type.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from delt_engine.config import (
    EvaluateConfig,
    Experiment,
    FieldSpec,
    RankConfig,
    RecoverConfig,
    RelabelConfig,
    SelectConfig,
    Settings,
    SqueezeConfig,
    field_specs,
)
from delt_engine.config.methods import SMALL_IMAGES, stage_settings
from delt_engine.data.catalogue import find_entry
from delt_engine.runs.record import Kind, RunOptions
from delt_engine.runs.sources import REAL, find_source

STAGES: dict[str, tuple[str, ...]] = {
    "recover": ("recover", "select", "rank"),
    "squeeze": ("squeeze",),
    "rank": ("rank",),
    "evaluate": ("evaluate",),
    "select": ("select", "recover", "rank"),
}
"""Which stages' settings a command takes as options."""

TEACHER_SETTINGS = ("network", "width", "stem")
"""Settings of ``squeeze`` that every command takes, for checkpoints that do not say what network they are."""

RELABEL_SETTINGS = (
    "recipe",
    "epochs",
    "batch_size",
    "temperature",
    "mix",
    "mix_alpha",
    "rand_augment",
    "min_crop",
    "flip",
    "shuffle_patches",
)
"""Settings of the training that stored labels depend on."""

RUN_OPTIONS: dict[str, tuple[str, ...]] = {
    "recover": ("ranks", "teacher_check", "snapshot_classes", "live_seconds", "checkpoint_seconds"),
    "squeeze": ("ranks", "keep_teacher", "checkpoint_seconds"),
    "rank": ("teacher_check",),
    "evaluate": ("ranks", "teacher_check", "checkpoint_seconds"),
    "relabel": ("ranks",),
}
"""Which of the run options a command takes."""

OPEN = "auto"
"""What is typed for a number that is left open, where the recipe has one."""

STAGE_RECORDS: dict[str, type[Settings]] = {
    "squeeze": SqueezeConfig,
    "rank": RankConfig,
    "select": SelectConfig,
    "recover": RecoverConfig,
    "relabel": RelabelConfig,
    "evaluate": EvaluateConfig,
}


def join_names(names: Iterable[str]) -> str:
    """Return names as one comma-separated text; a name with a comma in it is quoted.

    >>> join_names(["cat", "tench, Tinca tinca"])
    'cat,"tench, Tinca tinca"'
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(list(names))
    return buffer.getvalue()


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated text, as :func:`join_names` writes it.

    >>> split_names('cat, "tench, Tinca tinca"')
    ('cat', 'tench, Tinca tinca')
    """
    rows = list(csv.reader([text], skipinitialspace=True))
    return tuple(name.strip() for name in (rows[0] if rows else []) if name.strip())


def is_open_number(spec: FieldSpec) -> bool:
    """Return whether a setting is a number or left open, which is typed as :data:`OPEN`.

    >>> [spec.name for spec in field_specs(EvaluateConfig) if is_open_number(spec)]
    ['student_width', 'batch_size', 'learning_rate', 'min_crop']
    """
    return spec.may_be_open and spec.kind in ("int", "float")


def image_size_of(dataset: str, image_size: int | None = None) -> int | None:
    """Return the side of a dataset's images in pixels as far as it is known without reading it: not of a folder.

    >>> image_size_of("photos"), image_size_of("photos", 64)
    (32, 64)
    """
    entry = find_entry(dataset)
    return image_size or (entry.image_size if entry else None)


def command_for(
    experiment: Experiment,
    out: str | Path | None = None,
    kind: Kind = "recover",
    options: RunOptions | None = None,
    source: str = "",
) -> list[str]:
    """Return the shortest command line with these settings.

    Args:
        experiment: all settings; those that the command does not use are left aside.
        out: the run's folder; without it the command makes a folder of its own.
        kind: which command.
        options: how the run is worked on.
        source: what an evaluation trains on.

    >>> command_for(Experiment(recover=RecoverConfig.for_method("cda", ipc=4)))
    ['delt', 'recover', '--dataset', 'photos', '--method', 'cda', '--ipc', '4']
    """
    own = Experiment(dataset=experiment.dataset)
    if kind == "evaluate":
        command, own = _evaluate_words(experiment, source, own)
    else:
        command = ["delt", kind, "--dataset", experiment.dataset]
    for stage in STAGES[kind]:
        command += _changed(getattr(experiment, stage), _plain(experiment, kind, stage), **_always(experiment, stage))
    if kind != "squeeze":
        command += _changed(experiment.squeeze, own.squeeze, only=TEACHER_SETTINGS)
    command += _changed(experiment, own)
    command += _option_words(options or RunOptions(), kind)
    return command + (["--out", str(out)] if out is not None else [])


def compare_command(experiment: Experiment, methods: Iterable[str]) -> list[str]:
    """Return the `delt compare` that recovers each method on the experiment's data and trains its students.

    MI, RI and epochs are always written, since what is left out is shortened on the built-in datasets.

    Args:
        experiment: data, teacher and IPC; MI and RI where the method of ``recover`` has them; how students are trained.
        methods: names.
    """
    recover, evaluate = experiment.recover, experiment.evaluate
    command = ["delt", "compare", "--dataset", experiment.dataset, "--methods", ",".join(methods)]
    command += ["--ipc", str(recover.ipc)]
    if recover.iterations:
        command += ["--mi", str(recover.iterations), "--ri", str(recover.round_iterations)]
    command += _changed(evaluate, EvaluateConfig.for_recipe(evaluate.recipe), always=("epochs",))
    command += _changed(experiment.squeeze, SqueezeConfig(), only=TEACHER_SETTINGS)
    return command + list(_changed(experiment, Experiment(dataset=experiment.dataset)))


def relabel_command(experiment: Experiment, out: str | Path, source: str) -> list[str]:
    """Return the `delt relabel` with these settings.

    Args:
        experiment: data, teacher and seed; ``evaluate`` says what is trained with the labels, ``relabel`` their form.
        out: folder of the labels.
        source: what is labelled.
    """
    (_, _, *command), own = _evaluate_words(experiment, source, Experiment(dataset=experiment.dataset))
    plain = EvaluateConfig.for_recipe(experiment.evaluate.recipe)
    command = ["delt", "relabel", *command, *_changed(experiment.evaluate, plain, only=RELABEL_SETTINGS)]
    command += _changed(experiment.relabel, RelabelConfig())
    command += _changed(experiment.squeeze, own.squeeze, only=TEACHER_SETTINGS)
    return [*command, *_changed(experiment, own), "--out", str(out)]


def _evaluate_words(experiment: Experiment, source: str, own: Experiment) -> tuple[list[str], Experiment]:
    """Return the beginning of an evaluation's command, and what it takes for granted.

    Of a run that is there nothing is repeated that it says itself.
    """
    found = find_source(source)
    if found.run is not None:
        return ["delt", "evaluate", source], found.run.experiment
    return ["delt", "evaluate", REAL if found.is_real else source, "--dataset", experiment.dataset], own


def _plain(experiment: Experiment, kind: Kind, stage: str) -> Settings:
    """Return what a stage has when nothing is typed but the method or the recipe."""
    if stage == "recover":
        return RecoverConfig.for_method(experiment.recover.method)
    if stage == "evaluate":
        return EvaluateConfig.for_recipe(experiment.evaluate.recipe)
    if "recover" not in STAGES[kind]:
        return STAGE_RECORDS[stage]()
    size = image_size_of(experiment.dataset, experiment.image_size)
    return STAGE_RECORDS[stage](**stage_settings(experiment.recover.method, size).get(stage, {}))


def _always(experiment: Experiment, stage: str) -> dict[str, tuple[str, ...]]:
    """Return the settings that are written whatever they are: those that hang on the size of a folder's images."""
    is_open = image_size_of(experiment.dataset, experiment.image_size) is None
    by_size = "mosaic" in stage_settings(experiment.recover.method, SMALL_IMAGES + 1).get(stage, {})
    return {"always": ("mosaic",)} if is_open and by_size else {}


def _changed(
    settings: Settings, plain: Settings, only: Collection[str] | None = None, always: Collection[str] = ()
) -> Iterator[str]:
    for spec in field_specs(type(settings)):
        if only is not None and spec.name not in only:
            continue
        value = getattr(settings, spec.name)
        if spec.name in ("method", "recipe") and value != "delt":
            yield from (spec.flag, value)
        elif value != getattr(plain, spec.name) or spec.name in always:
            yield from _words(spec, value)


def _words(spec: FieldSpec, value: Any) -> tuple[str, ...]:
    if spec.kind == "bool":
        return (spec.flag if value else "--no-" + spec.flag.removeprefix("--"),)
    if spec.kind == "texts":
        return (spec.flag, join_names(value))
    if spec.kind == "ints":
        return (spec.flag, ",".join(map(str, value)))
    return (spec.flag, OPEN if value is None else _number(value))


def _number(value: Any) -> str:
    """Return a value as text, a float without digits that say nothing: 0.5, 4, 1e-09."""
    short = f"{value:g}" if isinstance(value, float) else ""
    return short if short and float(short) == value else str(value)


def _option_words(options: RunOptions, kind: Kind) -> Iterator[str]:
    for name, value in options.model_dump(exclude_defaults=True, include=set(RUN_OPTIONS[kind])).items():
        flag = name.replace("_", "-")
        yield from (f"--no-{flag}",) if value is False else (f"--{flag}", _number(value))
