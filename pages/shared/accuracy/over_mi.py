"""Accuracy over MI, as `delt compare --over-mi` measured it; nothing where nobody has measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from delt_engine.analysis.mi_curves import curves, described, rows_of
from delt_engine.plots.accuracy import MiCurve, Score, accuracy_over_mi
from delt_engine.runs.tables import MI_COLUMNS
from pages.shared import controls, figure, tables
from pages.shared.wording import METHOD_TITLES, plain


def draw(dataset: str) -> None:
    """Draw the curves, of which the reader chooses one; those on ``dataset`` come first."""
    found = dict(enumerate(curves(dataset)))
    if not found:
        return
    with st.expander("Accuracy over MI: what fewer iterations cost", icon=":material/trending_up:"):
        chosen = 0
        if len(found) > 1:
            titles = {place: _title(record) for place, record in found.items()}
            chosen = controls.choice("Measured", titles, "accuracy/curve", segmented=False)
        record = found[chosen]
        figure.draw(accuracy_over_mi([_curve(record, method) for method in record["methods"]]), "accuracy/over-mi")
        name = f"over-mi-{record['dataset']}"
        tables.draw(record["rows"], MI_COLUMNS, "accuracy/mi", name, described(record))
        controls.command(record["command"])


def _curve(record: Mapping[str, Any], method: str) -> MiCurve:
    title, ipc, students = METHOD_TITLES[method], record["ipc"], record["seeds"]
    scores = {
        row["iterations"]: Score(title, method, ipc, row["top1_last"], row["top1_last_std"], students)
        for row in rows_of(record, method)
    }
    return MiCurve(title, method, scores)


def _title(record: Mapping[str, Any]) -> str:
    return plain(f"{record['dataset_title']}, IPC {record['ipc']}, {record['training']}")
