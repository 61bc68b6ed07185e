"""A run's images as rows of the grid: one row a class, one cell an image, one frame a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.plots.recovery import round_colour
from delt_engine.runs.events import StepEvent
from delt_engine.runs.image_facts import mean_prob
from delt_engine.runs.store import Run
from pages.shared.gallery.grid import Cell, Frame, Head, Row
from pages.shared.runs import strips
from pages.shared.wording import count, fate, frame_label, round_note

__all__ = ["MOST_FRAMES", "Film", "film", "film_so_far", "heads", "mean_prob", "rounds_shown", "tile_side"]

MOST_FRAMES = 25
"""Snapshots sent at once; longer runs are thinned evenly, first and last kept."""

_NOW = -1
"""Stands for the images of a moment ago, after the last whole round."""


@dataclass
class Film:
    """Rows of images with the sheets they are cut from and the positions of the slider."""

    rows: list[Row] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    head: tuple[Head, ...] = ()

    def add(self, sheet: str | None) -> int | None:
        """Keep a sheet and return its number."""
        if sheet is None:
            return None
        self.sheets.append(sheet)
        return len(self.sheets) - 1


def tile_side(run: Run) -> int:
    """Return the side of the run's tiles in its sheets."""
    return strips.tile_side(run.image_size or strips.THUMBNAIL)


def rounds_shown(num_rounds: int) -> list[int]:
    """Return the rounds to show, 0 (the start) and the last always among them.

    >>> rounds_shown(4), len(rounds_shown(400))
    ([0, 1, 2, 3, 4], 25)
    """
    if num_rounds < MOST_FRAMES:
        return list(range(num_rounds + 1))
    return sorted({round(i * num_rounds / (MOST_FRAMES - 1)) for i in range(MOST_FRAMES)})


def film(run: Run, classes: Sequence[int], *, first: int = 0, shown: int | None = None) -> Film:
    """Return the whole film of some classes: every round that can be shown, written or not.

    Args:
        run: any run that knows its classes.
        classes: numbers of the classes, one row each.
        first: number of the first image shown of each class.
        shown: how many images of each class are shown; all when None.
    """
    made = Film(rounds=rounds_shown(run.experiment.recover.schedule.num_rounds))
    return _filled(made, run, classes, first, shown)


def film_so_far(run: Run, classes: Sequence[int]) -> Film:
    """Return the film up to now: the rounds written, and the latest images, of a moment ago, while the run is on."""
    rounds = rounds_shown(run.experiment.recover.schedule.num_rounds)
    written = max((max(run.rounds_written(c), default=0) for c in classes), default=0)
    made = Film(rounds=[number for number in rounds if number <= written])
    if run.is_active:  # from the start, so that the slider is there when the second position comes
        made.rounds.append(_NOW)
    return _filled(made, run, classes, 0, None)


def _filled(made: Film, run: Run, classes: Sequence[int], first: int, shown: int | None) -> Film:
    schedule = run.experiment.recover.schedule
    stop = schedule.ipc if shown is None else min(schedule.ipc, first + shown)
    made.frames = [_frame(run, number) for number in made.rounds]
    made.head = heads(run, first, stop)
    missing, starts = "no snapshot" if run.status == "finished" else "not reached", _starts(schedule)
    blank = [_cell(schedule, index, index - first, missing) for index in range(first, stop)]
    for class_index in classes:
        last = max(run.rounds_written(class_index), default=0)
        sheets = tuple(made.add(_sheet(run, class_index, number, last, first, stop)) for number in made.rounds)
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
            for index, cell in enumerate(blank, start=first)
        ]
        made.rows.append(Row(name, tuple(cells)))
    return made


def _starts(schedule: EarlyLateSchedule) -> tuple[int, ...]:
    """Return the round in which each image joins; one that is not optimised is finished at the start."""
    return (0,) * schedule.ipc if schedule.is_still else schedule.start_rounds


def _sheet(run: Run, class_index: int, number: int, last: int, first: int, stop: int) -> str | None:
    """Return the sheet of a round; of a moment ago, for a class not worked on now, its last round."""
    if number == _NOW:
        live = strips.address(run, run.live_path(class_index), first, stop - first)
        return live or strips.address(run, run.snapshot_path(class_index, last), first, stop - first)
    return strips.address(run, run.snapshot_path(class_index, number), first, stop - first)


def _frame(run: Run, number: int) -> Frame:
    schedule = run.experiment.recover.schedule
    if number == _NOW:
        step = run.latest_event(StepEvent)
        where = f"iteration {count(step.iteration + 1)} of {count(step.iterations)}" if step else ""
        return Frame(f"Now: {where}" if where else "Now", "now", "as it was a moment ago")
    tick = count(number * schedule.round_iterations)
    return Frame(frame_label(schedule, number), tick, round_note(schedule, number))


def _cell(schedule: EarlyLateSchedule, index: int, x: int, missing: str) -> Cell:
    """Return what the n-th images of all classes have in common."""
    return Cell(
        id="",
        sheets=(),
        alt=f"image {index + 1}: {fate(schedule, index)}",
        x=x,
        colour=round_colour(schedule.start_rounds[index], schedule.num_rounds) if schedule.has_rounds else "",
        missing=missing,
    )


def heads(run: Run, first: int, stop: int) -> tuple[Head, ...]:
    """Return one heading a round over the columns of the images that join in it."""
    schedule = run.experiment.recover.schedule
    starts = schedule.start_rounds[first:stop]
    if schedule.is_still:
        return (Head(len(starts), "Real patches", "not optimised"),)
    made = []
    for start in sorted(set(starts)):
        total = count(schedule.iterations - (start - 1) * schedule.round_iterations)
        span = starts.count(start)
        words = (f"Round {start}", f"{total} iterations") if span > 1 else (f"R{start}", f"{total} it")
        colour = round_colour(start, schedule.num_rounds) if schedule.has_rounds else ""
        made.append(Head(span, *words, colour))
    return tuple(made)
