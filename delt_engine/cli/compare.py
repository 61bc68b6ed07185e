"""``delt compare``: methods side by side: recover, train students, measure similarity, and one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.finished import finished_run
from delt_engine.cli.options import (
    output_options,
    path_option,
    setting_options,
    size_of,
    teacher_options,
    typed_settings,
)
from delt_engine.cli.output import say, say_json, say_table
from delt_engine.config import DEFAULT_DATASET, METHOD_SETTINGS, EvaluateConfig, Experiment, RecoverConfig, is_optimised
from delt_engine.config.command_line import split_names
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import ConfigError, DeltError, RunCancelled
from delt_engine.files import check_writable, write_bytes
from delt_engine.jobs import ranks
from delt_engine.jobs.evaluations import Evaluation, evaluation_experiment
from delt_engine.jobs.start import same_run
from delt_engine.pipeline.compare import method_row
from delt_engine.pipeline.inputs import Inputs, load_inputs
from delt_engine.runs.record import Kind
from delt_engine.runs.sources import REAL, find_source
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.tables import shown, to_csv, to_latex, to_markdown, without_common

DEFAULT_METHODS = "sre2l,cda,rded,delt,random"
SHORT_ITERATIONS, SHORT_ROUND, SHORT_EPOCHS = 200, 50, 60
"""MI, RI and epochs on the built-in datasets when nothing else is typed; ours."""

_FORMATS = {"csv": lambda rows, _columns, _note: to_csv(rows), "latex": to_latex, "markdown": to_markdown}


@click.command()
@click.option(
    "--methods",
    default=DEFAULT_METHODS,
    metavar="NAME,...",
    show_default=True,
    help="delt, cda, cda-init, sre2l, rded, random, and real for the whole training set.",
)
@setting_options(["experiment", "recover", "evaluate"], {"recover": ("ipc", "iterations", "round_iterations")})
@teacher_options
@path_option(
    "--into", "DIR", "Put the runs there, named by dataset and method, and not among your runs.", is_folder=True
)
@click.option("--fresh", is_flag=True, help="Compute everything anew, also what is there already.")
@path_option("--csv", "FILE", "Also write the table to FILE as csv.")
@path_option("--latex", "FILE", "Also write the table to FILE as Latex.")
@path_option("--markdown", "FILE", "Also write the table to FILE as Markdown.")
@output_options
def compare(methods: str, into: Path | None, fresh: bool, as_json: bool, quiet: bool, **values: Any) -> None:
    """Compare methods: recover each, train students on it, measure similarity, and print one table.

    Runs and evaluations with the very same settings, data and teacher are used again. Stop with Ctrl-C and type the
    same command again: it goes on. On the built-in datasets it is shortened to suit a laptop, unless --mi, --ri and
    --epochs say otherwise. Methods without rounds keep pictures of their start and their end.
    """
    files = {name: path for name in _FORMATS if (path := values.pop(name)) is not None}
    for path in files.values():
        check_writable(path)
    comparison = _planned(split_names(methods), values, into, fresh=fresh, quiet=quiet)
    rows = [comparison.row(method) for method in comparison.experiments]
    if not ranks.this_rank().is_first:
        return
    columns, common = without_common(rows)
    note = " ".join(filter(None, [f"Students: {common}." if common else "", comparison.note]))
    for name, path in files.items():
        text = _FORMATS[name](rows, columns, note)
        write_bytes(path, text.encode())
    if as_json:
        say_json({"rows": rows, "notes": [comparison.note] if comparison.note else []})
        return
    say_table([column.title for column in columns], [[shown(row, column) for column in columns] for row in rows])
    if note:
        say(note)


def _planned(methods: tuple[str, ...], values: dict[str, Any], into: Path | None, **how: bool) -> Comparison:
    """Make the settings of every method of what was typed.

    Raises:
        ConfigError: an unknown method, one named twice, or a value that is not allowed.
        DataError, CheckpointError: data or teacher are not there.
    """
    allowed = [*METHOD_SETTINGS, REAL]
    wrong = next((name for name in methods if name not in allowed), None)
    if wrong is not None or not methods:
        raise ConfigError(f"methods: {wrong or ''!r} given, but it must be one of {', '.join(allowed)}.")
    if twice := next((name for name in methods if methods.count(name) > 1), None):
        raise ConfigError(f"methods: {twice} given twice, but each method is compared once.")
    typed = typed_settings(values)
    overall, recover = typed.get("experiment", {}), typed.get("recover", {})
    evaluate = {"recipe": "delt", **typed.get("evaluate", {})}
    dataset = overall.get("dataset", DEFAULT_DATASET)
    entry = find_entry(dataset)
    if entry is not None and entry.kind == "built-in":
        recover, evaluate = shortened(recover, evaluate)
    config = EvaluateConfig.for_recipe(**evaluate)
    size = size_of(dataset, overall.get("image_size"))
    rest = {**overall, "squeeze": typed.get("squeeze", {})}
    experiments = {name: _experiment(name, size, recover, config, rest) for name in methods}
    asked = Experiment(**rest)
    inputs = load_inputs(asked)
    card = inputs.card
    if card is None:  # of a checkpoint that does not say its fingerprint, it follows from the weights
        from delt_engine.models.teachers import load_teacher

        card = load_teacher(str(inputs.teacher_path), dataset=inputs.dataset, **asked.squeeze.checkpoint).card
    note = shortening_note(experiments, config)
    return Comparison(experiments, config, inputs, card.fingerprint, note, into, **how)


def shortened(recover: dict[str, Any], evaluate: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was typed with defaults that suit a laptop; MI typed alone is split into four rounds if it can be."""
    mi = recover.get("iterations", SHORT_ITERATIONS)
    ri = SHORT_ROUND if "iterations" not in recover else mi // 4 if mi % 4 == 0 else mi
    return {"iterations": mi, "round_iterations": ri, **recover}, {"epochs": SHORT_EPOCHS, **evaluate}


