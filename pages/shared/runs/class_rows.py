"""A run's images as rows of the grid: one row a class, one cell an image, one frame a snapshot.

Also before anything is made, and over the patches they started from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.plots.style import round_colour
from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run
from pages.shared.gallery.grid import STILL, Cell, Film, Frame, Head, Look, Row, gallery_grid
from pages.shared.runs import strips
from pages.shared.runs.progress import stopped_at
from pages.shared.schedule_words import fate, frame_label, round_note
from pages.shared.wording import count

MOST_FRAMES = 25
"""Snapshots sent at once; longer runs are thinned evenly, first and last kept."""

_NOW = -1
"""Stands for the images of a moment ago, after the last whole round."""


def tile_side(run: Run) -> int:
    """Return the side of the run's tiles in its sheets."""
    return strips.tile_side(run.image_size or strips.THUMBNAIL)


def draw(film: Film, run: Run, key: str, *, shown: int = 80, follow: bool = False) -> None:
    """Draw rows of a run's images under their slider, at its end."""
    gallery_grid(
        film.rows,
        film.sheets,
        key=key,
        look=Look(tile=tile_side(run), shown=shown, slider=True, follow=follow),
        frames=film.frames or STILL,
        head=film.head,
        frame=len(film.frames) - 1,
    )


def rounds_shown(num_rounds: int) -> list[int]:
    """Return the rounds to show, 0 (the start) and the last always among them.

    >>> rounds_shown(4), len(rounds_shown(400))
    ([0, 1, 2, 3, 4], 25)
    """
    if num_rounds < MOST_FRAMES:
        return list(range(num_rounds + 1))
    return sorted({round(i * num_rounds / (MOST_FRAMES - 1)) for i in range(MOST_FRAMES)})


def film(run: Run, classes: Sequence[int]) -> Film:
    """Return the whole film of some classes, one row each: every round that can be shown, written or not."""
    return _filled(Film(rounds=rounds_shown(run.experiment.recover.schedule.num_rounds)), run, classes)


def film_so_far(run: Run, classes: Sequence[int]) -> Film:
    """Return the film up to now: the rounds written, and the latest images, of a moment ago, while the run is on."""
    rounds = rounds_shown(run.experiment.recover.schedule.num_rounds)
    written = max((max(run.rounds_written(c), default=0) for c in classes), default=0)
    made = Film(rounds=[number for number in rounds if number <= written])
    if run.is_active:  # from the start, so that the slider is there when the second position comes
        made.rounds.append(_NOW)
    return _filled(made, run, classes)


def _filled(made: Film, run: Run, classes: Sequence[int]) -> Film:
    schedule = run.experiment.recover.schedule
    made.frames = [_frame(run, number) for number in made.rounds]
    made.head = heads(schedule)
    starts = (0,) * schedule.ipc if schedule.is_still else schedule.start_rounds  # a still run is finished at the start
    blank = [  # what the n-th images of all classes have in common
        Cell(
            id="",
            sheets=(),
            alt=f"image {index + 1}: {fate(schedule, index)}",
            x=index,
            colour=start_colour(schedule, schedule.start_rounds[index]),
            missing=missing_word(run),
        )
        for index in range(schedule.ipc)
    ]
    for class_index in classes:
        last = max(run.rounds_written(class_index), default=0)
        sheets = tuple(made.add(_sheet(run, class_index, number, last)) for number in made.rounds)
        reached = tuple(last + 1 if number == _NOW else number for number in made.rounds)
        name = run.class_names[class_index]
        cells = [
            replace(
                cell,
                id=f"{class_index}/{index}",
                alt=f"{name}, {cell.alt}",
                sheets=sheets,
                joins=next((at for at, number in enumerate(reached) if number >= starts[index]), len(reached)),
            )
            for index, cell in enumerate(blank)
        ]
        made.rows.append(Row(name, tuple(cells)))
    return made


def _sheet(run: Run, class_index: int, number: int, last: int) -> str | None:
    """Return the sheet of a round; of a moment ago, for a class not worked on now, its last round."""
    live = strips.address(run, run.live_path(class_index)) if number == _NOW else None
    return live or strips.address(run, run.snapshot_path(class_index, last if number == _NOW else number))


def _frame(run: Run, number: int) -> Frame:
    schedule = run.experiment.recover.schedule
    if number == _NOW:
        step = run.latest_event(StepEvent)
        where = f"iteration {count(step.iteration + 1)} of {count(step.iterations)}" if step else ""
        return Frame(f"Now: {where}" if where else "Now", "now", "as it was a moment ago")
    tick = count(number * schedule.round_iterations)
    return Frame(frame_label(schedule, number, stopped_at(run)), tick, round_note(schedule, number))


def start_colour(schedule: EarlyLateSchedule, start_round: int) -> str:
    """Return the colour of images that join in a round, "" where all join at once."""
    return round_colour(start_round, schedule.last_start) if schedule.has_rounds else ""


def missing_word(run: Run) -> str:
    """Return what is said in place of an image of a round that is not there."""
    return "no snapshot" if run.status == "finished" else "not reached"


def heads(schedule: EarlyLateSchedule) -> tuple[Head, ...]:
    """Return one heading a round over the columns of the images that join in it."""
    if schedule.is_still:
        return (Head(schedule.ipc, "Real patches", "not optimised"),)
    made = []
    for start in sorted(set(schedule.start_rounds)):
        total = count(schedule.iterations - (start - 1) * schedule.round_iterations)
        span = schedule.start_rounds.count(start)
        words = (f"Round {start}", f"{total} iterations") if span > 1 else (f"R{start}", f"{total} it")
        made.append(Head(span, *words, start_colour(schedule, start)))
    return tuple(made)


def waiting_film(run: Run, names: Sequence[str]) -> Film:
    """Return the grid before there is an image, with a place for each, so that nothing moves when they come."""
    ipc = run.experiment.recover.ipc
    rows = []
    for at, name in enumerate(names):
        alts = (f"{name}, image {index + 1}: not made yet" for index in range(ipc))
        cells = (Cell(f"{at}/{x}", alt, (None, None), missing="starting") for x, alt in enumerate(alts))
        rows.append(Row(name, tuple(cells)))
    frames = [Frame("Before the first iteration", "0", "starting"), Frame("Now", "now", "starting")]
    return Film(rows, [], frames, [0, 0], heads(run.experiment.recover.schedule))


def over_starts(made: Film, what: str) -> Film:
    """Return a film that begins at the start with a row below each, of what they started from ("patch", "noise")."""
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
