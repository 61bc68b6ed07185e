"""One run in the list: its images, its settings and numbers in two lines, what can be asked of it, and its details."""

from __future__ import annotations

import html

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import queue, space
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from delt_engine.runs.titles import RunTitle, is_example, read_title, write_title
from pages.shared import address, controls, errors, nav
from pages.shared.controls import button
from pages.shared.runs import actions, strips, tidy
from pages.shared.runs.filter import title
from pages.shared.runs.progress import progress
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

THUMBNAILS = 5
ICONS = {
    "recover": ":material/image:",
    "rank": ":material/sort:",
    "squeeze": ":material/school:",
    "evaluate": ":material/groups:",
}


def draw(run: Run) -> None:
    """Draw one run, with its details when the address asks for them; an odd one can still be opened and deleted."""
    is_open = st.query_params.get("run") == run.id
    with st.container(border=True):
        pick, images, words, buttons = st.columns([0.3, 2.7, 5.5, 3.85], vertical_alignment="center")
        with pick:
            if not is_example(run):
                st.checkbox(f"Choose {run.id}", key=f"runs/pick/{run.id}", label_visibility="collapsed")
        with images:
            if not run.unreadable:
                with errors.contained("Its pictures"):
                    _picture(run)
        with words, errors.contained(run.id):
            _words(run)
        with buttons, st.container(horizontal=True, horizontal_alignment="right"):
            if not run.unreadable:
                with errors.contained(run.id):
                    _buttons(run)
            label, icon = ("Close", "expand_less") if is_open else ("Details", "expand_more")
            shown = "" if is_open else run.id
            button(label, icon, f"runs/details/{run.id}", address.say, "run", shown, type="tertiary")
        if run.error:
            st.markdown(f":small[:red[{plain(run.error)}]]")
        if is_open:
            _details(run)


def _picture(run: Run) -> None:
    """Draw the first image of the first classes as it is now; of students those they learn from."""
    shown = _with_images(run)
    classes = shown.classes[:THUMBNAILS] if shown else ()
    images = "".join(filter(None, (_thumbnail(shown, class_index) for class_index in classes)))
    if images:
        st.html(f'<div style="display:flex;gap:2px;overflow:hidden;border-radius:.3rem">{images}</div>')
    else:
        st.markdown(f":gray[{ICONS[run.record().kind]}]")


def _with_images(run: Run) -> Run | None:
    """Return the run whose images stand for this one: itself, or the one that its students learn from."""
    record = run.record()
    if record.kind == "recover":
        return run
    try:
        source = Run.open(record.source) if record.kind == "evaluate" and record.source != REAL else None
    except RunError:
        return None
    return source if source and not source.unreadable else None


def _thumbnail(run: Run, class_index: int) -> str | None:
    written = run.rounds_written(class_index)
    address = strips.address(run, run.snapshot_path(class_index, written[-1]), 0, 1) if written else None
    if address is None:
        return None
    alt = html.escape(f"{run.class_names[class_index]}: first image after round {written[-1]}")
    return (
        f'<img src="{html.escape(address)}" alt="{alt}" title="{alt}" loading="lazy" '
        'style="height:2.75rem;width:2.75rem;image-rendering:pixelated">'
    )


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
    if record.seconds:
        parts.append(f"{duration(record.seconds)} on {record.device_name or record.device}")
    if record.image_iterations_per_second:
        parts.append(f"{count(record.image_iterations_per_second)} image-iterations/s")
    return " · ".join(part for part in [*parts, size(space.use(run).total)] if part)


def _buttons(run: Run) -> None:
    actions.control_buttons(run, "runs")
    kind = run.record().kind
    if run.is_active:
        actions.move_buttons(run, "runs")
        if button("Watch", "visibility", f"runs/watch/{run.id}"):
            nav.go("explore/accuracy" if kind == "evaluate" else "distill/recover", run=run.id)
    elif (kind == "recover" and run.classes) or (kind == "evaluate" and run.status == "finished"):
        actions.open_button(run, "runs")


def _details(run: Run) -> None:
    """Draw what the reader calls the run, where it is, how it was made, and what can be done with it."""
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
            controls.command(run.record().command)
            st.caption(plain(_origin(run)))
    with st.container(horizontal=True, vertical_alignment="center"):
        if not run.unreadable:
            actions.again_buttons(run, "runs")
        if not is_example(run) and not run.is_active:
            button("Free disk", "mop", f"runs/free/{run.id}", tidy.ask_to_free, [run.id])
            button("Delete", "delete", f"runs/delete/{run.id}", tidy.delete, [run.id])


def _labels(run: Run) -> None:
    labels, key = read_title(run), f"runs/{{}}/{run.id}"
    with st.form(key.format("labels"), border=False):
        name = st.text_input("Title", labels.title, key=key.format("title"), max_chars=80)
        tags = st.text_input("Tags", ", ".join(labels.tags), key=key.format("tags"), placeholder="Separated by commas")
        note = st.text_area("Note", labels.note, key=key.format("note"), height=80)
        is_saved = st.form_submit_button("Save", icon=":material/save:", key=key.format("save"))
    if is_saved:
        with errors.shown():
            write_title(run, RunTitle(name, tuple(tags.split(",")), note))
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
