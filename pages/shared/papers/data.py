"""What the page of the papers knows: a table as it stands here, how much of each was measured, and how numbers read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from delt_engine.jobs import tasks
from delt_engine.papers import laptop
from delt_engine.papers.cells import Scale, why_not
from delt_engine.papers.paper_tables import TABLES, axis, axis_label, axis_title, find_table
from delt_engine.papers.published import PublishedValue, all_published
from delt_engine.papers.table_record import PaperTable
from delt_engine.pipeline.table_records import CellView, TableView
from delt_engine.pipeline.table_view import read_besides_runs, table_view, views
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.cached import until_changed
from pages.shared.runs.strips import stamp

SCALES: dict[Scale, str] = {"paper": "As printed", "laptop": "Laptop"}

COST_TABLES = ("delt-6", "delt-fig12")
"""Tables of hours."""


KEPT_WORDS = "Comes with DELT Studio, without its runs; your own take its place. Measured"


class Counts(NamedTuple):
    """Numbers of a table: printed, those that can be measured here, those that were, here or before."""

    printed: int
    reachable: int
    measured: int


def task_of(table_id: str, scale: Scale) -> tasks.Task:
    """Return the work on a table at a scale: one process at a time."""
    return tasks.task("reproduce", table_id, scale)


def view_of(table_id: str, scale: Scale) -> TableView:
    """Return a table as it stands now."""
    runs, work = _runs(), task_of(table_id, scale)
    now = tuple((str(run.path), stamp(run.path / "run.json"), run.status) for run in runs)
    besides = tuple((path, stamp(path)) for path in read_besides_runs())
    return _view(table_id, scale, (now, besides, work.state, work.last_words()), runs)


@st.cache_resource(max_entries=16, show_spinner=False)
def _view(table_id: str, scale: Scale, now: object, _runs: list[Run]) -> TableView:  # noqa: ARG001 (part of the key)
    return table_view(table_id, scale, runs=_runs)


def counts(scale: Scale) -> dict[str, Counts]:
    """Return how much of each table there is, by its id."""
    return _counts(scale)


def _records(*_arguments: object) -> Iterable[Path]:
    return (*(run.path / "run.json" for run in _runs()), *read_besides_runs())


@until_changed(_records, max_entries=4)
def _counts(scale: Scale) -> dict[str, Counts]:
    return {view.table.id: _count(view) for view in views(TABLES, scale, runs=_runs())}


def _count(view: TableView) -> Counts:
    printed = sum(one.value.is_printed for one in view.cells)
    return Counts(printed, view.reachable, sum(one.is_known for one in view.cells))


def _runs() -> list[Run]:
    return [*cached.runs(), *cached.examples()]


@lru_cache(maxsize=1)
def reachable_of_all() -> tuple[int, int]:
    """Return how many numbers the papers print, and how many of them can be measured here."""
    values = all_published()
    return len(values), sum(not why_not(value) for value in values)


def cell_id(one: CellView) -> str:
    """Return what the address calls a cell: its places on the table's axes."""
    return ",".join((*one.row, *one.column))


@lru_cache(maxsize=512)
def place_of(value: PublishedValue) -> tuple[PaperTable, str]:
    """Return the table that prints a number, and the cell's id in it."""
    table = find_table(f"{value.source}-{value.table.split()[-1]}")
    return table, ",".join(axis(value, name) for name in (*table.rows, *table.columns))


@lru_cache(maxsize=1024)
def place_words(value: PublishedValue) -> str:
    """Return where a number stands, for people and for whoever searches: dataset, IPC, method, student, what varies."""
    table, _ = place_of(value)
    usual = ("dataset", "ipc", "method", "student")
    names = dict.fromkeys((*usual, *table.rows, *table.columns))
    labels = {name: axis_label(value, name) for name in names if axis(value, name)}
    words = (
        label if name in (*usual[2:], "dataset") else f"{axis_title(name)} {label}" for name, label in labels.items()
    )
    return " · ".join(words)


def here_words(number: float) -> str:
    """Return a measured number: one decimal, of small ones three digits.

    >>> here_words(43.04), here_words(0.0841)
    ('43.0', '0.0841')
    """
    return f"{number:,.1f}" if abs(number) >= 10 else f"{number:.3g}"


def spread_words(spread: float, number: float) -> str:
    """Return the spread of a measured number with its decimals."""
    return f"{spread:.1f}" if abs(number) >= 10 else f"{spread:.2g}"


def gap_words(gap: float, value: PublishedValue) -> str:
    """Return a gap with its sign: in tenths of a point, of hours and other measures two digits.

    >>> gap_words(-0.94, all_published()[0]), gap_words(-0.04, all_published()[0])
    ('−0.9', '0.0')
    """
    text = f"{gap:+.1f}" if value.metric.startswith("top") else f"{gap:+.2g}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def laptop_words() -> str:
    """Return how the axes are made smaller at laptop scale, in a sentence."""
    ipcs = ", ".join(f"{printed} to {here}" for printed, here in laptop.IMAGES_PER_CLASS.items() if here != printed)
    return (
        f"Laptop scale: MI and RI divided by {laptop.ITERATIONS}, epochs by {laptop.EPOCHS:g}, IPC {ipcs}; built-in "
        "datasets and narrow networks. The order of values may be compared, the values may not."
    )
