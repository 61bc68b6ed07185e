"""Papers: every table and figure of DELT and CDA, printed beside what was measured here, and a button for the rest."""

from __future__ import annotations

import streamlit as st

from delt_engine.papers.cells import Scale
from delt_engine.papers.kept import MARK
from delt_engine.papers.table_record import PaperTable
from delt_engine.pipeline.table_records import TableView
from pages.shared import cached, controls, errors, live, nav
from pages.shared.papers import cell, choice, cost, data, figures, images, matrix, settings, work
from pages.shared.wording import plain, plural


def draw_table(table: PaperTable, scale: Scale) -> None:
    """Draw everything that changes while cells are run."""
    view = data.view_of(table.id, scale)
    work.draw(view)
    only_measured = draw_filter(view)
    chosen = matrix.draw(view, only_measured=only_measured)
    draw_legend(view)
    if chosen is not None:
        cell.draw(view, chosen)
    if table.id not in data.COST_TABLES or (table.id, scale) == ("delt-6", "laptop"):
        figures.draw(view, only_measured=only_measured)
    images.draw(view)
    if table.id in data.COST_TABLES:
        cost.draw(scale)
    work.draw_command(work.command(view))


def draw_filter(view: TableView) -> bool:
    """Draw the switch that hides rows without a measured number, where there are both kinds."""
    rows, measured = ({one.row for one in view.cells if one.known or is_any} for is_any in (True, False))
    if len(rows) < choice.MANY_ROWS or not measured or measured == rows:
        return False
    is_usual = (view.table.id, view.scale) == choice.REAL_ROW
    return st.toggle("Only rows with a measured number", is_usual, key=f"papers/only/{view.table.id}/{view.scale}")


def draw_legend(view: TableView) -> None:
    """Say what the numbers of a cell are, and whether the paper's order holds here."""
    if all(one.value.metric == "images" for one in view.cells):
        return
    is_printed = any(one.value.is_printed for one in view.cells)
    printed = f"Above: printed, {view.table.where}. " if is_printed else ""
    here = "Below, bold: measured here by runs with the same settings"
    here += ", then the gap. " if view.scale == "paper" else " at laptop scale. "
    best = ""
    if any(one.cell and one.cell.measure == "accuracy" for one in view.cells):
        best = "Accuracies are of the best tested epoch, as papers report"
        if any(one.known and one.known.last is not None for one in view.cells):
            more = " and in what they still differ from the published code" if view.scale == "paper" else ""
            best += f"; a click on a cell shows the last epoch{more}"
        best += "."
    st.caption(f"{printed}{here}{best}")
    if machines := sorted({one.kept.on for one in view.cells if one.kept}):
        st.caption(plain(f"{MARK} {data.KEPT_WORDS} on {'; '.join(machines)}."))
    if is_printed and any(one.known for one in view.cells):
        st.markdown(f"**{plain(view.order.sentence)}**", help="Held against each other: the numbers in the cells.")


def draw_intro(table: PaperTable, scale: Scale) -> None:
    """Say what the table shows, and at laptop scale what is made smaller."""
    st.subheader(plain(f"{table.where}: {table.title}"))
    st.markdown(plain(" ".join(filter(None, (table.caption, table.note)))))
    mapping = data.view_of(table.id, scale).mapping
    if mapping:
        with st.expander(data.laptop_words()):
            controls.table([{"Setting": name, "Printed": was, "Here": now} for name, was, now in mapping])


st.title("Papers")
printed, reachable = data.reachable_of_all()
st.write(
    f"Every table and figure of DELT and CDA, beside what was measured here. {printed} numbers are printed, "
    f"{reachable} of them can be measured here."
)
with errors.shown():
    table, scale = choice.choose()
    if broken := [run for run in cached.runs() if run.unreadable]:
        st.caption(f"{plural(len(broken), 'run')} cannot be read and count for nothing here.")
        nav.link("manage/runs", "Runs")
    draw_intro(table, scale)
    if table.is_settings:
        settings.draw(table)
    elif table.id == "cda-fig2":
        figures.draw_crops()
    elif data.view_of(table.id, scale).cells:
        live.follow(lambda: work.is_active(table.id, scale), lambda: draw_table(table, scale), 2.0)
