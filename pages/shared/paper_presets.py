"""The papers' presets in a form: the choice of one, and what it changes against the defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from delt_engine.config.command_line import STAGE_RECORDS
from delt_engine.papers.presets import PRESETS, Change, changes
from delt_engine.papers.recipes import PublishedExperiment
from pages.shared import controls
from pages.shared.wording import plain


def choice(page: str, names: Sequence[str], dataset: str, what: str, take: Callable[[], None]) -> str | None:
    """Draw the choice of a preset and return its name, those of ``dataset`` first.

    The widget's key is "<page>/paper"; ``what`` says what a preset sets, and ``take`` takes over a new one.
    """
    names = sorted(names, key=lambda name: PRESETS[name].dataset != dataset)
    look = {"format_func": lambda name: PRESETS[name].title, "placeholder": "DELT, CDA, SRe²L or RDED on a dataset"}
    help_text = f"Sets {what} as the paper has them; `--preset` takes them on the command line."
    return st.selectbox(
        "From a paper's table", names, index=None, key=f"{page}/paper", on_change=take, help=help_text, **look
    )


def draw_changes(found: PublishedExperiment, stages: Sequence[str], page: str) -> None:
    """Draw a table of what an experiment of a paper changes against the defaults, out of the way."""
    rows = changes(found, stages)
    with st.expander(f"What the preset changes: {len(rows)} settings", key=f"{page}/paper_changes"):
        controls.table([_row(change) for change in rows])


def _row(change: Change) -> dict[str, str]:
    stage, _, name = change.setting.partition(".")
    title, (default, value) = controls.spec_of(STAGE_RECORDS[stage], name).title, change.words
    return {"Setting": title, "Default": plain(default), "Preset": plain(value), "From": plain(change.origin)}
