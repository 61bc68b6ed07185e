"""Runs: all of them with their images, settings, time and size; find, compare, name, do again, delete, free disk."""

from __future__ import annotations

import streamlit as st

from delt_engine.runs.store import Run
from pages.shared import address, cached, live, nav
from pages.shared.controls import button
from pages.shared.runs import compare, row, tidy
from pages.shared.runs import filter as runs_filter
from pages.shared.wording import plural

PER_PAGE = 10


def _pick_bar(runs: list[Run]) -> None:
    ids = [run.id for run in runs if st.session_state.get(f"runs/pick/{run.id}")]
    with st.container(horizontal=True, vertical_alignment="center"):
        if not ids:
            st.caption(f"{plural(len(runs), 'run')}. Tick two to compare them, any to delete them or to free disk.")
            return
        st.markdown(f"**{plural(len(ids), 'run')} ticked**", width="content")
        two = {"disabled": len(ids) != 2, "help": "Two runs side by side."}
        button("Compare", "compare", "runs/compare", address.say, "compare", ",".join(ids), **two)
        button("Free disk", "mop", "runs/free", tidy.ask_to_free, ids)
        button("Delete", "delete", "runs/delete", tidy.delete, ids)


def listed() -> None:
    """Draw everything that changes: what was asked, the filters, one page of the runs, the trash."""
    runs = cached.runs()
    tidy.draw()
    compare.draw()
    if runs:
        found = runs_filter.chosen(runs)
        _pick_bar(found)
        pages = max(1, -(-len(found) // PER_PAGE))
        at = min(st.pagination(pages, key="runs/page"), pages) if pages > 1 else 1
        for run in found[PER_PAGE * (at - 1) : PER_PAGE * at]:
            row.draw(run)
        if not found:
            st.info("No run is like that.", icon=":material/search_off:")
    else:
        st.info("No runs yet. What you start in the app or with `delt recover` is listed here.")
        nav.link("start/home", "Start a run")
    tidy.trash_line()


st.title("Runs")
live.follow(lambda: any(run.is_active for run in cached.runs()), listed, poll_s=2.0)
examples = cached.examples()
if examples:
    st.subheader("Examples")
    for example in examples:
        row.draw(example)
