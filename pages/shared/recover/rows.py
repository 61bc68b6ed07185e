"""Rows of images on Recover: before anything is made, over the patches they started from, and beside another run's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run
from pages.shared.gallery.grid import Cell, Film, Frame, Row
from pages.shared.runs import class_rows
from pages.shared.wording import count


def waiting_film(run: Run, names: Sequence[str]) -> Film:
    """Return the grid before there is an image, with a place for each, so that nothing moves when they come."""
    ipc = run.experiment.recover.ipc
    rows = []
    for at, name in enumerate(names):
        alts = (f"{name}, image {index + 1}: not made yet" for index in range(ipc))
        cells = (Cell(f"{at}/{x}", alt, (None, None), missing="starting") for x, alt in enumerate(alts))
        rows.append(Row(name, tuple(cells)))
    frames = [Frame("Before the first iteration", "0", "starting"), Frame("Now", "now", "starting")]
    return Film(rows, [], frames, [0, 0], class_rows.heads(run.experiment.recover.schedule))


def over_starts(made: Film, what: str) -> Film:
    """Return the film with a row below each, in which every image stays as it started.

    Args:
        made: a film whose first frame is the start.
        what: what they started from, "patch" or "noise".
    """
    rows = []
    for row in made.rows:
        still = tuple(
            replace(
                cell,
                id=f"start/{cell.id}",
                alt=f"{row.title}: {what} that image {cell.x + 1} started from",
                sheets=(cell.sheets[0],) * len(cell.sheets),
                joins=0,
                colour="",
            )
            for cell in row.cells
        )
        rows += [row, Row("", still, f"{what} it started from", tile=row.tile)]
    return replace(made, rows=rows)


def beside(runs: tuple[Run, Run], names: tuple[str, str], most: int) -> Film:
    """Return one film of two runs, class by class one row each, under positions counted in iterations.

    A position at which a run has no snapshot says so; at "now" the other run shows its last snapshot up to there.

    Args:
        runs: both know their classes.
        names: what each is called.
        most: classes shown.
    """
    shared = [name for name in _names(runs[0]) if name in _names(runs[1])][:most]
    films = [class_rows.film_so_far(run, [_names(run)[name] for name in shared]) for run in runs]
    places = [_places(run, film) for run, film in zip(runs, films, strict=True)]
    positions = sorted({*places[0], *places[1]})
    made = Film(rounds=positions, sheets=[*films[0].sheets, *films[1].sheets])
    made.frames = [_frame(position, runs, names, films) for position in positions]
    same = runs[0].experiment.recover.schedule.newcomers == runs[1].experiment.recover.schedule.newcomers
    made.head = films[0].head if same else ()
    for at in range(len(shared)):
        for which, (film, place) in enumerate(zip(films, places, strict=True)):
            frames = [_frame_at(place, position, films, places) for position in positions]
            offset = len(films[0].sheets) if which else 0
            cells = tuple(_moved(cell, frames, offset, names[which]) for cell in film.rows[at].cells)
            made.rows.append(Row(shared[at], cells, names[which], tile=class_rows.tile_side(runs[which])))
    return made


def _names(run: Run) -> dict[str, int]:
    return {run.class_names[number]: number for number in run.classes}


def _places(run: Run, film: Film) -> dict[int, int]:
    """Return the frame of each iteration count; the images of a moment ago stand at the latest step."""
    step, length = run.latest_event(StepEvent), run.experiment.recover.round_iterations
    found = {}
    for frame, number in enumerate(film.rounds):
        now = step.iteration + 1 if step else 0
        found.setdefault(number * length if number >= 0 else now, frame)
    return found


def _frame_at(place: dict[int, int], position: int, films: list[Film], places: list[dict[int, int]]) -> int | None:
    """Return a run's frame at a position, or None where it has no snapshot."""
    if position in place:
        return place[position]
    nows = [max(each) for film, each in zip(films, places, strict=True) if film.rounds and film.rounds[-1] < 0]
    before = [at for at in place if at <= position]
    return place[max(before)] if position in nows and before else None


def _frame(position: int, runs: tuple[Run, Run], names: tuple[str, str], films: list[Film]) -> Frame:
    notes = []
    for run, name, film in zip(runs, names, films, strict=True):
        schedule = run.experiment.recover.schedule
        number, rest = divmod(position, schedule.round_iterations)
        if position > schedule.iterations:
            notes.append(f"{name}: over")
        elif rest or number not in film.rounds:
            notes.append(f"{name}: no snapshot")
        else:
            notes.append(f"{name}: round {number} of {schedule.num_rounds}")
    label = f"After {count(position)} iterations" if position else "Before the first iteration"
    return Frame(label, count(position), " · ".join(notes))


def _moved(cell: Cell, frames: Sequence[int | None], offset: int, name: str) -> Cell:
    sheets = tuple(None if at is None or cell.sheets[at] is None else cell.sheets[at] + offset for at in frames)
    joins = next((to for to, at in enumerate(frames) if at is not None and at >= cell.joins), len(frames))
    return replace(cell, id=f"{name}/{cell.id}", alt=f"{name}, {cell.alt}", sheets=sheets, joins=joins)
