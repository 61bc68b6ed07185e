"""One number in full: printed and measured, its runs, runs that come near, its settings with their sources."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.config import field_specs
from delt_engine.config.command_line import STAGE_RECORDS
from delt_engine.papers.cells import Cell
from delt_engine.papers.fits import Difference
from delt_engine.papers.kept import Kept
from delt_engine.papers.paper_tables import METRIC_TITLES, axis_label, axis_title
from delt_engine.papers.published import printed_with_spread
from delt_engine.pipeline.reproduce import cell_title
from delt_engine.pipeline.table_records import CellView, Measured, Near, TableView
from delt_engine.pipeline.table_view import differs_beyond
from delt_engine.runs.store import Run
from pages.shared import controls, nav
from pages.shared.papers import work
from pages.shared.papers.data import gap_words, here_words, spread_words
from pages.shared.runs import actions
from pages.shared.wording import handle, plain, sentence

_STATES = {
    "running": "It is at work.",
    "queued": "It waits for its turn.",
    "stopped": "It was begun and stopped; it goes on where it was.",
    "missing": "It was not measured here yet.",
}


def draw(view: TableView, one: CellView) -> None:
    """Draw a cell."""
    with st.container(border=True):
        st.subheader(plain(cell_title(view.table, one)))
        _numbers(one)
        if one.reason:
            st.markdown(plain(one.reason))
            return
        if one.same_as:
            st.caption(plain(f"At laptop scale this is the same experiment as {one.same_as}; it is computed once."))
        if one.state in _STATES and not (one.kept and one.state == "missing"):
            st.markdown(_STATES[one.state])
        work.draw_one(view, one)
        _runs("Measured by", one.runs, one)
        _beyond(one)
        if one.recovered and one.recovered not in one.runs:
            _runs("Its images", [one.recovered], one)
        _near(one.near)
        _settings(one)
        if one.cell is not None:
            work.draw_command(work.command(view, one))


def _numbers(one: CellView) -> None:
    value, here, kept = one.value, one.measured, one.kept
    what = METRIC_TITLES[value.metric]
    with st.container(horizontal=True):
        if value.is_printed:
            st.metric(f"Printed, {value.where}", printed_with_spread(value), help=what, width="content")
        if kept is not None:
            st.metric("Comes with DELT Studio", _spread(*kept.shown), width="content", help=what)
            if kept.last is not None:
                st.metric("Its last epoch", _spread(kept.last, kept.last_std), width="content", help=what)
        elif here is None:
            return
        elif here.best is not None:
            st.metric("Here, best tested epoch", _spread(here.best, here.best_std), width="content", help=what)
            st.metric("Here, last epoch", _spread(here.mean, here.std), width="content", help=what)
        else:
            st.metric("Here", _spread(here.mean, here.std), width="content", help=what)
        if one.gap is not None:
            st.metric(
                "Gap to the printed number", gap_words(one.gap, value), width="content", help="Measured less printed."
            )
    source = _of_kept(kept) if kept else _of(here) if here else ""
    st.caption(plain(" · ".join(filter(None, [source, _assumed(one)]))))


def _of_kept(kept: Kept) -> str:
    return f"n = {kept.n} · {kept.on} · {kept.day} · its runs are not here"


def _of(here: Measured) -> str:
    return " · ".join(filter(None, [f"n = {here.n}", here.device]))


def _assumed(one: CellView) -> str:
    names = [f"{axis_title(name)} {axis_label(one.value, name)}" for name in one.value.assumed]
    return f"Not in the table itself, taken from the text or equal numbers: {', '.join(names)}" if names else ""


def _spread(number: float, spread: float | None) -> str:
    return here_words(number) + (f" ± {spread_words(spread, number)}" if spread is not None else "")


def _runs(title: str, runs: Sequence[Run], one: CellView) -> None:
    for run in runs:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{title} **{plain(handle(run))}** :gray[{plain(run.id)}]", width="content")
            actions.open_button(run, f"papers/{one.state}")
            nav.link("manage/runs", "In the list of runs", run=run.id)


def _near(near: Sequence[Near]) -> None:
    """Draw the runs that ask the same with other settings, and in which settings the chosen one differs."""
    if not near:
        return
    st.markdown("**Runs that ask the same with other settings**")
    runs = {each.run.id: each for each in near}
    titles = {
        name: f"{_near_number(each.measured)} · {handle(each.run)} · {len(each.differences)} settings differ"
        for name, each in runs.items()
    }
    look = {"segmented": False, "label_visibility": "collapsed"}
    chosen = runs[controls.choice("Run", titles, "papers/near", **look)]
    st.dataframe(_differences(chosen.differences), hide_index=True, key="papers/differences")
    actions.open_button(chosen.run, "papers/near")


def _beyond(one: CellView) -> None:
    """Draw in what a number that has all of its settings still differs from the published code."""
    if found := differs_beyond(one):
        st.markdown("**Differs from the published code, whatever is set**")
        controls.table(_differences(found))


def _differences(found: Sequence[Difference]) -> list[dict[str, str]]:
    return [
        {"Setting": each.name, "Here": each.here, "Published": each.published, "From": each.source} for each in found
    ]


def _near_number(here: Measured) -> str:
    return _spread(here.mean, here.std) if here.best is None else _spread(here.best, here.best_std)


def _settings(one: CellView) -> None:
    cell = one.cell
    if cell is None:  # its images were imported
        return
    if cell.scaled:
        with st.expander("What laptop scale makes smaller"):
            controls.table([{"Setting": name, "Printed": was, "Here": now} for name, was, now in cell.scaled])
        return
    rows = settings_rows(cell)
    if rows:
        with st.expander(f"Its {len(rows)} printed settings, with their tables"):
            st.dataframe(rows, hide_index=True, key="papers/settings")


def settings_rows(cell: Cell) -> list[dict[str, str]]:
    """Return the settings of a cell that its paper states, what its own row varies first."""
    rows = []
    for name in sorted(cell.origins, key=lambda name: name not in cell.varied):
        stage, _, setting = name.partition(".")
        record = cell.experiment if stage == "experiment" else getattr(cell.experiment, stage)
        specs = {spec.name: spec.title for spec in field_specs(STAGE_RECORDS[stage])}
        shown = getattr(record, setting)
        words = f"{shown:g}" if isinstance(shown, float) else str(shown)
        title = specs.get(setting, sentence(setting.replace("_", " ")))
        what = "" if stage == "experiment" else sentence(stage)
        rows.append({"Stage": what, "Setting": title, "Value": words, "From": cell.origins[name]})
    return rows
