"""The command line that makes a run: the shortest one that says the same, for people and for processes.

Every setting has its flag in :mod:`delt_engine.config`; only what differs from the defaults of the chosen method is
written, so a command reads like what a person would type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from delt_engine.config import (
    METHOD_STAGES,
    EvaluateConfig,
    Experiment,
    RankConfig,
    RecoverConfig,
    RelabelConfig,
    SelectConfig,
    Settings,
    SqueezeConfig,
    field_specs,
)
from delt_engine.config.command_line import STAGE_RECORDS, TEACHER_SETTINGS, changed_words, option_words
from delt_engine.config.continual import CONTINUAL_TRAINING, ContinualConfig
from delt_engine.config.methods import SMALL_IMAGES, settings_by_size, stage_settings
from delt_engine.config.pruning import TRAINING_SETTINGS, PruneConfig
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

RELABEL_SETTINGS = (
    "recipe",
    "relabeller",
    "epochs",
    "batch_size",
    "temperature",
    "mix",
    "mix_alpha",
    "rand_augment",
    "cutout",
    "min_crop",
    "flip",
    "alternate_flips",
    "shuffle_patches",
)
"""Settings of the training that stored labels depend on."""

_NO_RANKER = ("ranker", "teachers")
"""What students have no use for; a run's committee labels its images without being named again."""

EVALUATED_DATA = tuple(spec.name for spec in field_specs(Experiment) if spec.name not in _NO_RANKER)
"""Settings of the experiment that `delt evaluate` and `delt relabel` take."""

RUN_OPTIONS: dict[str, tuple[str, ...]] = {
    "recover": ("ranks", "teacher_check", "snapshot_classes", "live_seconds", "checkpoint_seconds"),
    "squeeze": ("ranks", "keep_teacher", "checkpoint_seconds"),
    "rank": ("teacher_check",),
    "evaluate": ("ranks", "teacher_check", "checkpoint_seconds"),
    "relabel": ("ranks",),
}
"""Which of the run options a command takes."""


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
    """Return the shortest command line with these settings, but those that the command does not use.

    Without ``out`` the command makes a folder of its own; ``source`` is what an evaluation trains on.

    >>> command_for(Experiment(dataset="photos", recover=RecoverConfig.for_method("cda", ipc=4)))
    ['delt', 'recover', '--dataset', 'photos', '--method', 'cda', '--ipc', '4']
    """
    command, own = ["delt", kind, "--dataset", experiment.dataset], Experiment(dataset=experiment.dataset)
    if kind == "evaluate":
        words, own = _source_words(experiment, source)
        command = ["delt", kind, *words]
    for stage in STAGES[kind]:
        command += _stage_words(experiment, kind, stage)
    if kind != "squeeze":
        command += changed_words(experiment.squeeze, own.squeeze, only=TEACHER_SETTINGS)
    command += changed_words(experiment, own, without=_NO_RANKER if kind == "evaluate" else ())
    command += option_words(
        **(options or RunOptions()).model_dump(exclude_defaults=True, include=set(RUN_OPTIONS[kind]))
    )
    return command + option_words(out=out)


def compare_command(
    experiment: Experiment,
    methods: Iterable[str],
    basis: str = "published",
    typed: Collection[str] = (),
    students: Collection[str] = (),
) -> list[str]:
    """Return the `delt compare` that recovers each method on the experiment's data and trains its students.

    IPC and epochs are always written, and MI and RI if they are among ``typed``, since what is left out is shortened on
    the built-in datasets. So is how pictures become squares where published settings have a way of their own.

    Args:
        methods: by name.
        basis: see :mod:`delt_engine.papers.method_settings`.
        typed: names of settings of ``recover`` that stand on top for all methods.
        students: networks that are trained in place of the one of ``evaluate``.
    """
    recover, evaluate = experiment.recover, experiment.evaluate
    command = ["delt", "compare", *option_words(dataset=experiment.dataset, methods=tuple(methods))]
    command += option_words(settings=basis) if basis != "published" else []
    always = [name for name in ("ipc", "iterations", "round_iterations") if name in typed]
    command += changed_words(recover, RecoverConfig(), only=typed, always=always)
    if recover.method not in METHOD_STAGES:
        command += changed_words(experiment.select, SelectConfig()) + changed_words(experiment.rank, RankConfig())
    if students:
        command, evaluate = [*command, *option_words(students=tuple(students))], evaluate.replace(student="auto")
    command += _training_words(evaluate, always=("epochs",))
    command += changed_words(experiment.squeeze, SqueezeConfig(), only=TEACHER_SETTINGS)
    size = image_size_of(experiment.dataset, experiment.image_size)
    is_own = basis == "published" and (size is None or size >= SMALL_IMAGES)
    return command + changed_words(
        experiment, Experiment(dataset=experiment.dataset), always=("resize",) if is_own else ()
    )


