"""Evaluations as the app and other tools see them: what is finished, of which source, and how one is started."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.errors import ConfigError
from delt_engine.jobs import start
from delt_engine.models.networks import may_take_small_stem, takes_width
from delt_engine.runs.sources import Source, find_source
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.titles import example_runs


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation: its run, and the ``result`` entry of its run.json.

    See :meth:`delt_engine.training.records.EvaluationResult.summary`.
    """

    run: Run
    result: dict[str, Any]

    @property
    def source(self) -> str:
        """What the students were trained on: a run's id or folder, a folder, or ``real``."""
        return str(self.result["source"])


def evaluations(runs: Iterable[Run] | None = None) -> list[Evaluation]:
    """Return the finished evaluations among ``runs``: by default this user's, newest first, then the examples."""
    found = [*list_runs(), *example_runs()] if runs is None else runs
    records = [(run, run.record()) for run in found if not run.unreadable]
    return [
        Evaluation(run, record.result)
        for run, record in records
        if record.kind == "evaluate" and record.status == "finished" and record.result
    ]


def evaluation_experiment(source: Source, evaluate: EvaluateConfig, **changes: Any) -> Experiment:
    """Return the settings of an evaluation.

    Args:
        source: of a run the experiment is taken over, so its data, teacher and classes; otherwise they are defaults.
        changes: settings of the experiment on top, such as ``seed`` and ``device``; of a run no others.

    Raises:
        ConfigError: a setting that the run itself decides, or a value that is not allowed.
    """
    fixed = [name for name in changes if name not in ("seed", "device")]
    if source.run is not None and fixed:
        raise ConfigError(f"{fixed[0]}: {changes[fixed[0]]!r} given, but run {source.ref} itself says it.")
    base = source.run.experiment if source.run is not None else Experiment()
    return base.replace(evaluate=evaluate, **changes)


def for_students(config: EvaluateConfig, students: Iterable[str]) -> tuple[EvaluateConfig, ...]:
    """Return the settings of each of several students, all else being equal.

    Width and small stem go to those that can have them; the others are as published.

    Raises:
        ConfigError: no name, or one twice.
    """
    names = tuple(students)
    if not names:
        raise ConfigError("students: none given, but at least one network is needed.")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"students: {twice} given twice, but each is trained once; --seeds trains one several times.")
    found = []
    for name in names:
        own = config.replace(student=name)
        if name != "auto" and not takes_width(name):
            own = own.replace(student_width=None)
        if own.student_stem == "small" and not may_take_small_stem(name):
            own = own.replace(student_stem="auto")
        found.append(own)
    return tuple(found)


def start_evaluation(source: str | Path | Run, evaluate: EvaluateConfig, **changes: Any) -> Run:
    """Queue an evaluation and start its process; return at once.

    Args:
        source: a run, its id or folder, a folder of images, or ``real``; a run that is still at work is waited for.
        changes: see :func:`evaluation_experiment`.

    Raises:
        DataError: no such source.
        ConfigError: a value that is not allowed.
        RunError: the run folder or the process cannot be made.
    """
    found = find_source(source.path if isinstance(source, Run) else source)
    if found.run is not None and not found.run.is_active:
        found.check_ready()
    return start.start(evaluation_experiment(found, evaluate, **changes), kind="evaluate", source=found.ref)
