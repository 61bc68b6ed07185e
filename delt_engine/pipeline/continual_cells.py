"""Printed numbers of continual learning: what was kept of a run's images, and how the rest is measured.

Torch is loaded only to measure. The numbers of all steps are from the same class orders, so one measurement answers a
whole row of a table.
"""

from __future__ import annotations

from typing import Any

from delt_engine.config.continual import ContinualConfig, asked_training
from delt_engine.config.students import EvaluateConfig
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.papers.cells import SEEDS, Cell
from delt_engine.papers.continual_values import step_of, steps_of
from delt_engine.pipeline.table_records import Measured
from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run


def continual_config(cell: Cell) -> ContinualConfig:
    """Return the steps of a cell, in as many class orders as other cells have students."""
    return ContinualConfig(steps=steps_of(cell.value), orders=SEEDS)


def measured_step(cell: Cell, run: Run) -> tuple[Measured | None, bool]:
    """Return what was measured after a cell's step on the images of a run, and whether all orders are through."""
    number, config = step_of(cell.value), continual_config(cell)
    found = _stored(cell, config, run)
    if found is None or len(found["accuracies"]) < number:
        return None, False
    counted = sum(len(one["steps"]) >= number for one in found["results"])
    spread = found["accuracies_std"][number - 1] if counted > 1 else None
    measured = Measured(found["accuracies"][number - 1], spread, counted, device=found["device"])
    return measured, found["orders"] >= config.orders


def learn_cell(training: EvaluateConfig, cell: Cell, run: Run, device: str) -> None:
    """Measure all steps of a cell's row on the images of a run, or go on where it was stopped.

    Raises:
        DeltError: see :func:`delt_engine.pipeline.continual.learn_continually`.
    """
    from delt_engine.pipeline.continual import learn_continually

    source = find_source(run.path)
    experiment = evaluation_experiment(source, training, device=device)
    learn_continually(source, experiment, continual_config(cell), lambda _what, _done, _total: None)


def _stored(cell: Cell, config: ContinualConfig, run: Run) -> dict[str, Any] | None:
    asked = asked_training(cell.experiment.evaluate)
    names = (run.id, str(run.path))
    same = (
        one
        for one in CONTINUALS.summaries()
        if one["source"] in names and one["steps"] == config.steps and one.get("asked") == asked
    )
    return next(same, None)
