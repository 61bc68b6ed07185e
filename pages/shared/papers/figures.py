"""The figure of a table: which form its numbers take, and which of its axes is which of the figure's."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.papers.crop_distribution import crop_distributions
from delt_engine.papers.kept import MARK
from delt_engine.papers.paper_tables import METRIC_TITLES, axis, axis_label, axis_title
from delt_engine.papers.table_record import PaperTable
from delt_engine.pipeline.table_records import CellView, TableView
from delt_engine.plots import papers
from delt_engine.plots.crop_distribution import crop_figure
from delt_engine.plots.papers import Axes, Form, Mark
from pages.shared import figure
from pages.shared.papers.matrix import hint

_ORDERED = ("ipc", "alpha", "batch_size", "classes", "crop_lower", "crop", "epochs", "milestone", "patches")
"""Axes whose values follow one another, so that a line may run through them."""

_HEAT = ("delt-4c",)


def draw(view: TableView, *, only_measured: bool = False) -> None:
    """Draw the figure of a table, if it has numbers."""
    rows = {one.row for one in view.cells if one.known or not only_measured}
    cells = [one for one in view.cells if one.row in rows and (one.value.is_printed or one.known)]
    if len(cells) < 2:
        return
    form, x, series, panel = layout(view.table)
    marks = [_mark(one, x, series, panel) for one in cells]
    is_one_scale = view.scale == "paper"
    metrics = list(dict.fromkeys(METRIC_TITLES[one.value.metric] for one in cells))
    y = metrics[0] if len(metrics) == 1 else ""
    axes = Axes(_title(x), y, _title(series), is_one_scale)
    figure.draw(papers.table_figure(form, marks, axes), f"papers/figure/{view.table.id}")
    if any(one.known for one in cells):
        words = (
            "Pale or dotted: printed. Solid, with whiskers: measured here."
            if is_one_scale
            else "Panels of two kinds: as printed, and measured here at laptop scale; only the order may be compared."
        )
        kept = f" Among them are those marked {MARK} in the table, which come with DELT Studio."
        st.caption(words + (kept if any(one.kept for one in cells) else ""))


def draw_crops() -> None:
    """Draw where random crops fall, from hard to easy bounds (CDA Figure 2)."""
    figure.draw(crop_figure(crop_distributions()), "papers/figure/cda-fig2")
    st.caption("1,000 seeded crops for each range of the area: their centres, then 30 and 10 of them.")


def layout(table: PaperTable) -> tuple[Form, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the form of a table's figure, and which axes stand along x, make series, and make panels."""
    if table.id in _HEAT:
        return "heat", table.columns, table.rows, ()
    names = (*table.rows, *table.columns)
    panel = tuple(name for name in names if name == "metric") or _first_of_two(table)
    names = tuple(name for name in names if name not in panel)
    ordered = [name for name in names if name in _ORDERED and (name in table.compared or name == "classes")]
    if not ordered and table.columns == ("method",) and table.rows == ("ipc",):
        ordered = ["ipc"]
    if ordered:
        return "lines", (ordered[0],), tuple(name for name in names if name != ordered[0]), panel
    others = tuple(name for name in names if name not in table.compared)
    if not others or others == ("dataset",) and table.compared != ("method",):
        return "bars", tuple(name for name in names if name in table.compared), others, panel
    return "bars", others, tuple(name for name in names if name in table.compared), panel


def _first_of_two(table: PaperTable) -> tuple[str, ...]:
    """Return the upper axis of two across, whose values each have a panel: students, or numbers of steps."""
    return table.columns[:1] if len(table.columns) == 2 and table.columns[0] in ("student", "steps") else ()


def _mark(one: CellView, x: Sequence[str], series: Sequence[str], panel: Sequence[str]) -> Mark:
    value = one.value
    here, spread = one.known.shown if one.known else (None, None)
    return Mark(
        x=tuple(_label(one, name, alone=len(x) == 1) for name in x),
        series=_words(one, series),
        method=value.method if "method" in series else "",
        printed=value.value if value.is_printed else None,
        here=here,
        printed_spread=value.std or 0.0,
        here_spread=spread or 0.0,
        panel=_words(one, panel, alone=False),
        words=hint(one).replace("\n", "<br>"),
    )


def _words(one: CellView, names: Sequence[str], *, alone: bool = True) -> str:
    found = [_label(one, name, alone=alone and len(names) == 1) for name in names if axis(one.value, name)]
    return ", ".join(found)


def _label(one: CellView, name: str, *, alone: bool) -> str:
    """Return a place on an axis; a number among others says of what it is."""
    label = axis_label(one.value, name)
    return label if alone or not label[:1].isdigit() else f"{axis_title(name)} {label}"


def _title(names: Sequence[str]) -> str:
    return axis_title(names[0]) if len(names) == 1 else ""
