"""All numbers of the compared evaluations as a table that sorts and can be taken away."""

from __future__ import annotations

from typing import Any

import streamlit as st

from delt_engine.jobs.evaluations import Evaluation
from delt_engine.pipeline.compare import method_row
from delt_engine.runs.tables import METHOD_COLUMNS, Column
from pages.shared.accuracy import data, result_table
from pages.shared.accuracy.choices import View

_FRONT = ("method_title", "ipc", "top1_last", "top1_best")
_MORE = (
    Column("top1_ema", "Top-1, EMA (%)", 1, "top1_ema_std"),
    Column("students", "Students", 0),
    Column("image_iterations", "Image-iterations", 0),
    Column("run", "Images"),
    Column("evaluation", "Evaluation"),
)


def draw(view: View) -> None:
    """Draw the table."""
    st.subheader("Table")
    rows = [row(view, one) for one in view.evaluations]
    told = [column for column in (*METHOD_COLUMNS, *_MORE) if any(row.get(column.name) is not None for row in rows)]
    columns = [column for column in told if column.name in _FRONT] + [c for c in told if c.name not in _FRONT]
    result, setup = view.evaluations[0].result, view.setup
    note = (
        f"Measured on {result['test_images']:,} test images of {result['dataset_title']}; "
        f"recipe {setup.recipe_title}, student {setup.student}; ± is the spread over seeds."
    )
    result_table.draw(rows, columns, "accuracy", f"accuracy-{setup.dataset}-{setup.recipe}".replace("/", "-"), note)


def row(view: View, evaluation: Evaluation) -> dict[str, Any]:
    """Return the numbers of one evaluation by the names of the columns."""
    source = data.source_run(evaluation)
    found = method_row(evaluation, source, data.cosine(evaluation))
    if len(found["seeds"]) == 1:  # one student has no spread
        found |= {name: None for name in found if name.endswith("_std")}
    return found | {
        "method_title": view.label(evaluation),
        "students": len(found["seeds"]),
        "run": evaluation.result["source"],
    }
