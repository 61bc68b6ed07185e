"""What went wrong with a run: its sentence, and beneath it the end of its log."""

from __future__ import annotations

import streamlit as st

from delt_engine.runs.log import last_lines
from delt_engine.runs.store import Run
from pages.shared import errors


def show(run: Run) -> None:
    """Show the error of a run, where it has one; of one that failed the last lines of its log as well."""
    if not run.error:
        return
    errors.show(run.error)
    lines = last_lines(run.path) if run.status in ("failed", "interrupted") else []
    if lines:
        with st.expander("Last lines of the log"):
            st.code("\n".join(lines), language=None, wrap_lines=True)