def relabel_command(experiment: Experiment, out: str | Path, source: str) -> list[str]:
    """Return the `delt relabel` of ``source`` into the folder ``out``.

    ``evaluate`` of the experiment says what is trained with the labels, ``relabel`` their form.
    """
    words, own = _source_words(experiment, source)
    command = ["delt", "relabel", *words, *_training_words(experiment.evaluate, only=RELABEL_SETTINGS)]
    command += changed_words(experiment.relabel, RelabelConfig())
    command += changed_words(experiment.squeeze, own.squeeze, only=TEACHER_SETTINGS)
    return [*command, *changed_words(experiment, own, without=_NO_RANKER), *option_words(out=out)]


def prune_command(experiment: Experiment, config: PruneConfig, *sources: str) -> list[str]:
    """Return the `delt prune` of some sets of images; of a folder or the real ones there is one.

    ``evaluate`` of the experiment says how the network is trained.
    """
    words, own = _source_words(experiment, sources[0])
    command = ["delt", "prune", words[0], *sources[1:], *words[1:], *changed_words(config, PruneConfig())]
    command += _training_words(experiment.evaluate, only=TRAINING_SETTINGS)
    return command + changed_words(experiment, own, without=_NO_RANKER)


def continual_command(
    experiment: Experiment, config: ContinualConfig, *sources: str, random_real: bool = False
) -> list[str]:
    """Return the `delt continual` of some sets of images; of a folder or the real ones there is one.

    ``evaluate`` of the experiment says how the students are trained.
    """
    words, own = _source_words(experiment, sources[0])
    evaluate = experiment.evaluate
    if config.labels == "hard":  # which --labels says
        recipe = EvaluateConfig.for_recipe(evaluate.recipe)
        evaluate = evaluate.replace(labels=recipe.labels, loss=recipe.loss)
    command = ["delt", "continual", words[0], *sources[1:], *words[1:], *changed_words(config, ContinualConfig())]
    command += ["--random-real"] if random_real else []
    command += _training_words(evaluate, only=CONTINUAL_TRAINING)
    return command + changed_words(experiment, own, without=_NO_RANKER)


def _source_words(experiment: Experiment, source: str) -> tuple[list[str], Experiment]:
    """Return how the images of an evaluation are named, and the settings that need no words then.

    Of a run that is there nothing is repeated that it says itself.
    """
    found = find_source(source)
    if found.run is not None:
        return [source], found.run.experiment
    name, dataset = REAL if found.is_real else source, experiment.dataset
    return [name, "--dataset", dataset], Experiment(dataset=dataset)


def _stage_words(experiment: Experiment, kind: Kind, stage: str) -> list[str]:
    """Return what a stage's settings add to those that follow from the method or the recipe."""
    settings, recover = getattr(experiment, stage), experiment.recover
    if stage == "evaluate":
        return _training_words(settings)
    size = image_size_of(experiment.dataset, experiment.image_size)
    if stage == "recover":
        plain: Settings = RecoverConfig.for_method(recover.method, size=size)
        open_names = settings_by_size(recover.method) if size is None else ()
        words = changed_words(settings, plain, without=("method",), always=open_names)
        return _named("--method", recover.method) + words
    plain, always = STAGE_RECORDS[stage](), False
    if "recover" in STAGES[kind]:
        plain = STAGE_RECORDS[stage](**stage_settings(recover.method, size).get(stage, {}))
        # what hangs on the size of a folder's images, which only reading it tells
        by_size = "mosaic" in stage_settings(recover.method, SMALL_IMAGES + 1).get(stage, {})
        always = size is None and by_size
    return changed_words(settings, plain, always=("mosaic",) if always else ())


def _training_words(
    evaluate: EvaluateConfig, only: Collection[str] | None = None, always: Collection[str] = ()
) -> list[str]:
    plain = EvaluateConfig.for_recipe(evaluate.recipe)
    words = changed_words(evaluate, plain, only=only, without=("recipe",), always=always)
    return _named("--recipe", evaluate.recipe) + words


def _named(flag: str, name: str) -> list[str]:
    return [] if name == "delt" else [flag, name]
