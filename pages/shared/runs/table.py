"""All runs as one table that sorts: students under their run, grids of runs and the examples folded."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import space
from delt_engine.jobs.mi_ri_grid import MARK
from delt_engine.runs import likeness
from delt_engine.runs.store import Run
from delt_engine.runs.titles import is_example, read_title
from pages.shared import address
from pages.shared.component import component, versioned
from pages.shared.runs import strips
from pages.shared.runs.filter import method, title
from pages.shared.wording import STATUS_LOOKS, ago, count, duration, own_title, plural, reached, short_name, size

KEY = "runs/table"
PICTURES = 3
PATIENCE_S = 0.4
"""Time that one drawing takes for cosines that are not measured yet; the others follow with the next one."""

COLUMNS = (
    {"title": "Name"},
    {"title": "Method"},
    {"title": "Dataset"},
    {"title": "IPC", "number": True, "help": "Images per class"},
    {"title": "MI / RI", "number": True, "help": "Iterations of the first images / of a round"},
    {
        "title": "Cosine",
        "number": True,
        "help": "Mean cosine similarity within a class, in pixels; lower: more varied",
    },
    {"title": "Students", "number": True, "help": "Top-1 accuracy in percent of the newest students trained on it"},
    {"title": "Time", "number": True, "help": "Seconds of work, measured in the run"},
    {"title": "Disk", "number": True},
    {"title": "Status", "badge": True},
    {"title": "Made", "number": True},
)
_NONE: tuple[str, None] = ("", None)
_component = component("runs_table")


@dataclass(frozen=True)
class Group:
    """Rows under a heading that folds; without a title they stand alone."""

    title: str
    runs: Sequence[Run]
    is_open: bool = True


def selected() -> list[Run]:
    """Return the runs that the address names, those that are gone left out."""
    found = []
    for run_id in filter(None, st.query_params.get("run", "").split(",")):
        try:
            found.append(Run.open(run_id))
        except RunError:
            continue
    return found


def draw(runs: Sequence[Run]) -> None:
    """Draw the runs; those that are clicked stand in the address."""
    students = defaultdict(list)
    listed = {run.id for run in runs}
    for run in runs:
        if _source(run) in listed:
            students[_source(run)].append(run)
    upper = [run for run in runs if _source(run) not in listed]
    own = [run for run in upper if not is_example(run)]
    grids = [run for run in own if not run.unreadable and title(run).startswith(MARK)]
    examples = [run for run in upper if is_example(run)]
    others = [run for run in own if run not in grids]
    groups = [Group("", others)]
    if grids:
        groups.append(Group(f"Grids of MI x RI, {plural(len(grids), 'run')}", grids, is_open=any(map(_at_work, grids))))
    if examples:
        groups.append(Group(f"Examples, {plural(len(examples), 'run')}", examples, is_open=not own))
    until = time.monotonic() + PATIENCE_S
    drawn = [_drawn(group, students, until) for group in groups]
    data = {"columns": [{"number": False, "badge": False, "help": "", **column} for column in COLUMNS], "groups": drawn}
    chosen = [run.id for run in selected()]
    _component(key=KEY, data=versioned(data) | {"selected": tuple(chosen)}, on_picked_change=_take)


def is_complete(runs: Sequence[Run]) -> bool:
    """Whether every cosine that a table of these runs shows is measured."""
    return all(map(likeness.is_known, runs))


def _take() -> None:
    address.say("run", str(st.session_state[KEY]["picked"]).strip(","))


def _at_work(run: Run) -> bool:
    return not run.unreadable and run.is_active


def _source(run: Run) -> str:
    """Return the id of the run that students learn from; "" of any other run."""
    return "" if run.unreadable or run.record().kind != "evaluate" else short_name(run.record().source)


def _drawn(group: Group, students: dict[str, list[Run]], until: float) -> dict[str, Any]:
    rows = []
    for run in group.runs:
        below = students.get(run.id, [])
        trained = [one for one in below if one.record().result.get("top1_last") is not None]
        made = _row(run, trained[0] if trained else run, until)
        children = tuple(_row(one, one, until) for one in below)
        below_words = plural(len(below), "student run")
        rows.append(made | {"children": children, "below": below_words, "open": any(map(_at_work, below))})
    return {"title": group.title, "open": group.is_open, "rows": tuple(rows)}


def _row(run: Run, trained: Run, until: float) -> dict[str, Any]:
    """Return a run as a row: its pictures, and text and value of each cell; ``trained`` has the accuracy to show."""
    status, disk = run.status, space.use(run).total
    about = {"id": run.id, "look": STATUS_LOOKS[status][1], "hint": run.id, "tags": (), "pictures": ()}
    about |= {"children": (), "below": "", "open": False}
    if run.unreadable:
        cells = [(title(run), title(run)), *[_NONE] * 7, (size(disk), disk), (status, status), _NONE]
        return about | {"cells": tuple(cells)}
    record = run.record()
    recover = record.experiment.recover
    is_recovery, top1 = record.kind == "recover", trained.record().result.get("top1_last")
    ipc = recover.ipc if is_recovery else None
    rounds = (recover.iterations, recover.round_iterations) if is_recovery and recover.is_optimised else None
    cosine = likeness.pixel_cosine(run) if likeness.is_known(run) or time.monotonic() < until else None
    data = record.dataset.title if record.dataset else short_name(record.experiment.dataset)
    cells = (
        (title(run), title(run).casefold()),
        (method(run), method(run)),
        (data, data),
        (count(ipc), ipc) if ipc else _NONE,
        (f"{count(rounds[0])} / {count(rounds[1])}", rounds[0] + rounds[1] / 1e6) if rounds else _NONE,
        (f"{cosine:z.3f}", cosine) if cosine is not None else _NONE,
        (f"{top1:.1f} %", top1) if top1 is not None else _NONE,
        (duration(record.seconds), record.seconds) if record.seconds else _NONE,
        (size(disk), disk),
        (status, status),
        (ago(record.created), datetime.fromisoformat(record.created.replace("Z", "+00:00")).timestamp()),
    )
    hint = " · ".join(filter(None, [own_title(record), reached(record.result), run.id]))
    changed = strips.stamp(run.path / ("run.json" if status == "finished" else "events.jsonl"))
    pictures = _pictures(run, changed) if is_recovery else ()
    return about | {"pictures": pictures, "cells": cells, "tags": read_title(run).tags, "hint": hint}


@lru_cache(maxsize=4096)
def _pictures(run: Run, _changed_ns: int) -> tuple[tuple[str, str], ...]:
    """Return address and words of the first image of the first classes, as it was last written."""
    found = []
    for class_index in run.classes[:PICTURES]:
        written = run.rounds_written(class_index)
        path = written and strips.address(run, run.snapshot_path(class_index, written[-1]), 0, 1)
        if path:
            found.append((path, f"{run.class_names[class_index]}: first image after round {written[-1]}"))
    return tuple(found)
