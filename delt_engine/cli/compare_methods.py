"""What ``delt compare`` does for each method, and the settings it does it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delt_engine.cli.options import size_of, typed_settings
from delt_engine.cli.progress import Event
from delt_engine.cli.recover import follow
from delt_engine.config import METHOD_SETTINGS, EvaluateConfig, Experiment, RecoverConfig, is_optimised
from delt_engine.config.command_line import split_names
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import ConfigError, DeltError, RunCancelled
from delt_engine.jobs.evaluations import Evaluation, evaluation_experiment
from delt_engine.jobs.reuse import same_run
from delt_engine.pipeline.compare import method_row
from delt_engine.pipeline.inputs import Inputs, load_inputs
from delt_engine.runs.command import command_for
from delt_engine.runs.record import Kind
from delt_engine.runs.sources import REAL, find_source
from delt_engine.runs.store import Run, list_runs, new_run_path

SHORT_ITERATIONS, SHORT_ROUND, SHORT_EPOCHS = 200, 50, 60
"""MI, RI and epochs on the built-in datasets when nothing else is typed; ours."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        methods: names, in the order of the rows.
        experiments: the settings of each method; of ``real`` those of its evaluation.
        evaluate: how students are trained.
        inputs: data and teacher, the same for all.
        teacher: fingerprint of the teacher.
        note: what is shortened against the papers, in a sentence; "" when nothing is.
        into: where the runs are put, named by dataset and method; among this user's runs when None.
    """

    methods: tuple[str, ...]
    experiments: dict[str, Experiment]
    evaluate: EvaluateConfig
    inputs: Inputs
    teacher: str
    note: str
    into: Path | None = None

    def place(self, experiment: Experiment, kind: Kind, method: str) -> Path:
        """Return the folder of a method's new run."""
        if self.into is None:
            return new_run_path(experiment, kind)
        name = f"{self.inputs.dataset.spec.name}-{method}"
        return self.into / (f"{name}-students" if kind == "evaluate" else name)


