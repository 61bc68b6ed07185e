"""A table in the paper's own form: what was printed and what was measured here in each cell; a click chooses one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from delt_engine.papers.kept import MARK
from delt_engine.papers.paper_tables import axis_label, axis_title
from delt_engine.papers.published import PublishedValue, printed_with_spread
from delt_engine.pipeline.table_records import CellView, TableView
from delt_engine.plots.style import METHOD_COLOURS
from pages.shared import address
from pages.shared.component import component, versioned
from pages.shared.papers.data import cell_id, gap_words, here_words, place_words, spread_words
from pages.shared.wording import plural

KEY, CHOSEN = "papers/table", "papers/cell"

_NOISE = 1.0
"""Points up to which a gap counts as none, in colour."""

_STATES = {"running": "at work…", "queued": "queued", "stopped": "stopped", "not here": "not here", "missing": ""}
_LOOKS = {"running": "running", "queued": "waiting", "stopped": "waiting", "not here": "absent"}
_component = component("papers_table")


def draw(view: TableView, *, only_measured: bool = False) -> CellView | None:
    """Draw the table and return the chosen cell, if one is chosen; the address keeps it."""
    rows = _grouped(one.row for one in view.cells if not only_measured or one.known)
    columns = _grouped(one.column for one in view.cells if one.row in rows)
    placed = {(one.row, one.column): one for one in view.cells}
    first = {one.row: one.value for one in reversed(view.cells)}
    top = {one.column: one.value for one in reversed(view.cells)}
    ids = {cell_id(one): one for one in view.cells}
    address.restore("cell", CHOSEN, address.member(ids))
    chosen = st.session_state.get(CHOSEN, "")
    data = {
        "title": f"{view.table.where}: {view.table.title}",
        "down": [axis_title(name) for name in view.table.rows],
        "across": [axis_title(name) if _is_number(top, name) else "" for name in view.table.columns],
        "columns": [_labels(top[column], view.table.columns) for column in columns],
        "rows": [
            {
                "labels": _labels(first[row], view.table.rows),
                "cells": [_cell(placed.get((row, column))) for column in columns],
            }
            for row in rows
        ],
    }
    _component(key=KEY, data=versioned(data) | {"chosen": chosen}, on_picked_change=_take)
    address.publish("cell", CHOSEN, chosen if chosen in ids else "")
    return ids.get(chosen)


def _is_number(top: Mapping[Any, PublishedValue], name: str) -> bool:
    """Whether the labels of an axis across are numbers, which say nothing without its name."""
    return all(axis_label(value, name)[:1].isdigit() for value in top.values())


def _grouped(places: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return places in their order, each once, those that begin alike beside each other.

    >>> _grouped([("a", "x"), ("b", "x"), ("a", "y")])
    [('a', 'x'), ('a', 'y'), ('b', 'x')]
    """
    found = list(dict.fromkeys(places))
    begun = {place[:depth]: at for at, place in reversed(list(enumerate(found))) for depth in range(1, len(place))}
    return sorted(found, key=lambda place: [begun[place[:depth]] for depth in range(1, len(place))])


def _take() -> None:
    st.session_state[CHOSEN] = str(st.session_state[KEY]["picked"]).strip(";")


def _labels(value: PublishedValue, names: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"text": axis_label(value, name), "colour": METHOD_COLOURS.get(value.method, "") if name == "method" else ""}
        for name in names
    ]


def _cell(one: CellView | None) -> dict[str, Any] | None:
    if one is None:
        return None
    value = one.value
    made = {
        "id": cell_id(one),
        "printed": value.printed,
        "spread": value.printed_std,
        "state": _LOOKS.get(one.state, ""),
        "hint": hint(one),
    }
    if one.known is None or one.state == "running":
        words = "images made" if one.state == "finished" else _STATES.get(one.state, "")
        words = words or (f"{len(one.near)} near" if one.near else "" if value.is_printed else "not yet")
        look = made["state"] or ("waiting" if words else "")
        return made | {"here": words, "state": look, "hereSpread": "", "gap": "", "side": ""}
    number, spread = one.known.shown
    gap = one.gap
    side = "" if gap is None else "near" if abs(gap) <= _NOISE else "above" if gap > 0 else "below"
    return made | {
        "here": here_words(number),
        "state": made["state"] or ("kept" if one.kept else ""),
        "mark": MARK if one.kept else "",
        "hereSpread": spread_words(spread, number) if spread is not None else "",
        "gap": gap_words(gap, value) if gap is not None else "",
        "side": side if value.metric.startswith("top") else "near" if gap is not None else "",
    }


def hint(one: CellView) -> str:
    """Return what is said of a cell when it is pointed at: what it is, each number with its source, what is missing."""
    value, lines = one.value, [place_words(one.value)]
    if value.is_printed:
        lines.append(f"Printed: {printed_with_spread(value)} ({value.where})")
    if one.known:
        number, spread = one.known.shown
        words = f" ± {spread_words(spread, number)}" if spread is not None else ""
        what = "best tested epoch, " if one.cell and one.cell.measure == "accuracy" else ""
        source = "Comes with DELT Studio" if one.kept else "Measured here"
        lines.append(f"{source}: {here_words(number)}{words} ({what}n = {one.known.n})")
    elif one.reason:
        lines.append(one.reason)
    else:
        lines.append(f"Measured here: {_STATES.get(one.state) or 'not yet'}")
    if one.kept and _STATES.get(one.state):
        lines.append(f"Here: {_STATES[one.state]}")
    if one.same_as:
        lines.append(f"The same experiment here as {one.same_as}, computed once")
    if one.near and not one.known:
        lines.append(f"{plural(len(one.near), 'run')} with other settings")
    return "\n".join(lines)
