"""Which pages there are, in which section, and how one page leads to another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared import address

ROOT = Path(__file__).resolve().parents[2]
_HERE = Path(__file__).resolve().parent
LOGO = (_HERE / "logo.svg").read_text(encoding="utf-8")
ICON = (_HERE / "icon.svg").read_text(encoding="utf-8")

STYLE = """
@media (max-width: 1200px) { .stMainBlockContainer { padding-left: 2rem; padding-right: 2rem; } }
@media (max-width: 1200px) { .st-key-gallery-run, .st-key-lab-source { flex: 1 0 100% !important; } }
:is(.stSelectbox, .stNumberInput, .stTextInput) input { text-overflow: ellipsis; }
[data-testid$="NavLink"]:focus-visible, .stCheckbox label:has(:focus-visible) {
  outline: 2px solid #12908a !important; outline-offset: -2px;
}
.stSidebar [data-testid="stPageLink"] :is(a, p) { white-space: normal; overflow: visible; height: auto; }
"""
"""A narrow window is left to the page, where Streamlit keeps 5rem free on both sides, and a run is chosen on a line of
its own; names of runs are not cut off, and what is too long for its box ends in dots.
Links and checkboxes show the focus, which Streamlit tells by a tint that can hardly be seen."""


@dataclass(frozen=True)
class PageEntry:
    """One page: its file under ``pages/``, its section in the menu, its title and icon."""

    name: str
    section: str
    title: str
    icon: str

    @property
    def path(self) -> str:
        """The page's file, relative to app.py."""
        return f"pages/{self.name}.py"


PAGES = (
    PageEntry("start/home", "Start", "Home", ":material/home:"),
    PageEntry("distill/data_and_teachers", "Distill", "Data and teachers", ":material/dataset:"),
    PageEntry("distill/patches", "Distill", "Patches", ":material/grid_view:"),
    PageEntry("distill/recover", "Distill", "Recover", ":material/auto_awesome_motion:"),
    PageEntry("explore/gallery", "Explore", "Gallery", ":material/photo_library:"),
    PageEntry("explore/mi_ri_grid", "Explore", "MI x RI grid", ":material/grid_on:"),
    PageEntry("explore/early_late", "Explore", "Early vs late", ":material/compare:"),
    PageEntry("explore/diversity", "Explore", "Diversity", ":material/scatter_plot:"),
    PageEntry("explore/accuracy", "Explore", "Accuracy", ":material/leaderboard:"),
    PageEntry("study/papers", "Study", "Papers", ":material/table_view:"),
    PageEntry("study/applications", "Study", "Applications", ":material/content_cut:"),
    PageEntry("manage/runs", "Manage", "Runs", ":material/list_alt:"),
)
_BY_NAME = {entry.name: entry for entry in PAGES}


def navigation() -> Any:
    """Return the page the reader asked for, with the menu drawn; the first entry is the default."""
    sections: dict[str, list[Any]] = {}
    for entry in PAGES:
        page = st.Page(ROOT / entry.path, title=entry.title, icon=entry.icon, default=entry is PAGES[0])
        sections.setdefault(entry.section, []).append(page)
    chosen = st.navigation(sections, expanded=True)
    address.arrive(chosen.url_path)
    st.html(_HERE / "app.css")
    st.html(f"<style>:root {{ color-scheme: {st.context.theme.type or 'light dark'}; }}</style>")
    return chosen


def go(name: str, **query: str | int) -> None:
    """Leave this page for another one, for instance ``go("explore/gallery", run=run.id)``."""
    address.forget_replaced()
    st.switch_page(_BY_NAME[name].path, query_params=_query(query))


def link(name: str, label: str, *, icon: str | None = None, width: Any = "content", **query: str | int) -> None:
    """Draw a link to another page."""
    entry = _BY_NAME[name]
    st.page_link(entry.path, label=label, icon=icon or entry.icon, width=width, query_params=_query(query))


def _query(query: dict[str, str | int]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value != ""}
