"""What is missing of a table: what it takes, what comes first, the button that starts it, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.data.available import place_of
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import RunError
from delt_engine.jobs import tasks
from delt_engine.jobs.prices import Price
from delt_engine.papers.cells import Scale
from delt_engine.pipeline.table_needs import Needs, needs_of, ready_part
from delt_engine.pipeline.table_records import CellView, TableView, total_price
from pages.shared import cached, controls, errors, nav
from pages.shared.controls import button
from pages.shared.papers.data import task_of
from pages.shared.wording import duration, plain, plural, size

_STAGES = {
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
    _first(needs, ready)


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
    if steps := _steps(one, needs):
        st.caption(plain("In turn: " + "; ".join(steps) + "."))


def _steps(one: CellView, needs: Needs) -> list[str]:
    """Return what is done for a cell in turn, and how long each takes."""
    fetched = [key for key in one.parts if key in one.published]
    trained = [key for key in one.parts if key.startswith("squeeze ") and key not in one.published]
    steps = []
    if fetched:
        them = "it" if len(fetched) == 1 else "them"
        instead = f"where that fails, training {them} takes {_time_of(one, fetched)}"
        steps.append(f"fetch {', '.join(needs.saved)} ({instead})")
    steps += [f"fetch the outside network {ref}" for ref in needs.judges]
    if trained:
        what = "a network" if len(trained) == 1 else f"{len(trained)} networks"
        steps.append(f"train {what}, {_time_of(one, trained)}")
    for stage, what in _STAGES.items():
        if keys := [key for key in one.parts if key.startswith(f"{stage} ")]:
            steps.append(f"{what}, {_time_of(one, keys)}")
    return steps


def _time_of(one: CellView, keys: Sequence[str]) -> str:
    return time_words(sum(one.parts[key].seconds for key in keys))


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


def _price_line(view: TableView, ready: Sequence[CellView]) -> str:
    parts = [price_words(total_price(ready)) if ready else "", f"{finished(view)} of {view.reachable} measured"]
    return plain(" · ".join(filter(None, parts)))


def _first(needs: Needs, ready: Sequence[CellView]) -> None:
    """Say what has to be put in place before cells can run, and what is trained or fetched first."""
    if needs.blocked:
        lines = "\n".join(f"- **{plain(_title(name))}**: {plain(found.note)}" for name, found in needs.blocked.items())
        title = f"{plural(needs.waiting, 'cell')} need data that is not on this machine"
        with st.expander(title, icon=":material/dataset:"):
            st.markdown(lines)
            nav.link("distill/data_and_teachers", "Data and teachers")
    if before := _before(ready):
        st.caption(plain(f"First: {'; '.join(before)}."))
    for words in needs.lacking:
        st.caption(plain(words))


def _before(ready: Sequence[CellView]) -> list[str]:
    """Return what is done before the first cell: data and weights that are fetched, and networks that are trained."""
    needs = needs_of(ready)
    datasets = dict.fromkeys(one.cell.experiment.dataset for one in ready if one.cell)
    before = [f"{_title(name)} is fetched" for name in datasets if place_of(name).state == "download"]
    if needs.saved:
        saved = time_words(sum(price.seconds for price in needs.saved.values()))
        before.append(
            f"weights of {', '.join(needs.saved)} are fetched; where they cannot be, training takes {saved} of it"
        )
    before += [f"the outside network {ref} is fetched" for ref in needs.judges]
    trained = {key for one in ready for key in one.parts if key.startswith("squeeze ") and key not in one.published}
    if trained:
        before.append(f"{plural(len(trained), 'network')} to train, for there is no file of such a one")
    return before


def _title(dataset: str) -> str:
    entry = find_entry(dataset)
    return entry.title if entry else dataset


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
