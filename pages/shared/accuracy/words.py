"""Evaluations in words: on what students were trained, by which recipe, and what they reached."""

from __future__ import annotations

from typing import Any

from delt_engine.config.methods import METHOD_TITLES
from delt_engine.config.students import RECIPE_TITLES
from delt_engine.runs.record import RunRecord
from delt_engine.runs.sources import REAL
from pages.shared.wording import plural, run_title, short_name


def own_title(record: RunRecord) -> str:
    """Return what any run is made of in a line, of an evaluation also what its students learn from."""
    return students_title(record) if record.kind == "evaluate" else run_title(record.experiment, record.kind)


def students_title(record: RunRecord) -> str:
    """Return what tells one evaluation from another in a line: on what, by which recipe.

    >>> from delt_engine.config import Experiment
    >>> experiment = Experiment(evaluate={"epochs": 60})
    >>> students_title(RunRecord(id="a", created="", kind="evaluate", source="real", experiment=experiment))
    'photos · students of all real images · DELT recipe'
    """
    experiment = record.experiment
    evaluate, recover = experiment.evaluate, experiment.recover
    what = f"{METHOD_TITLES[recover.method]}, IPC {recover.ipc}"
    if record.source == REAL:
        what = "all real images"
    elif record.result.get("method") == "folder":
        what = short_name(record.source)
    return f"{short_name(experiment.dataset)} · students of {what} · {RECIPE_TITLES[evaluate.recipe]} recipe"


def accuracy(result: dict[str, Any]) -> str:
    """Return what students reached.

    >>> accuracy({"top1_last": 41.26, "top1_last_std": 0.84, "seeds": [0, 1, 2]}), accuracy({})
    ('top-1 41.3 % ± 0.8 over 3 seeds', '')
    """
    if result.get("top1_last") is None:
        return ""
    seeds = len(result.get("seeds", ()))
    spread = f" ± {result['top1_last_std']:.1f} over {plural(seeds, 'seed')}" if seeds > 1 else ""
    return f"top-1 {result['top1_last']:.1f} %{spread}"
