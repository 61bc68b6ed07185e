"""Results as a table that sorts, and the same rows to take away as CSV, LaTeX and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from delt_engine.runs.tables import Column, to_csv, to_latex, to_markdown
from pages.shared.controls import download
from pages.shared.wording import plain

_IDS = ("run", "evaluation", "source")
"""Columns that lead back to a run; a paper has no use for them."""

_MOST_ROWS = 15
"""Rows up to which the table shows all of them without scrolling."""


def draw(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], key: str, name: str, note: str) -> None:
    """Draw the table and its downloads; columns without any value are left out.

    ``name`` is the files', without the ending; ``note`` says where the numbers are from, also in LaTeX and Markdown.
    """
    shown, config = {}, {}
    columns = [column for column in columns if any(row.get(column.name) is not None for row in rows)]
    for column in columns:
        shown[column.title] = [row.get(column.name) for row in rows]
        if column.digits is not None:
            form = f"%.{column.digits}f" if column.digits else "localized"
            config[column.title] = st.column_config.NumberColumn(format=form)
        if column.spread and any(row.get(column.spread) for row in rows):
            title, form = f"± {column.title}", f"%.{column.digits or 0}f"
            shown[title] = [row.get(column.spread) for row in rows]
            config[title] = st.column_config.NumberColumn(
                "±", format=form, width="small", help=f"Spread of: {column.title}."
            )
    look = {"hide_index": True, "column_config": config, "placeholder": "–"}
    height = "content" if len(rows) <= _MOST_ROWS else 560
    st.dataframe(shown, key=f"{key}/table", height=height, **look)
    st.caption(plain(note))
    for_papers = [column for column in columns if column.name not in _IDS]
    with st.container(horizontal=True, vertical_alignment="center"):
        for title, ending, mime, icon, text in (
            ("CSV", "csv", "text/csv", "table", lambda: to_csv(rows, columns)),
            ("LaTeX", "tex", "text/x-tex", "functions", lambda: to_latex(rows, for_papers, note)),
            ("Markdown", "md", "text/markdown", "notes", lambda: to_markdown(rows, for_papers, note)),
        ):
            download(title, icon, f"{key}/{ending}", text, f"{name}.{ending}", mime)
