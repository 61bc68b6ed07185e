"""What is missing of a table: what it takes, the button that starts it, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import tasks
from delt_engine.jobs.prices import Price
from delt_engine.papers.cells import Scale
from delt_engine.pipeline.table_needs import Needs, needs_of, ready_part
from delt_engine.pipeline.table_records import CellView, TableView, total_price
from pages.shared import cached, controls, errors
from pages.shared.controls import button
from pages.shared.papers import steps
from pages.shared.papers.data import task_of
from pages.shared.wording import plain, plural, size


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
    needs = needs_of(missing)
    _, ready = _startable(view, needs)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not missing:
            st.markdown(_all_begun(view), width="content")
        else:
            label = f"Run {plural(len(ready), 'missing cell')}" if ready else "Nothing can be run yet"
            deed = (errors.attempt, "papers/work", _start, view, None)
            button(label, "play_arrow", "papers/start", *deed, type="primary", disabled=not ready)
            st.caption(_price_line(view, ready), width="content")
    _said(work)
    steps.draw(needs, ready)


def draw_one(view: TableView, one: CellView) -> None:
    """Draw the button that runs one cell alone, with its price."""
    if not one.is_open:
        return
    needs = needs_of([one])
    off = task_of(view.table.id, view.scale).is_running or bool(needs.blocked)
    with st.container(horizontal=True, vertical_alignment="center"):
        deed = (errors.attempt, "papers/work", _start, view, one)
        button("Run this cell", "play_arrow", "papers/start_one", *deed, disabled=off)
        st.caption(price_words(one.price), width="content")
    if words := steps.in_turn(one, needs):
        st.caption(plain("In turn: " + "; ".join(words) + "."))


def _all_begun(view: TableView) -> str:
    """Return what is said where nothing is missing: all cells that can be are measured, or at work."""
    here = finished(view)
    if here < view.reachable:
        others = "the others are" if view.reachable - here > 1 else "the other one is"
        return f"{here} of {view.reachable} measured, {others} at work."
    return f"Measured: {f'all {here} cells that can be' if here > 1 else 'the one cell that can be'}."


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
    return f"about {steps.time_words(price.seconds)}{memory}, {size(price.disk_bytes)} of disk{guess}"


def _price_line(view: TableView, ready: Sequence[CellView]) -> str:
    parts = [price_words(total_price(ready)) if ready else "", _measured_words(view)]
    return plain(" · ".join(filter(None, parts)))


def _measured_words(view: TableView) -> str:
    """Return how many numbers of a table were measured here, and how many more come with the package."""
    kept = sum(one.kept is not None for one in view.cells)
    here = f"{finished(view)} of {view.reachable} measured"
    return f"{here}, {kept} more {'come' if kept > 1 else 'comes'} with DELT Studio" if kept else here


def _startable(view: TableView, needs: Needs) -> tuple[str, Sequence[CellView]]:
    """Return the missing cells that one command can run, with the words of ``--only`` where it is not all of them."""
    return ready_part(view.missing, needs.blocked) if needs.blocked else ("", view.missing)


def _start(view: TableView, one: CellView | None) -> None:
    words = command(view, one)
    only, _ = _startable(view, needs_of(view.missing)) if one is None else ("", [])
    words += ["--only", only] if only else []
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
