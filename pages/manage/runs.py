"""Runs: all of them with their images, settings, time and size; find, compare, name, do again, delete, free disk."""

from __future__ import annotations

import streamlit as st

from pages.shared import cached, live, nav
from pages.shared.runs import compare, foreign_set, row, table, tidy
from pages.shared.runs import filter as runs_filter


def listed() -> None:
    """Draw everything that changes: the filters, the table, what can be done with the selected runs, the trash."""
    foreign_set.draw_work()
    runs, examples = cached.runs(), cached.examples()
    if not runs:
        st.info(
            "No runs yet. What you start in the app or with `delt recover` is listed here, and so is what you "
            "import of what others published."
        )
        nav.link("start/home", "Start a run")
    if runs or examples:
        found = runs_filter.chosen([*runs, *examples])
        if found:
            table.draw(found)
        else:
            st.info("No run is like that.", icon=":material/search_off:")
        tidy.draw()
        row.draw(table.selected(), len(found))
        compare.draw()
    tidy.trash_line()


def is_changing() -> bool:
    """Whether the page is to be drawn again by itself."""
    runs = cached.runs()
    return foreign_set.importing().is_running or any(run.is_active for run in runs) or not table.is_complete(runs)


st.title("Runs")
foreign_set.draw()
live.follow(is_changing, listed, poll_s=2.0)
