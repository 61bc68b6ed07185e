"""The images of a figure that shows images, in its own form: by class, by mosaic, by method, or over iterations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from delt_engine.papers.paper_tables import axis_label
from delt_engine.pipeline.table_records import TableView
from delt_engine.runs.store import Run
from pages.shared import controls
from pages.shared.gallery.grid import Cell, Film, Head, Look, Row, gallery_grid
from pages.shared.runs import strips
from pages.shared.runs.class_rows import start_colour, tile_side
from pages.shared.schedule_words import fate
from pages.shared.wording import count, plain

MOST = 10
"""Classes, and images of a class, that are shown; of more images, so many are taken evenly, from early to late."""

BY_CLASS, MOSAICS, OVER_ITERATIONS = ("delt-fig9", "delt-fig10", "delt-fig11"), "delt-fig6", "cda-fig6"

PARTS = (0.05, 0.25, 0.5, 1.0)
"""Parts of MI after which CDA Figure 6 shows an image: 100, 500, 1,000 and 2,000 iterations of 2,000."""

_SHOWN = 72


@dataclass(frozen=True)
class Column:
    """Images of a class of a run below each other, the longest optimised at the top, once for each of some rounds."""

    title: str
    run: Run
    class_index: int
    rounds: tuple[int, ...]
    note: str = ""


def draw(view: TableView) -> None:
    """Draw the images of a figure whose cells have any."""
    shown = [one for one in view.cells if one.value.metric == "images"]
    made = {axis_label(one.value, view.table.rows[0]): one.recovered for one in shown if one.recovered}
    found = {title: run for title, run in made.items() if _classes(run, view.table.id)}
    if not found:
        if made:
            st.caption("These runs kept no snapshots of their rounds. Choose a cell above for a run's images.")
        return
    film, runs = Film(), list(found.values())
    if view.table.id in BY_CLASS:
        (run,) = runs
        add_columns(
            film, [Column(name, run, n, (_last(run),)) for name, n in list(_classes(run, view.table.id).items())[:MOST]]
        )
    else:
        _add_class(film, view.table.id, found, _choose_class(view.table.id, runs))
    look = Look(tile=tile_side(runs[0]), shown=_SHOWN)
    gallery_grid(film.rows, film.sheets, key=f"papers/images/{view.table.id}", look=look, head=film.head)
    st.caption("Images made here. Choose a cell above for the run that made them and all of its images.")


def _add_class(film: Film, table_id: str, found: Mapping[str, Run], name: str) -> None:
    """Add images of one class of each run that has it, in the form of the figure."""
    classes = {title: _classes(run, table_id) for title, run in found.items()}
    own = [(title, run, classes[title][name]) for title, run in found.items() if name in classes[title]]
    if table_id == MOSAICS:
        note = "start, result"
        add_columns(film, [Column(title, run, number, (0, _last(run)), note) for title, run, number in own])
        return
    add = add_over_iterations if table_id == OVER_ITERATIONS else add_row
    for title, run, number in own:
        add(film, title, run, number)


def add_columns(film: Film, columns: Sequence[Column]) -> None:
    """Add a row for each image, from the one that was optimised longest to the one that was shortest."""
    indices = evenly(min(one.run.experiment.recover.ipc for one in columns))
    film.head = tuple(Head(len(one.rounds), one.title, one.note) for one in columns)
    sheets = {
        (column, number): _sheet(film, column.run, column.class_index, number, indices)
        for column in columns
        for number in column.rounds
    }
    for at, index in enumerate(indices):
        cells = [
            _cell(column.run, column.class_index, index, number, sheet, at)
            for (column, number), sheet in sheets.items()
        ]
        film.rows.append(Row(_iterations(columns[0].run, index), tuple(cells)))


def add_row(film: Film, title: str, run: Run, class_index: int) -> None:
    """Add the finished images of a class beside each other, from early to late."""
    indices, last = evenly(run.experiment.recover.ipc), _last(run)
    sheet = _sheet(film, run, class_index, last, indices)
    cells = [_cell(run, class_index, index, last, sheet, at) for at, index in enumerate(indices)]
    film.rows.append(Row(title, tuple(cells)))


def add_over_iterations(film: Film, title: str, run: Run, class_index: int) -> None:
    """Add the first image of a class as it was after each of :data:`PARTS` of its iterations, as far as rounds tell."""
    recover, cells = run.experiment.recover, []
    for number in dict.fromkeys(max(1, round(part * recover.schedule.num_rounds)) for part in PARTS):
        words = f"{count(number * recover.round_iterations)} iterations"
        sheet = _sheet(film, run, class_index, number, [0])
        cells.append(_cell(run, class_index, 0, number, sheet, 0, words))
    film.rows.append(Row(title, tuple(cells)))


def evenly(ipc: int, most: int = MOST) -> list[int]:
    """Return the images of a class that are shown, the first and the last always among them.

    >>> evenly(3), evenly(50)
    ([0, 1, 2], [0, 5, 10, 16, 21, 27, 32, 38, 43, 49])
    """
    return list(range(ipc)) if ipc <= most else [at * (ipc - 1) // (most - 1) for at in range(most)]


def _sheet(film: Film, run: Run, class_index: int, number: int, indices: Sequence[int]) -> int | None:
    return film.add(strips.address(run, run.snapshot_path(class_index, number), tiles=indices))


def _cell(run: Run, class_index: int, index: int, number: int, sheet: int | None, at: int, words: str = "") -> Cell:
    schedule = run.experiment.recover.schedule
    what = "as it starts" if number == 0 and not schedule.is_still else fate(schedule, index)
    what = "imported" if run.record().origin else what
    return Cell(
        id=f"{run.id}/{class_index}/{index}/{number}",
        alt=f"{run.class_names[class_index]}, image {index + 1}: {words or what}",
        sheets=(sheet,),
        x=at,
        lines=(words,) if words else (),
        colour=start_colour(schedule, schedule.start_rounds[index]) if number else "",
        tile=tile_side(run),
    )


def _iterations(run: Run, index: int) -> str:
    total = run.experiment.recover.schedule.image_iterations_each[index]
    return f"{count(total)} iterations" if total else "not optimised"


def _last(run: Run) -> int:
    return run.experiment.recover.schedule.num_rounds


def _classes(run: Run, table_id: str) -> dict[str, int]:
    """Return the classes that a figure can show of a run, by name: all, or those that keep pictures of their rounds."""
    needs_rounds = table_id in (MOSAICS, OVER_ITERATIONS)
    kept = run.classes[: run.record().options.snapshot_classes] if needs_rounds else run.classes
    return {run.class_names[number]: number for number in kept}


def _choose_class(table_id: str, runs: Sequence[Run]) -> str:
    """Draw the choice of a class that any of the runs has, and return its name."""
    names = {name: plain(name) for run in runs for name in _classes(run, table_id)}
    return str(controls.choice("Class", names, "papers/class", segmented=False, width=240))
