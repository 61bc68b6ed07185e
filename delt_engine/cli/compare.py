"""``delt compare``: methods side by side: recover, train students, measure similarity, and one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from delt_engine.analysis.mi_curves import ROUNDS as OVER_MI_ROUNDS
from delt_engine.cli.compare_over_mi import kept_curve, read_iterations, spread_over
from delt_engine.cli.compare_plan import ComparisonPlan, plan_comparison
from delt_engine.cli.finished import finished_run
from delt_engine.cli.options import (
    named_students,
    output_options,
    path_option,
    setting_options,
    students_option,
    teacher_options,
)
from delt_engine.cli.output import say, say_columns, say_json
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.config import METHOD_SETTINGS, EvaluateConfig, Experiment
from delt_engine.config.command_line import split_names
from delt_engine.errors import DeltError, RunCancelled
from delt_engine.files import check_writable, write_bytes
from delt_engine.jobs import ranks
from delt_engine.jobs.evaluations import Evaluation, evaluation_experiment, for_students
from delt_engine.jobs.start import same_run
from delt_engine.papers.method_settings import BASIS_TITLES, SHARED_SETTINGS
from delt_engine.pipeline.compare import method_row
from delt_engine.runs.record import Kind
from delt_engine.runs.sources import REAL, find_source
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.tables import METHOD_COLUMNS, MI_COLUMNS, to_csv, to_latex, to_markdown, without_common

DEFAULT_METHODS = "sre2l,cda,rded,delt,random"
_FORMATS = ("csv", "latex", "markdown")


@click.command()
@click.option(
    "--methods",
    default=DEFAULT_METHODS,
    metavar="NAME,...",
    show_default=True,
    help=f"{', '.join(METHOD_SETTINGS)}, and real for the whole training set.",
)
@click.option(
    "--settings",
    type=click.Choice(list(BASIS_TITLES)),
    default="published",
    show_default=True,
    help="How images are made: published, each method under its own paper's settings for the dataset, or for the one "
    "nearest in image size; equal, all under the same. What is typed stands on top for all.",
)
@setting_options(["experiment", "recover", "select", "rank", "evaluate"], {"recover": SHARED_SETTINGS})
@teacher_options
@preset_option
@students_option("Train each of these networks in place of --student on every set of images, a row each.")
@click.option(
    "--over-mi",
    metavar="N,...",
    help=f"Make each method's images at each of these MI, with RI = MI / {OVER_MI_ROUNDS}, and keep accuracy over MI "
    "for the planner and the app.",
)
@path_option("--out", "FILE", "With --over-mi, also write what is kept to FILE as JSON.")
@path_option(
    "--into", "DIR", "Put the runs there, named by dataset and method, and not among your runs.", is_folder=True
)
@click.option("--fresh", is_flag=True, help="Compute everything anew, also what is there already.")
@path_option("--csv", "FILE", "Also write the table to FILE as csv.")
@path_option("--latex", "FILE", "Also write the table to FILE as Latex.")
@path_option("--markdown", "FILE", "Also write the table to FILE as Markdown.")
@output_options
def compare(
    methods: str,
    settings: str,
    students: str | None,
    over_mi: str | None,
    out: Path | None,
    into: Path | None,
    fresh: bool,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Compare methods: recover each, train students on it, measure similarity, and print one table.

    Teacher, test pictures and students' training are the same for all. Methods that start from patches share ranking
    and selection; RDED and random have their own. With published settings pictures become squares as in the papers'
    code from 64 px on, unless --resize says otherwise.

    Runs and evaluations with the very same settings, data and teacher are used again. Stop with Ctrl-C and type the
    same command again: it goes on. On the built-in datasets it is shortened to suit a laptop, unless --mi, --ri and
    --epochs say otherwise. A preset gives the dataset, its images per class and the students' training. Methods without
    rounds keep pictures of their start and their end.
    """
    from delt_engine.training.recipe import check_student

    files = {name: path for name in _FORMATS if (path := values.pop(name)) is not None}
    is_curve = over_mi is not None or out is not None
    iterations = read_iterations(over_mi, out, students or "", values) if is_curve else ()
    for path in [*files.values(), *([out] if out is not None else [])]:
        check_writable(path)
    told = preset_told(values, ("experiment", "evaluate"), silent=as_json or quiet)
    names = named_students(students, values)
    plan = plan_comparison(split_names(methods), settings, values)
    if iterations:
        plan = spread_over(plan, iterations)
    trained = for_students(plan.evaluate, names) if names is not None else (plan.evaluate,)
    for config in trained:
        check_student(config, len(plan.inputs.classes), plan.inputs.dataset.spec.image_size)
    comparison = Comparison(plan, trained, into, fresh=fresh, quiet=quiet)
    rows = [row for method in plan.experiments for row in comparison.rows(method)]
    if not ranks.this_rank().is_first:
        return
    if iterations:
        told["curve"] = kept_curve(plan, iterations, rows, settings, values, out)
    every = MI_COLUMNS if iterations else METHOD_COLUMNS
    columns, common = without_common(rows, every)
    note = " ".join([*([f"Students: {common}."] if common else []), *plan.notes])
    for name, path in files.items():
        take = {"csv": lambda: to_csv(rows, every), "latex": lambda: to_latex(rows, columns, note)}
        write_bytes(path, take.get(name, lambda: to_markdown(rows, columns, note))().encode())
    if as_json:
        say_json({"settings": settings, "rows": rows, "notes": plan.notes, **told})
        return
    say_columns(columns, rows)
    if note:
        say(note)


