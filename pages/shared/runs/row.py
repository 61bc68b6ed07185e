"""One run in the list: its images, its settings and numbers in two lines, and what can be asked of it."""

from __future__ import annotations

import html

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import queue
from delt_engine.runs import space
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from delt_engine.runs.titles import is_example, read_title
from pages.shared import nav
from pages.shared.accuracy.words import accuracy, own_title
from pages.shared.runs import actions as run_actions
from pages.shared.runs import details, strips
from pages.shared.runs.filter import title
from pages.shared.runs.progress import progress
from pages.shared.wording import ago, count, duration, ordinal, plain, plural, sentence, short_name, size

THUMBNAILS = 5
ICONS = {
    "recover": ":material/image:",
    "rank": ":material/sort:",
    "squeeze": ":material/school:",
    "evaluate": ":material/groups:",
}


def draw(run: Run) -> None:
    """Draw one run, with its details when the address asks for them."""
    with st.container(border=True):
        pick, images, words, actions = st.columns([0.3, 2.7, 5.5, 3.85], vertical_alignment="center")
        with pick:
            if not is_example(run):
                st.checkbox(f"Choose {run.id}", key=f"runs/pick/{run.id}", label_visibility="collapsed")
        with images:
            if not run.unreadable:
                _picture(run)
        with words:
            _words(run)
        with actions, st.container(horizontal=True, horizontal_alignment="right"):
            _buttons(run)
        if run.error:
            st.markdown(f":small[:red[{plain(run.error)}]]")
        if st.query_params.get("run") == run.id:
            details.draw(run)


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
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{plain(title(run))}**", width="content")
        run_actions.badge(run)
        if not run.unreadable:
            for tag in read_title(run).tags:
                st.badge(plain(tag), color="gray")
    st.caption(plain(_facts(run)))
    note = "" if run.unreadable else read_title(run).note
    if note:
        st.caption(f"*{plain(note.splitlines()[0])}*")


def _facts(run: Run) -> str:
    """Return settings where the title does not say them, seed, age, time, rate and size, in a line."""
    if run.unreadable:
        return f"{run.id} · {size(space.use(run).total)}"
    record = run.record()
    parts = [own_title(record)] if read_title(run).title else []
    if record.kind == "evaluate":
        source = f"of {short_name(record.source)}" if record.source != REAL else ""
        parts += [accuracy(record.result), plural(record.experiment.evaluate.epochs, "epoch"), source]
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
    if not run.unreadable:
        run_actions.control_buttons(run, "runs")
        if run.is_active:
            run_actions.move_buttons(run, "runs")
            if st.button("Watch", icon=":material/visibility:", key=f"runs/watch/{run.id}"):
                page = "explore/accuracy" if run.record().kind == "evaluate" else "distill/recover"
                nav.go(page, run=run.id)
        elif _has_something_to_open(run):
            run_actions.open_button(run, "runs")
    is_open = st.query_params.get("run") == run.id
    st.button(
        "Close" if is_open else "Details",
        icon=":material/expand_less:" if is_open else ":material/expand_more:",
        type="tertiary",
        key=f"runs/details/{run.id}",
        on_click=_show_details,
        args=("" if is_open else run.id,),
    )


def _has_something_to_open(run: Run) -> bool:
    if run.record().kind == "recover":
        return bool(run.classes)
    return run.record().kind == "evaluate" and run.status == "finished"


def _show_details(run_id: str) -> None:
    if run_id:
        st.query_params["run"] = run_id
    else:
        st.query_params.pop("run", None)
