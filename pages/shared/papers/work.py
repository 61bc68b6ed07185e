"""What is missing of a table: what it takes, what comes first, the button that starts it, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.data.available import Place
from delt_engine.data.available import place_of as dataset_place
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import RunError
from delt_engine.jobs import tasks
from delt_engine.jobs.prices import Price
from delt_engine.papers.cells import Scale
from delt_engine.pipeline.table_records import CellView, TableView, total_price
from pages.shared import cached, controls, errors, nav
from pages.shared.controls import button
from pages.shared.papers.data import task_of
from pages.shared.wording import duration, plain, plural, size

_BLOCKED = ("missing", "unusable")
"""Places of a dataset that somebody has to fill first."""

_STAGES = {
    "squeeze": "train a teacher",
    "recover": "recover images",
    "evaluate": "train students",
    "continual": "learn step by step",
}


def command(view: TableView, one: CellView | None = None) -> list[str]:
    """Return the words after ``delt`` that make the missing numbers of a table, or one of them."""
    words = ["reproduce", view.table.id]
    words += ["--scale", view.scale] if view.scale != "paper" else []
    if one is not None:
        names = (*view.table.rows, *view.table.columns)
        pairs = zip(names, (*one.row, *one.column), strict=True)
        words += ["--only", ",".join(f"{name}={value}" for name, value in pairs)]
    return words


def is_active(table_id: str, scale: Scale) -> bool:
    """Whether anything is at work that may change a table."""
    return task_of(table_id, scale).is_running or any(run.is_active for run in cached.runs() if not run.unreadable)


def draw(view: TableView) -> None:
    """Draw what is missing with its price and the button, or how far the work is and the button that stops it."""
    work = task_of(view.table.id, view.scale)
    errors.show_failed("papers/work")
    if work.is_running:
        _at_work(view, work)
        return
    missing = view.missing
    if not missing and not view.reachable:
        return
    ready = [one for one in missing if place(one).state not in _BLOCKED]
    with st.container(horizontal=True, vertical_alignment="center"):
        if not missing:
            here = finished(view)
            words = f"all {here} cells that can be" if here > 1 else "the one cell that can be"
            st.markdown(f"Measured: {words}.", width="content")
        else:
            label = f"Run {plural(len(ready), 'missing cell')}" if ready else "Nothing can be run yet"
            deed = (errors.attempt, "papers/work", _start, view, None)
            button(label, "play_arrow", "papers/start", *deed, type="primary", disabled=not ready)
            st.caption(_price_line(view, ready), width="content")
    _said(work)
    _first(missing)


def draw_one(view: TableView, one: CellView) -> None:
    """Draw the button that runs one cell alone, with its price."""
    if not one.is_open:
        return
    off = task_of(view.table.id, view.scale).is_running or place(one).state in _BLOCKED
    with st.container(horizontal=True, vertical_alignment="center"):
        deed = (errors.attempt, "papers/work", _start, view, one)
        button("Run this cell", "play_arrow", "papers/start_one", *deed, disabled=off)
        st.caption(price_words(one.price), width="content")
    parts = {key.split(" ")[0]: price for key, price in one.parts.items()}
    steps = [f"{what}, {time_words(parts[stage].seconds)}" for stage, what in _STAGES.items() if stage in parts]
    if steps:
        st.caption("In turn: " + "; ".join(steps) + ".")


def finished(view: TableView) -> int:
    """Return how many numbers of a table were measured."""
    return sum(one.state == "finished" for one in view.cells)


def price_words(price: Price) -> str:
    """Return a price in words.

    >>> price_words(Price(5400.0, None, 12_000_000))
    'about 1 h 30 min, memory not measured here so far, 12 MB of disk'
    """
    memory = ", memory not measured here so far" if price.disk_bytes else ""  # only images take disk
    if price.memory_mb:
        memory = f", {size(price.memory_mb * 2**20)} of memory"
    guess = "" if price.is_measured else ", a guess: nothing alike was measured here"
    return f"about {time_words(price.seconds)}{memory}, {size(price.disk_bytes)} of disk{guess}"


def time_words(seconds: float) -> str:
    """Return a length of time, of a long one its largest unit only.

    >>> time_words(90), time_words(3 * 86400), time_words(9e7)
    ('1 min 30 s', '3 days', '2.9 years')
    """
    days = seconds / 86400
    if days < 2:
        return duration(seconds)
    return f"{days:,.0f} days" if days < 730 else f"{days / 365.25:,.1f} years"


def place(one: CellView) -> Place:
    """Return where the dataset of a cell stands."""
    assert one.cell is not None  # it can be measured
    return dataset_place(one.cell.experiment.dataset)


def _price_line(view: TableView, ready: Sequence[CellView]) -> str:
    parts = [price_words(total_price(ready)) if ready else "", f"{finished(view)} of {view.reachable} measured"]
    return plain(" · ".join(filter(None, parts)))


def _first(missing: Sequence[CellView]) -> None:
    """Say what has to be put in place before cells can run, and what is trained or fetched first."""
    places = {one.cell.experiment.dataset: place(one) for one in missing if one.cell}
    blocked = {name: found for name, found in places.items() if found.state in _BLOCKED}
    if blocked:
        number = sum(one.cell.experiment.dataset in blocked for one in missing if one.cell)
        lines = "\n".join(f"- **{plain(_title(name))}**: {plain(found.note)}" for name, found in blocked.items())
        with st.expander(f"{plural(number, 'cell')} need data that is not on this machine", icon=":material/dataset:"):
            st.markdown(lines)
            nav.link("distill/data_and_teachers", "Data and teachers")
    before = [f"{_title(name)} is fetched" for name, found in places.items() if found.state == "download"]
    ready = [one for one in missing if place(one).state not in _BLOCKED]
    fetched = {ref: one.parts[key].seconds for one in ready for key, ref in one.published.items()}
    if fetched:
        saved = time_words(sum(fetched.values()))
        before.append(
            f"weights of {', '.join(fetched)} are fetched; where they cannot be, training takes {saved} of it"
        )
    teachers = {key for one in ready for key in one.parts if key.startswith("squeeze ") and key not in one.published}
    before += [f"{plural(len(teachers), 'teacher')} to train, for there is no file of such a one"] if teachers else []
    if before:
        st.caption(plain(f"First: {'; '.join(before)}."))


def _title(dataset: str) -> str:
    entry = find_entry(dataset)
    return entry.title if entry else dataset


def _start(view: TableView, one: CellView | None) -> None:
    words = command(view, one)
    states = {each.cell.experiment.dataset: place(each).state for each in view.missing if each.cell}
    ready = [name for name, state in states.items() if state not in _BLOCKED]
    if one is None and len(ready) < len(states):  # the others would be refused
        words += ["--only", f"dataset={'+'.join(ready)}"]
    tasks.start(task_of(view.table.id, view.scale), words, with_progress=False)


def _at_work(view: TableView, work: tasks.Task) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            done = finished(view)
            st.markdown(f"**At work** · {done} of {view.reachable} measured", width="content")
            st.space("stretch")
            what = "What is finished stays, and the run at work can go on later."
            button("Stop", "stop", "papers/stop", errors.attempt, "papers/work", work.forget, help=what)
        st.progress(done / max(1, view.reachable))
        st.caption(plain(work.last_words() or "The process starts…"))


def _said(work: tasks.Task) -> None:
    """Show why the last work on the table ended early, if it did."""
    last = work.last_words() if work.state in ("done", "failed") else ""
    if last.startswith("Stopped: "):
        st.caption(plain(last))
    elif last.startswith("Error: ") or work.state == "failed":
        errors.show(RunError(last.removeprefix("Error: ") or work.error))


def draw_command(words: Sequence[str]) -> None:
    """Draw the command that does the same."""
    controls.command(["delt", *words])
