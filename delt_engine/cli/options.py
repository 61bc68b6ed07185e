"""Options of the commands, drawn from the settings: one a field, with its limits, its default and where that is from.

An option that was not typed stays out of the way, so the defaults of the chosen method hold.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from delt_engine.analysis.mi_curves import FAST, fast_preset, fast_settings
from delt_engine.config import DEFAULT_DATASET, EvaluateConfig, Experiment, FieldSpec, Settings, field_specs
from delt_engine.config.command_line import (
    OPEN,
    STAGE_RECORDS,
    TEACHER_SETTINGS,
    flag_words,
    is_open_number,
    split_names,
)
from delt_engine.config.methods import depends_on_size
from delt_engine.errors import CheckpointError, ConfigError
from delt_engine.models.card import find_teacher, read_card
from delt_engine.papers.presets import find_preset
from delt_engine.papers.recipes import PublishedExperiment
from delt_engine.runs.command import RUN_OPTIONS, image_size_of
from delt_engine.runs.record import RunOptions


class _Numbers(click.ParamType):
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers, or refuse what is none."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} given, but whole numbers with commas between them are needed.", param, ctx)


_LEFT_OPEN = object()
"""A number that was typed as ``auto``; None is one that was not typed."""


class _OrOpen(click.ParamType):
    """A number, or ``auto`` for a setting that a rule decides, which is typed where the recipe itself has a number."""

    def __init__(self, number: click.ParamType) -> None:
        self._number, self.name = number, number.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or what stands for one that is left open."""
        if value is _LEFT_OPEN or value == OPEN:
            return _LEFT_OPEN
        return self._number.convert(value, param, ctx)


_TYPES: dict[str, tuple[click.ParamType, str]] = {
    "int": (click.INT, "N"),
    "float": (click.FLOAT, "X"),
    "text": (click.STRING, "TEXT"),
    "texts": (click.STRING, "NAME,..."),
    "ints": (_Numbers(), "N,..."),
}
"""Of each kind of setting what click takes it for, and what stands for it in the help."""
_JOINT = "__"
"""Between the stage and the setting in a parameter's name, as in ``rank__min_crop``."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def setting_options(
    stages: Sequence[str],
    only: Mapping[str, Collection[str]] | None = None,
    records: Mapping[str, type[Settings]] = STAGE_RECORDS,
) -> Decorator:
    """Add an option for each setting of the stages; the ones people use come first.

    The stage ``experiment`` has dataset, teacher, seed and the like; ``only`` restricts a stage to some settings.
    """
    pairs = []
    for stage in stages:
        wanted = (only or {}).get(stage)
        pairs += [(stage, spec) for spec in field_specs(records[stage]) if wanted is None or spec.name in wanted]
    pairs.sort(key=lambda pair: pair[1].more)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for stage, spec in reversed(pairs):
            function = _option(stage, spec)(function)
        return function

    return decorate


def _option(stage: str, spec: FieldSpec) -> Decorator:
    name = f"{stage}{_JOINT}{spec.name}"
    if spec.kind == "bool":
        flag = spec.flag.removeprefix("--")
        return click.option(f"--{flag}/--no-{flag}", name, default=None, help=_help(spec))
    kind, shown = (click.Choice(spec.choices), None) if spec.kind == "choice" else _TYPES[spec.kind]
    if is_open_number(spec):
        kind, shown = _OrOpen(kind), f"{shown}|{OPEN}"
    is_list = spec.kind == "texts"
    return click.option(spec.flag, name, type=kind, default=None, multiple=is_list, help=_help(spec), metavar=shown)


def _help(spec: FieldSpec) -> str:
    default = spec.default
    if spec.kind == "bool":
        default = {True: "on", False: "off"}.get(default, default)
    notes = [] if default is None or default in ((), "") else [f"default: {flag_words('', default)[1]}"]
    notes += [spec.source] if spec.source else []
    return f"{spec.help} [{'; '.join(notes)}]" if notes else spec.help


def read_experiment(values: Mapping[str, Any]) -> Experiment:
    """Make the experiment of those parameters of a command, by name, that :func:`setting_options` added.

    A preset is the ground on which they stand, where there is one.

    Raises:
        ConfigError: a value that is not allowed, or an unknown preset.
    """
    typed: dict[str, Any] = {stage: own for stage, own in typed_settings(values).items() if stage in STAGE_RECORDS}
    overall, recover = typed.get("experiment", {}), typed.get("recover", {})
    if values.get("preset") == FAST:
        recover = {**fast_settings(recover.get("method", "delt")), **recover}
    elif (published := given_preset(values)) is not None:
        return typed_on_top(published.experiment, typed)
    typed = {stage: own for stage, own in typed.items() if stage not in ("experiment", "recover")}
    method = recover.pop("method", "delt")
    if "evaluate" in typed:
        typed["evaluate"] = EvaluateConfig.for_recipe(**{"recipe": "delt", **typed["evaluate"]})
    size = overall.get("image_size")
    if depends_on_size(method):
        size = size_of(str(overall.get("dataset", DEFAULT_DATASET)), size)
    return Experiment.for_method(method, size=size, recover=recover, **overall, **typed)


def given_preset(values: Mapping[str, Any], ipc: int | None = None, network: str = "") -> PublishedExperiment | None:
    """Return the experiment of the preset that was typed, or None: at the IPC and with the networks that were typed.

    ``ipc`` are the images per class where they are not typed but known, ``network`` likewise the teacher's.

    Raises:
        ConfigError: there is no such preset.
    """
    if not values.get("preset"):
        return None
    typed = typed_settings(values)
    if values["preset"] == FAST:
        return _fast(typed.get("recover", {}).get("method", "delt"))
    student = str(typed.get("evaluate", {}).get("student", ""))
    preset, network = find_preset(values["preset"]), named_network(typed) or network
    return preset.published(typed.get("recover", {}).get("ipc", ipc), "" if student == OPEN else student, network)


def named_network(given: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the network that is given for a preset, by its name or as the teacher whose card says it; "" for none.

    A paper has settings of their own for some networks that recover. ``given`` are settings by stage.

    Source: CDA Tables 16d and 21c.
    """
    network, teacher = given.get("squeeze", {}).get("network"), given.get("experiment", {}).get("teacher", "auto")
    if network or teacher == "auto":
        return str(network or "")
    with contextlib.suppress(CheckpointError):  # what is wrong with it is said when it is looked up
        return read_card(find_teacher(str(teacher))).network
    return ""


