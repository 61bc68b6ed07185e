"""Compare, as the page of all runs shows it: those that the address names."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.runs.store import Run
from pages.shared import address, errors
from pages.shared.compare import panel
from pages.shared.controls import button, headline


def draw() -> None:
    """Draw the comparison that the address asks for, if it does: of two to four runs."""
    ids = [run_id for run_id in st.query_params.get("compare", "").split(",") if run_id]
    if not ids:
        return
    with st.container(border=True):
        with headline("Compare"):
            button("Close", "close", "runs/compare_close", address.say, "compare", "")
        runs = []
        for run_id in ids[: panel.MOST_RUNS]:
            try:
                runs.append(Run.open(run_id))
            except RunError as error:
                errors.show(error)
        if len(ids) < 2:
            st.caption("Tick a second run to compare.")
        panel.draw(runs, "runs/compared")