def shortening_note(experiments: Mapping[str, Experiment], config: EvaluateConfig) -> str:
    """Return what is shortened against the papers, in a sentence; "" when nothing is."""
    published = RecoverConfig()
    made = [experiment.recover for name, experiment in experiments.items() if name != REAL and is_optimised(name)]
    parts = []
    if made and made[0].iterations < published.iterations:
        parts.append(f"MI {made[0].iterations:,} instead of {published.iterations:,}")
    if config.is_shortened:
        epochs = EvaluateConfig.for_recipe(config.recipe).epochs
        parts.append(f"students of {config.epochs:,} instead of {epochs:,} epochs")
    return f"Shortened against the papers: {' and '.join(parts)}." if parts else ""


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


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how: the settings of each method in the order of the rows, of ``real`` of its evaluation.

    ``teacher`` is the fingerprint of the teacher. ``into`` is where the runs are put, named by dataset and method;
    among this user's runs when None. ``fresh`` computes everything anew.
    """

    experiments: dict[str, Experiment]
    evaluate: EvaluateConfig
    inputs: Inputs
    teacher: str
    note: str
    into: Path | None
    fresh: bool
    quiet: bool

    def row(self, method: str) -> dict[str, Any]:
        """Return the row of a method, after doing what is not done yet.

        Raises:
            RunCancelled: it was stopped.
            DeltError: it cannot be done; the sentence names the method.
        """
        try:
            experiment, source, run = self.experiments[method], find_source(REAL), None
            if method != REAL:
                run = self._finished_run(method, experiment, "recover")
                source = find_source(run.path)
                experiment = evaluation_experiment(source, self.evaluate)
            evaluated = self._finished_run(method, experiment, "evaluate", source.ref)
            self._say(method, "measure similarity")
            result = Evaluation(evaluated, evaluated.record().result)
            return ranks.first(lambda: method_row(result, run, self._similarity(run, experiment)))
        except RunCancelled as stopped:
            raise RunCancelled(f"{method}: {stopped} The same `delt compare` goes on as well.") from None
        except DeltError as error:
            raise type(error)(f"{method}: {error}") from None

    def _say(self, method: str, text: str) -> None:
        if not self.quiet and ranks.this_rank().is_first:
            number = list(self.experiments).index(method) + 1
            click.echo(f"{method} ({number} of {len(self.experiments)}): {text}", err=True)

    def _found(self, experiment: Experiment, kind: Kind, **which: Any) -> Run | None:
        data, runs = self.inputs.dataset.fingerprint, list_runs(self.into)
        ranker = self.inputs.ranker.fingerprint if self.inputs.ranker else None
        return same_run(experiment, kind, dataset=data, teacher=self.teacher, ranker=ranker, runs=runs, **which)

    def _finished_run(self, method: str, experiment: Experiment, kind: Kind, source: str = "") -> Run:
        path = None
        if self.into is not None:
            ending = "-students" if kind == "evaluate" else ""
            path = self.into / f"{self.inputs.dataset.spec.name}-{method}{ending}"
        return finished_run(
            experiment,
            kind,
            self.inputs,
            self.teacher,
            source=source,
            path=path,
            runs=list_runs(self.into),
            fresh=self.fresh,
            quiet=self.quiet,
            say=partial(self._say, method),
        )

    def _similarity(self, run: Run | None, experiment: Experiment) -> float | None:
        """Return the mean cosine to the class centroids: of a run's images, or of as many real ones."""
        from delt_engine.pipeline.image_sets import of_run, reference
        from delt_engine.pipeline.measure import cosine_similarity, measured

        if run is not None:
            return cosine_similarity(run, device=run.record().device or "auto")
        others = [own for name, own in self.experiments.items() if name != REAL]
        made = (self._found(own, "recover", begun=False) for own in others)
        first = next((of_run(found) for found in made if found is not None), None)
        if first is None or first.ipc < 2:
            return None
        return measured(reference(first, REAL), device=experiment.device).mean
