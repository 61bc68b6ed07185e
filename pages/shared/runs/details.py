"""All about one run: what the reader calls it, where it is, how it was made, and what can be done with it."""

from __future__ import annotations

import shlex

import streamlit as st

from delt_engine.runs import space
from delt_engine.runs.store import Run
from delt_engine.runs.titles import RunTitle, is_example, read_title, write_title
from pages.shared import errors
from pages.shared.runs import actions, tidy
from pages.shared.wording import duration, plain, size


def draw(run: Run) -> None:
    """Draw the details of a run."""
    st.divider()
    left, right = st.columns([5, 7], gap="large")
    with left:
        if is_example(run):
            st.caption("An example that ships with the project: it stays as it is.")
        elif not run.unreadable:
            _labels(run)
    with right:
        st.caption("Folder")
        st.code(str(run.path), language=None, wrap_lines=True)
        if not run.unreadable:
            st.caption("Command")
            st.code(shlex.join(run.record().command), language="bash", wrap_lines=True)
            st.caption(plain(_origin(run)))
    with st.container(horizontal=True, vertical_alignment="center"):
        if not run.unreadable:
            actions.again_buttons(run, "runs")
        if not is_example(run) and not run.is_active:
            st.button(
                "Free disk",
                icon=":material/mop:",
                key=f"runs/free/{run.id}",
                on_click=tidy.ask_to_free,
                args=([run.id],),
            )
            st.button(
                "Delete", icon=":material/delete:", key=f"runs/delete/{run.id}", on_click=tidy.delete, args=([run.id],)
            )


def _labels(run: Run) -> None:
    labels, key = read_title(run), f"runs/{{}}/{run.id}"
    with st.form(key.format("labels"), border=False):
        title = st.text_input("Title", labels.title, key=key.format("title"), max_chars=80)
        tags = st.text_input("Tags", ", ".join(labels.tags), key=key.format("tags"), placeholder="Separated by commas")
        note = st.text_area("Note", labels.note, key=key.format("note"), height=80)
        is_saved = st.form_submit_button("Save", icon=":material/save:", key=key.format("save"))
    if is_saved:
        with errors.shown():
            write_title(run, RunTitle(title, tuple(tags.split(",")), note))
        st.rerun()


def _origin(run: Run) -> str:
    record, used = run.record(), space.use(run)
    parts = [f"DELT Studio {record.versions.get('delt')}, torch {record.versions.get('torch')}"]
    if record.threads:
        parts.append(f"{record.device_name or record.device}, {record.threads} threads")
    if record.teacher:
        parts.append(f"teacher {record.teacher.name} ({record.teacher.network})")
    if record.first_snapshot_seconds is not None:
        parts.append(f"first picture after {duration(record.first_snapshot_seconds)}")
    parts.append(f"{size(used.total)} on the disk, {size(used.rounds)} of it rounds between start and end")
    return " · ".join(parts)