def planned(methods: str, values: dict[str, Any], into: Path | None = None) -> Comparison:
    """Make the settings of every method of what was typed.

    Raises:
        ConfigError: an unknown method, one named twice, or a value that is not allowed.
        DataError, CheckpointError: data or teacher are not there.
    """
    names = split_names(methods)
    allowed = [*METHOD_SETTINGS, REAL]
    wrong = next((name for name in names if name not in allowed), None)
    if wrong is not None or not names:
        raise ConfigError(f"methods: {wrong or ''!r} given, but it must be one of {', '.join(allowed)}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"methods: {twice} given twice, but each method is compared once.")
    typed = typed_settings(values)
    overall, recover = typed.get("experiment", {}), typed.get("recover", {})
    evaluate = {"recipe": "delt", **typed.get("evaluate", {})}
    dataset = overall.get("dataset", "photos")
    entry = find_entry(dataset)
    if entry is not None and entry.kind == "built-in":
        recover, evaluate = _shortened(recover, evaluate)
    config = EvaluateConfig.for_recipe(**evaluate)
    size = size_of(dataset, overall.get("image_size"))
    rest = {**overall, "squeeze": typed.get("squeeze", {})}
    experiments = {name: _experiment(name, size, recover, config, rest) for name in names}
    asked = Experiment(**rest)
    inputs = load_inputs(asked)
    return Comparison(names, experiments, config, inputs, _teacher(inputs, asked), _note(experiments, config), into)


def _teacher(inputs: Inputs, experiment: Experiment) -> str:
    """Return the fingerprint of the teacher; of a checkpoint that does not say it, from its weights."""
    if inputs.card is not None:
        return inputs.card.fingerprint
    from delt_engine.models.teachers import load_teacher

    network = experiment.squeeze
    stem = None if network.stem == "auto" else network.stem
    found = load_teacher(
        str(inputs.teacher_path), dataset=inputs.dataset, network=network.network, width=network.width, stem=stem
    )
    return found.card.fingerprint


def _shortened(recover: dict[str, Any], evaluate: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was typed with defaults that suit a laptop; MI typed alone is split into four rounds if it can be."""
    mi = recover.get("iterations", SHORT_ITERATIONS)
    ri = SHORT_ROUND if "iterations" not in recover else mi // 4 if mi % 4 == 0 else mi
    return {"iterations": mi, "round_iterations": ri, **recover}, {"epochs": SHORT_EPOCHS, **evaluate}


def _experiment(
    method: str, size: int, recover: dict[str, Any], evaluate: EvaluateConfig, rest: dict[str, Any]
) -> Experiment:
    if method == REAL:
        return Experiment(evaluate=evaluate, **rest)
    if not is_optimised(method):
        recover = {name: value for name, value in recover.items() if name == "ipc"}
    elif not RecoverConfig.for_method(method).early_late:  # there RI only says when pictures are taken
        recover = {**recover, "round_iterations": recover.get("iterations", RecoverConfig().iterations)}
    return Experiment.for_method(method, size=size, recover=recover, **rest)


def _note(experiments: dict[str, Experiment], config: EvaluateConfig) -> str:
    published = RecoverConfig()
    made = [experiment.recover for name, experiment in experiments.items() if name != REAL and is_optimised(name)]
    parts = []
    if made and made[0].iterations < published.iterations:
        parts.append(f"MI {made[0].iterations:,} instead of {published.iterations:,}")
    if config.is_shortened:
        epochs = EvaluateConfig.for_recipe(config.recipe).epochs
        parts.append(f"students of {config.epochs:,} instead of {epochs:,} epochs")
    return f"Shortened against the papers: {' and '.join(parts)}." if parts else ""


def compared(comparison: Comparison, method: str, *, fresh: bool, quiet: bool, tell: Tell) -> dict[str, Any]:
    """Return the row of a method, after doing what is not done yet.

    Args:
        comparison: what is compared.
        method: which one.
        fresh: compute everything anew.
        quiet: show no progress.
        tell: takes a line about what is begun or used again.

    Raises:
        RunCancelled: it was stopped.
        DeltError: it cannot be done; the sentence names the method.
    """
    try:
        return _compared(comparison, method, fresh, quiet, tell)
    except RunCancelled as stopped:
        raise RunCancelled(f"{method}: {stopped} The same `delt compare` goes on as well.") from None
    except DeltError as error:
        raise type(error)(f"{method}: {error}") from None


def _compared(comparison: Comparison, method: str, fresh: bool, quiet: bool, tell: Tell) -> dict[str, Any]:
    experiment = comparison.experiments[method]
    source, run = find_source(REAL), None
    if method != REAL:
        run = _done(comparison, method, experiment, "recover", "", fresh, quiet, tell)
        source = find_source(run.path)
        experiment = evaluation_experiment(source, comparison.evaluate)
    evaluated = _done(comparison, method, experiment, "evaluate", source.ref, fresh, quiet, tell)
    tell("measure similarity")
    cosine = _similarity(comparison, run, experiment)
    return method_row(Evaluation(evaluated, evaluated.record().result), run, cosine)


def _done(
    comparison: Comparison,
    method: str,
    experiment: Experiment,
    kind: Kind,
    source: str,
    fresh: bool,
    quiet: bool,
    tell: Tell,
) -> Run:
    """Return a finished run: one that is there, one that went on, or a new one."""
    from delt_engine.pipeline.run import resume_run, run_experiment

    inputs = comparison.inputs
    found = same_run(
        experiment,
        kind,
        dataset=inputs.dataset.fingerprint,
        teacher=comparison.teacher,
        source=source,
        done=not fresh,
        runs=list_runs(comparison.into),
    )
    what = {"recover": "recover", "evaluate": "train students"}[kind]
    if found is not None and found.record().status == "finished":
        tell(f"{what}: run {found.id} is used again")
        return found
    if found is not None:
        tell(f"{what}: run {found.id} goes on")
        return _followed(found, resume_run(found), quiet)
    tell(what)
    path = comparison.place(experiment, kind, method)
    run = Run.create(path, experiment, kind, command_for(experiment, path, kind, source=source), source=source)
    return _followed(run, run_experiment(run, inputs), quiet)


def _followed(run: Run, events: Iterator[Event], quiet: bool) -> Run:
    stopped = follow(events, quiet=quiet)
    if stopped is not None:
        raise stopped
    return run


def _similarity(comparison: Comparison, run: Run | None, experiment: Experiment) -> float | None:
    """Return the mean cosine to the class centroids: of a run's images, or of as many real ones."""
    from delt_engine.pipeline.image_sets import of_run, reference
    from delt_engine.pipeline.measure import cosine_similarity, measured

    if run is not None:
        return cosine_similarity(run, device=run.record().device or "auto")
    others = [name for name in comparison.methods if name != REAL]
    made = [
        same_run(
            comparison.experiments[name],
            "recover",
            dataset=comparison.inputs.dataset.fingerprint,
            teacher=comparison.teacher,
            begun=False,
            runs=list_runs(comparison.into),
        )
        for name in others
    ]
    subjects = [of_run(found) for found in made if found is not None]
    if not subjects or subjects[0].ipc < 2:
        return None
    return measured(reference(subjects[0], REAL), device=experiment.device).mean