def _fast(method: str) -> PublishedExperiment:
    """Return the preset ``fast`` of a method like one of a paper, to tell what it changes."""
    preset = fast_preset(method)
    origins = dict.fromkeys((f"recover.{name}" for name in fast_settings(method)), preset.origin)
    return PublishedExperiment(preset.experiment(method), origins, {})


def typed_on_top(experiment: Experiment, typed: Mapping[str, Mapping[str, Any]]) -> Experiment:
    """Return a preset's experiment with the settings that were typed, by stage.

    Raises:
        ConfigError: another method or recipe than the preset's, or a value that is not allowed.
    """
    for stage, name in (("recover", "method"), ("evaluate", "recipe")):
        own, asked = getattr(getattr(experiment, stage), name), typed.get(stage, {}).get(name)
        if asked not in (None, own):
            raise ConfigError(f"{name}: {asked!r} given, but the preset itself says {own!r}.")
    overall = dict(typed.get("experiment", {}))
    if overall.get("dataset", experiment.dataset) != experiment.dataset:  # the preset's teachers know other classes
        overall = {"teacher": "auto", "ranker": "", **overall}
    stages = {stage: getattr(experiment, stage).replace(**own) for stage, own in typed.items() if stage != "experiment"}
    return experiment.replace(**overall, **stages)


def read_training(values: Mapping[str, Any], ipc: int | None = None, network: str = "") -> EvaluateConfig:
    """Make the training of students of a command's parameters; ``ipc`` and ``network`` as for :func:`given_preset`.

    Batch size and learning rate that follow from rules stay open, for more than one student may be trained.

    Raises:
        ConfigError: a value that is not allowed, or an unknown preset.
    """
    typed, published = typed_settings(values).get("evaluate", {}), given_preset(values, ipc, network)
    if published is None:
        return EvaluateConfig.for_recipe(**{"recipe": "delt", **typed})
    own = published.experiment.evaluate
    recipe = EvaluateConfig.for_recipe(own.recipe)
    by_rule = {name: None for name in ("batch_size", "learning_rate") if getattr(recipe, name) is None}
    opened = published.experiment.replace(evaluate=own.replace(**by_rule))
    return typed_on_top(opened, {"evaluate": typed}).evaluate


