"""A rerun with changes: what differs from the run it repeats, before it starts and after."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.runs.lineage import Change, changes
from delt_engine.runs.store import Run
from pages.shared.controls import button
from pages.shared.session import session
from pages.shared.wording import handle, plain, plural

NAMES = ("this run", "the run it repeats")


def parent() -> Run | None:
    """Return the run that the prepared one repeats, None when it repeats none or that one is gone."""
    try:
        return Run.open(session().parent) if session().parent else None
    except RunError:
        session().parent = ""
        return None


def draw_planned() -> None:
    """Draw which run is repeated and what was changed; nothing when none is repeated."""
    repeated = parent()
    if repeated is None or repeated.unreadable:
        return
    found, now = changes(repeated.experiment, session().draft), session()
    with st.container(border=True, key="recover/changes"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Rerun of **{plain(handle(repeated))}**", width="content")
            st.space("stretch")
            alone = "Keeps the settings; the run will stand alone."
            button("Not a rerun", "link_off", "recover/unlink", setattr, now, "parent", "", type="tertiary", help=alone)
        if not found:
            st.caption("Nothing is changed yet: change a setting below. Both runs will stand side by side.")
            return
        st.caption(f"{plural(len(found), 'setting')} changed:")
        _badges(found)


def draw_changes(run: Run, repeated: Run) -> None:
    """Draw the settings in which a run differs from the one it repeats."""
    found = changes(repeated.experiment, run.experiment)
    said = f"Repeats {plain(handle(repeated))} with {plural(len(found), 'change') if found else 'the same settings'}."
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(said, width="content")
        _badges(found)


def _badges(found: tuple[Change, ...]) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        for change in found:
            st.badge(plain(f"{change.title}: {' → '.join(change.words)}"), icon=":material/edit:", color="orange")
