"""A rerun with changes: what differs from the run it repeats, on the form before it starts."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.runs.lineage import Change, changes
from delt_engine.runs.store import Run
from pages.shared.session import session
from pages.shared.wording import plain, plural


def take(run: Run) -> None:
    """Prepare another run with this one's settings, to be changed."""
    session().draft, session().parent = run.experiment, run.id


def parent() -> Run | None:
    """Return the run that the prepared one repeats, None when it repeats none or that one is gone."""
    try:
        return Run.open(session().parent) if session().parent else None
    except RunError:
        session().parent = ""
        return None


def draw() -> None:
    """Draw which run is repeated and what was changed; nothing when none is repeated."""
    repeated = parent()
    if repeated is None or repeated.unreadable:
        return
    found = changes(repeated.experiment, session().draft)
    with st.container(border=True, key="recover/changes"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Rerun of **{plain(repeated.id)}**", width="content")
            st.space("stretch")
            st.button(
                "Not a rerun",
                key="recover/unlink",
                type="tertiary",
                icon=":material/link_off:",
                on_click=_unlink,
                help="Keeps the settings; the run will stand alone.",
            )
        if not found:
            st.caption("Nothing is changed yet: change a setting below. Both runs will stand side by side.")
            return
        st.caption(f"{plural(len(found), 'setting')} changed:")
        badges(found)


def badges(found: tuple[Change, ...]) -> None:
    """Draw each change as a badge: what, before, after."""
    with st.container(horizontal=True, gap="xsmall"):
        for change in found:
            st.badge(plain(f"{change.title}: {' → '.join(change.words)}"), icon=":material/edit:", color="orange")


def _unlink() -> None:
    session().parent = ""
