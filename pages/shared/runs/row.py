"""The selected runs: settings and numbers of one in a line, what can be asked of it, its name and its origin."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.data.catalogue import CATALOGUE
from delt_engine.jobs import queue, space
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from delt_engine.runs.titles import RunTitle, is_example, read_title, write_title
from pages.shared import address, cached, controls, errors, nav, sign_in
from pages.shared.compare.panel import MOST_RUNS
from pages.shared.controls import button
from pages.shared.runs import actions, download, failure, formats, tidy
from pages.shared.runs.filter import title
from pages.shared.runs.progress import progress, workers_text
from pages.shared.wording import (
    ago,
    count,
    duration,
    ordinal,
    own_title,
    plain,
    plural,
    reached,
    sentence,
    short_name,
    size,
)


def draw(runs: Sequence[Run], num_listed: int) -> None:
    """Draw what can be done with the selected runs; an odd one can still be opened and deleted."""
    if not runs:
        st.caption(
            f"{plural(num_listed, 'run')} listed, with those of students. Select a run to see what can be done with "
            "it; several to compare or to delete them."
        )
    elif len(runs) > 1:
        _several(runs)
    else:
        _one(runs[0])


def _several(runs: Sequence[Run]) -> None:
    own = [run.id for run in runs if not is_example(run)]
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{plural(len(runs), 'run')} selected**", width="content")
        some = {"disabled": len(runs) > MOST_RUNS, "help": f"Up to {MOST_RUNS} runs side by side.", "type": "primary"}
        button("Compare", "compare", "runs/compare", address.say, "compare", ",".join(run.id for run in runs), **some)
        if own:
            button("Free disk", "mop", "runs/free", tidy.ask_to_free, own, changes=True)
            button("Delete", "delete", "runs/delete", tidy.delete, own, changes=True)
        button("Select none", "", "runs/select_none", address.say, "run", "", type="tertiary")


def _one(run: Run) -> None:
    with st.container(border=True):
        with errors.contained(run.id):
            _words(run)
        failure.show(run)
        with st.container(horizontal=True, vertical_alignment="center"):
            if not run.unreadable:
                with errors.contained(run.id):
                    _buttons(run)
                    actions.again_buttons(run, "runs")
                    download.button(run, f"runs/download/{run.id}")
                    formats.popover(run, "runs")
            if not is_example(run) and not run.is_active:
                button("Free disk", "mop", f"runs/free/{run.id}", tidy.ask_to_free, [run.id], changes=True)
                button("Delete", "delete", f"runs/delete/{run.id}", tidy.delete, [run.id], changes=True)
        _details(run)


def _words(run: Run) -> None:
    labels = None if run.unreadable else read_title(run)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{plain(title(run))}**", width="content")
        actions.badge(run)
        for tag in labels.tags if labels else ():
            st.badge(plain(tag), color="gray")
    st.caption(plain(_facts(run)))
    if labels and labels.note:
        st.caption(f"*{plain(labels.note.splitlines()[0])}*")


def _facts(run: Run) -> str:
    """Return settings where the title does not say them, seed, age, time, rate and size, in a line."""
    if run.unreadable:
        return f"{run.id} · {size(space.use(run).total)}"
    record = run.record()
    parts = [own_title(record)] if read_title(run).title else []
    if record.kind == "evaluate":
        source = f"of {short_name(record.source)}" if record.source != REAL else ""
        parts += [reached(record.result), plural(record.experiment.evaluate.epochs, "epoch"), source]
    parts += [f"seed {record.seed}", ago(record.created)]
    if run.is_active:
        place = queue.place(run) if run.status == "queued" else None
        parts.append(f"{ordinal(place)} in the queue" if place else sentence(progress(run).text))
        parts.append(workers_text(run))
    if record.seconds:
        parts.append(f"{duration(record.seconds)} on {record.device_name or record.device}")
    if record.image_iterations_per_second:
        parts.append(f"{count(record.image_iterations_per_second)} image-iterations/s")
    return " · ".join(part for part in [*parts, size(space.use(run).total)] if part)


def _buttons(run: Run) -> None:
    """Draw the way to what the run made, and what can be asked of its process."""
    kind = run.record().kind
    if run.is_active:
        if button("Watch", "visibility", f"runs/watch/{run.id}", type="primary"):
            _watch(run, kind)
    elif kind in ("squeeze", "rank"):
        label, icon = ("Open teacher", "school") if kind == "squeeze" else ("Open patches", "grid_view")
        if button(label, icon, f"runs/open/{run.id}", type="primary"):
            page = "distill/data_and_teachers" if kind == "squeeze" else "distill/patches"
            nav.go(page, data=run.experiment.dataset)
    elif (kind == "recover" and run.classes) or (kind == "evaluate" and run.status == "finished"):
        actions.open_button(run, "runs", primary=True)
    actions.control_buttons(run, "runs")
    if run.is_active:
        actions.move_buttons(run, "runs")


def _watch(run: Run, kind: str) -> None:
    if kind == "squeeze" and run.experiment.dataset in (*CATALOGUE, *cached.folders()):
        nav.go("distill/data_and_teachers", data=run.experiment.dataset)
    nav.go("explore/accuracy" if kind == "evaluate" else "distill/recover", run=run.id)


def _details(run: Run) -> None:
    """Draw what the reader calls the run, where it is, and how it was made."""
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
            controls.command(run.record().command)
            st.caption(plain(_origin(run)))


def _labels(run: Run) -> None:
    labels, key = read_title(run), f"runs/{{}}/{run.id}"
    with st.form(key.format("labels"), border=False):
        name = st.text_input("Title", labels.title, key=key.format("title"), max_chars=80)
        tags = st.text_input("Tags", ", ".join(labels.tags), key=key.format("tags"), placeholder="Separated by commas")
        note = st.text_area("Note", labels.note, key=key.format("note"), height=80)
        why = sign_in.refusal()
        look = {"disabled": bool(why), "help": why or None}
        is_saved = st.form_submit_button("Save", icon=":material/save:", key=key.format("save"), **look)
    if is_saved:
        with errors.shown():
            write_title(run, RunTitle(name, tuple(tags.split(",")), note))
        st.rerun()


def _origin(run: Run) -> str:
    record, used = run.record(), space.use(run)
    parts = [f"DELT Studio {record.versions.get('delt')}, torch {record.versions.get('torch')}"]
    if record.origin:
        parts.append(f"{record.method_title}, imported from {record.origin.path} ({record.origin.layout})")
    if record.threads:
        parts.append(f"{record.device_name or record.device}, {plural(record.threads, 'thread')}")
    if record.teacher:
        parts.append(f"teacher {record.teacher.name} ({record.teacher.network})")
    if record.ranker:
        by = f"by {record.ranker.name} ({record.ranker.network})" if record.ranker.network else record.ranker.name
        parts.append(f"ranking {by}")
    if record.first_snapshot_seconds is not None:
        parts.append(f"first picture after {duration(record.first_snapshot_seconds)}")
    parts.append(f"{size(used.total)} on the disk, {size(used.rounds)} of it rounds between start and end")
    return " · ".join(parts)
