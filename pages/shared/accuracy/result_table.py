"""Results as a table that sorts, and the same rows to take away as CSV, LaTeX and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from delt_engine.runs.tables import Column, to_csv, to_latex, to_markdown
from pages.shared.wording import plain

_FORMS = (
    ("CSV", "csv", "text/csv", ":material/table:"),
    ("LaTeX", "tex", "text/x-tex", ":material/functions:"),
    ("Markdown", "md", "text/markdown", ":material/notes:"),
)

_IDS = ("run", "evaluation", "source")
"""Columns that lead back to a run; a paper has no use for them."""

_MOST_ROWS = 15
"""Rows up to which the table shows all of them without scrolling."""


def draw(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], key: str, name: str, note: str) -> None:
    """Draw the table and its downloads.

    Args:
        rows: plain values by name.
        columns: what to show of them.
        key: first part of the widgets' keys.
        name: of the files, without the ending.
        note: where the numbers are from; below the table, and in the LaTeX and Markdown files.
    """
    shown, config = {}, {}
    for column in columns:
        shown[column.title] = [row.get(column.name) for row in rows]
        if column.digits is not None:
            config[column.title] = st.column_config.NumberColumn(format=f"%.{column.digits}f")
        if column.spread and any(row.get(column.spread) for row in rows):
            title = f"± {column.title}"
            shown[title] = [row.get(column.spread) for row in rows]
            config[title] = st.column_config.NumberColumn(
                "±", format=f"%.{column.digits or 0}f", width="small", help=f"Spread of: {column.title}."
            )
    height = "content" if len(rows) <= _MOST_ROWS else 560
    st.dataframe(
        pd.DataFrame(shown), hide_index=True, key=f"{key}/table", column_config=config, height=height, placeholder="–"
    )
    st.caption(plain(note))
    with st.container(horizontal=True, vertical_alignment="center"):
        for title, ending, mime, icon in _FORMS:
            st.download_button(
                title,
                lambda ending=ending: _text(ending, rows, columns, note),
                f"{name}.{ending}",
                mime,
                icon=icon,
                key=f"{key}/{ending}",
                on_click="ignore",
            )


def _text(ending: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], note: str) -> str:
    if ending == "csv":
        return to_csv(rows, columns)
    for_readers = [column for column in columns if column.name not in _IDS]
    return (to_latex if ending == "tex" else to_markdown)(rows, for_readers, note)