def typed_settings(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings that were typed: stage to name to value; ``experiment`` for those of no stage."""
    typed: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        stage, joint, setting = name.partition(_JOINT)
        if joint and stage != "option" and value is not None and value != ():
            typed.setdefault(stage, {})[setting] = None if value is _LEFT_OPEN else value
    overall = typed.get("experiment", {})
    for name in ("classes", "teachers"):
        if name in overall:
            overall[name] = tuple(part for text in overall[name] for part in split_names(text))
    return typed


def size_of(dataset: str, image_size: int | None = None) -> int:
    """Return the side of a dataset's images in pixels; a folder is read for it.

    Raises:
        DataError: no such dataset, or nothing in it.
    """
    known = image_size_of(dataset, image_size)
    if known is None:
        from delt_engine.data.catalogue import load_dataset

        known = load_dataset(dataset).spec.image_size
    return known


_PLAIN = RunOptions()
_RUN_OPTIONS: dict[str, tuple[click.ParamType | None, str]] = {
    "ranks": (
        click.IntRange(min=0, max=1024),
        "Processes on this machine that share the work; 1 for one. [default: one a GPU, if it has enough to do]",
    ),
    "teacher_check": (None, "Measure the teacher on a sample first and refuse one near chance. [default: on]"),
    "keep_teacher": (None, "Put the teacher where `--teacher auto` finds it. [default: on, off with --out FILE]"),
    "snapshot_classes": (
        click.IntRange(min=0),
        "Keep pictures of every round for the first N classes only. [default: all]",
    ),
    "live_seconds": (
        click.FloatRange(min=0),
        f"Shortest time between two live pictures; 0 for none. [default: {_PLAIN.live_seconds:g}]",
    ),
    "checkpoint_seconds": (
        click.FloatRange(min=0, min_open=True),
        f"Longest time without a checkpoint. [default: {_PLAIN.checkpoint_seconds:g}]",
    ),
}
"""Of each run option the limits of its number, None of a switch, and its help."""


def run_options(kind: str) -> Decorator:
    """Add the options that say how such a run is worked on."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(RUN_OPTIONS[kind]):
            (limits, text), flag, parameter = _RUN_OPTIONS[name], name.replace("_", "-"), f"option{_JOINT}{name}"
            if limits is None:
                option = click.option(f"--{flag}/--no-{flag}", parameter, default=None, help=text)
            else:
                metavar = "N" if isinstance(limits, click.IntRange) else "X"
                option = click.option(f"--{flag}", parameter, type=limits, metavar=metavar, help=text)
            function = option(function)
        return function

    return decorate


def read_run_options(values: Mapping[str, Any]) -> RunOptions:
    """Make the run options of what was typed."""
    prefix = f"option{_JOINT}"
    typed = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return RunOptions(**{name: value for name, value in typed.items() if value is not None})


def path_option(flag: str, metavar: str, text: str, *, is_folder: bool = False) -> Decorator:
    """Return an option that takes a path; one of a file is refused at once where a folder is needed."""
    return click.option(flag, type=click.Path(path_type=Path, file_okay=not is_folder), metavar=metavar, help=text)


def count_option(
    *names: str, text: str, least: int = 1, most: int | None = None, default: int | None = None
) -> Decorator:
    """Return an option that takes a whole number within limits."""
    kind, is_shown = click.IntRange(least, most), default is not None
    return click.option(*names, type=kind, default=default, show_default=is_shown, metavar="N", help=text)


def students_option(text: str) -> Decorator:
    """Return the option that names several students."""
    return click.option("--students", metavar="NAME,...", help=f"{text} Such as resnet18,mobilenet_v2,convnet-3.")


def named_students(students: str | None, values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the students that were named; None where it was not asked for several.

    Raises:
        ConfigError: one was named with ``--student`` as well.
    """
    if students is None:
        return None
    if "student" in typed_settings(values).get("evaluate", {}):
        raise ConfigError("student: given beside --students, but one of them says which networks are trained.")
    return split_names(students)


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` and ``--quiet``."""
    function = click.option("--quiet", "-q", is_flag=True, help="Say nothing while working.")(function)
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(function)


teacher_options = setting_options(["squeeze"], {"squeeze": TEACHER_SETTINGS})
"""Options for checkpoints that do not say what network they are."""