@dataclass(frozen=True)
class Comparison:
    """A plan that is carried out, method by method.

    ``students`` are how each student is trained. ``into`` is where the runs are put, named by dataset and method;
    among this user's runs when None. ``fresh`` computes everything anew. ``command`` is what goes on after a stop.
    """

    plan: ComparisonPlan
    students: tuple[EvaluateConfig, ...]
    into: Path | None
    fresh: bool
    quiet: bool
    command: str = "delt compare"

    def rows(self, method: str) -> list[dict[str, Any]]:
        """Return the rows of a method, one a student, after doing what is not done yet.

        Raises:
            RunCancelled: it was stopped.
            DeltError: it cannot be done; the sentence names the method.
        """
        try:
            experiment, source, run = self.plan.experiments[method], find_source(REAL), None
            if method != REAL:
                run = self._finished_run(method, experiment, "recover")
                source = find_source(run.path)
            found = []
            for config in self.students:
                own = evaluation_experiment(source, config) if run else experiment.replace(evaluate=config)
                found.append(self._finished_run(method, own, "evaluate", source.ref))
            self._say(method, "measure similarity")
            similarity = ranks.first(lambda: self._similarity(run, experiment))
            results = [Evaluation(evaluated, evaluated.record().result) for evaluated in found]
            origin = {"settings": self.plan.origins.get(method, "")}
            return [{**method_row(result, run, similarity), **origin} for result in results]
        except RunCancelled as stopped:
            raise type(stopped)(f"{method}: {stopped} The same `{self.command}` goes on as well.") from None
        except DeltError as error:
            raise type(error)(f"{method}: {error}") from None

    def _say(self, method: str, text: str) -> None:
        if not self.quiet and ranks.this_rank().is_first:
            number = list(self.plan.experiments).index(method) + 1
            click.echo(f"{method} ({number} of {len(self.plan.experiments)}): {text}", err=True)

    def _found(self, experiment: Experiment, kind: Kind, **which: Any) -> Run | None:
        inputs, runs = self.plan.inputs, list_runs(self.into)
        ranker = inputs.ranker.fingerprint if inputs.ranker else None
        found: dict[str, Any] = {"teacher": self.plan.teacher, "ranker": ranker}
        return same_run(experiment, kind, dataset=inputs.dataset.fingerprint, runs=runs, **found, **which)

    def _finished_run(self, method: str, experiment: Experiment, kind: Kind, source: str = "") -> Run:
        path = None
        if self.into is not None:
            ending = "-students" if kind == "evaluate" else ""
            if ending and len(self.students) > 1:
                ending = f"-{experiment.evaluate.student}"
            path = self.into / f"{self.plan.inputs.dataset.spec.name}-{method}{ending}"
        return finished_run(
            experiment,
            kind,
            self.plan.inputs,
            self.plan.teacher,
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
        others = [own for name, own in self.plan.experiments.items() if name != REAL]
        made = (self._found(own, "recover", begun=False) for own in others)
        first = next((of_run(found) for found in made if found is not None), None)
        if first is None or first.ipc < 2:
            return None
        return measured(reference(first, REAL), device=experiment.device).mean
