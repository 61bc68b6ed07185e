"""Which table the page of the papers shows, at which scale, and the search for any printed number."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.papers.cells import Scale
from delt_engine.papers.paper_tables import METRIC_TITLES, TABLES, find_table
from delt_engine.papers.published import PAPERS, PublishedValue, printed_with_spread
from delt_engine.papers.table_record import PaperTable
from pages.shared import address, controls
from pages.shared.papers import data, search
from pages.shared.papers.data import SCALES, Counts
from pages.shared.papers.matrix import CHOSEN
from pages.shared.wording import plural

TABLE, SCALE, FOUND = "papers/id", "papers/scale", "papers/find"
REAL_ROW: tuple[str, Scale] = ("delt-1", "paper")
"""Table and scale that come first where something of them was measured."""
SMALL: tuple[str, Scale] = ("delt-4c", "laptop")
"""What comes first else."""

MANY_ROWS = 7
"""Rows of a table from which on those without a measured number can be hidden."""


def choose() -> tuple[PaperTable, Scale]:
    """Draw the choices and return the table and the scale; the address keeps both."""
    first, first_scale = _first()
    tables = {table.id: table for paper in PAPERS for table in TABLES if table.paper == paper}
    address.restore("scale", SCALE, address.member(SCALES))
    known = data.counts(st.session_state.get(SCALE) or first_scale)
    titles = {name: f"{table.where} · {table.title} · {_counted(known[name])}" for name, table in tables.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        look = {"default": first, "always": True}
        address.tell_stranger("table", TABLE, tables, "table")
        chosen = controls.linked_choice("table", "Table or figure", titles, TABLE, **look)
        what = (
            "As printed: the paper's data, networks and iterations. Laptop: the same axes on a built-in dataset, all "
            "numbers divided alike, in minutes; only the order of values may be compared."
        )
        look = {"default": first_scale, "segmented": True, "always": True, "help": what, "width": "content"}
        scale: Scale = controls.linked_choice("scale", "Scale", SCALES, SCALE, **look)
    _search()
    return find_table(chosen), scale


def _first() -> tuple[str, Scale]:
    """Return what the page opens with: the real row where there is one, else a small table at laptop scale."""
    return REAL_ROW if any(one.known for one in data.view_of(*REAL_ROW).cells) else SMALL


def _counted(counts: Counts) -> str:
    if not counts.printed and not counts.reachable:
        return "settings or drawings"
    printed = f"{counts.printed} printed" if counts.printed else "no numbers printed"
    here = f"{counts.measured} of {counts.reachable} here" if counts.reachable else "none can be measured here"
    return f"{printed}, {here}"


def _search() -> None:
    """Draw the search over all printed numbers; a click on one opens its table with its cell chosen."""
    printed, _ = data.reachable_of_all()
    label = f"Find any of the {printed} printed numbers"
    hint = "Paper, table, dataset, method or network, as: cifar10 delt resnet18 ipc10, or 64.9"
    asked = st.text_input(label, key=FOUND, placeholder=hint, icon=":material/search:")
    if not asked.strip():
        return
    found = search.find(asked)
    if not found:
        st.caption("None of the printed numbers has all of these words.")
        return
    rows, key = [_row(value) for value in found], f"papers/hits/{asked}"
    height = "content" if len(rows) <= 8 else 320
    look = {"hide_index": True, "selection_mode": "single-row", "height": height}
    st.dataframe(rows, key=key, on_select=lambda: _take_hit(key, found), **look)
    st.caption(f"{plural(len(found), 'number')}. Select a row to open its table.")


def _row(value: PublishedValue) -> dict[str, str]:
    return {
        "Printed": printed_with_spread(value),
        "What": METRIC_TITLES[value.metric],
        "Of": data.place_words(value),
        "From": value.where,
    }


def _take_hit(key: str, found: Sequence[PublishedValue]) -> None:
    """Go to the number whose row was selected in the hits."""
    for row in st.session_state[key]["selection"]["rows"]:
        table, cell = data.place_of(found[row])
        st.session_state[TABLE], st.session_state[CHOSEN] = table.id, cell
