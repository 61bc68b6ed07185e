"""The film of one class in one or several runs: cells, frames and captions under a slider that counts iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from delt_engine.plots.recovery import round_colour
from delt_engine.runs.image_facts import ImageFacts
from delt_engine.runs.store import Run
from pages.shared.gallery.grid import Cell, Frame, Row
from pages.shared.runs import strips
from pages.shared.runs.class_rows import Film, rounds_shown, tile_side
from pages.shared.wording import count, fate, frame_label, round_note


@dataclass(frozen=True)
class Part:
    """Some images of one class of one run, in the order in which they are shown.

    ``place`` is the number of the run on the page, 0 the one that the address names; ``title`` and ``note`` stand above
    the images; what they are sorted by (``sort``) is said below each where it is not said anyway.
    """

    run: Run
    class_index: int
    facts: tuple[ImageFacts, ...]
    place: int = 0
    title: str = ""
    note: str = ""
    sort: str = "start"


END = 10**9
"""Position at which every run shows its last round; there where runs of different length are compared."""


def positions(runs: Sequence[Run]) -> list[int]:
    """Return the slider's positions in iterations: wherever one of the runs has a round to show, then the end."""
    found: set[int] = set()
    for schedule in (run.experiment.recover.schedule for run in runs):
        found |= {number * schedule.round_iterations for number in rounds_shown(schedule.num_rounds)}
    return sorted(found) + ([END] if _differ(runs) else [])


def _differ(runs: Sequence[Run]) -> bool:
    return len({run.experiment.recover.iterations for run in runs}) > 1


def round_at(run: Run, position: int) -> int | None:
    """Return the round of a run that ends at a number of iterations, None when none does."""
    schedule = run.experiment.recover.schedule
    if position == END:
        return schedule.num_rounds
    number, rest = divmod(position, schedule.round_iterations)
    return number if rest == 0 and number in rounds_shown(schedule.num_rounds) else None


def last_position(runs: Sequence[Run], class_index: int) -> int:
    """Return how many iterations of a class of the first run can be seen, or the end of all where they differ."""
    if _differ(runs):
        return END
    run = runs[0]
    return max(run.rounds_written(class_index), default=0) * run.experiment.recover.round_iterations


def film(parts: Sequence[Part]) -> Film:
    """Return the film of some parts: one row each, one frame a position of :func:`positions`."""
    runs = list(dict.fromkeys(part.run for part in parts))
    made = Film(rounds=positions(runs))
    made.frames = [_frame(runs, position) for position in made.rounds]
    made.rows = [_row(made, part) for part in parts]
    return made


def swiped(made: Film, names: tuple[str, str]) -> Row:
    """Return the two rows of a film as one, the second's images over the first's."""
    first, second = made.rows
    others = {cell.pick.rsplit("/", 1)[1]: cell for cell in second.cells}
    cells = []
    for cell in first.cells:
        other = others.get(cell.pick.rsplit("/", 1)[1])
        if other:
            words = f"{cell.alt}; left of the divider {names[0]}, right of it {names[1]}"
            cells.append(replace(cell, alt=words, over=other.sheets, over_x=other.x, over_joins=other.joins))
    return replace(first, title="", note="", cells=tuple(cells), empty="The two have no image number in common here.")


def _frame(runs: Sequence[Run], position: int) -> Frame:
    if len(runs) == 1:
        schedule, number = runs[0].experiment.recover.schedule, round_at(runs[0], position)
        return Frame(frame_label(schedule, number or 0), count(position), round_note(schedule, number or 0))
    rounds = [round_at(run, position) for run in runs]
    words = [f"round {number}" if number is not None else "no snapshot" for number in rounds]
    note = ", ".join(f"{chr(65 + place)} {word}" for place, word in enumerate(words))
    if position == END:
        return Frame("At the end of each run", "end", note)
    label = f"After {count(position)} iterations" if position else "Before the first iteration"
    return Frame(label, count(position), note)


def _row(made: Film, part: Part) -> Row:
    run, rounds = part.run, tuple(round_at(part.run, position) for position in made.rounds)
    numbers = [entry.index for entry in part.facts]
    sheets = tuple(made.add(_sheet(part, number, numbers)) for number in rounds)
    missing = "no snapshot" if run.status == "finished" else "not reached"
    cells = tuple(_cell(made, part, entry, x, sheets, missing) for x, entry in enumerate(part.facts))
    empty = "No image of this class fits the filter."
    return Row(part.title, cells, part.note, tile=tile_side(run), run=run.id, rounds=rounds, empty=empty)


def _sheet(part: Part, number: int | None, numbers: list[int]) -> str | None:
    """Return the address of the images of one round; a whole class in its order is the strip as it lies there."""
    if number is None or not numbers:
        return None
    path = part.run.snapshot_path(part.class_index, number)
    if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return strips.address(part.run, path, numbers[0], len(numbers))
    return strips.address(part.run, path, tiles=numbers)


def _cell(made: Film, part: Part, entry: ImageFacts, x: int, sheets: tuple[int | None, ...], missing: str) -> Cell:
    run, schedule = part.run, part.run.experiment.recover.schedule
    # one that is not optimised is finished at the start
    began = -1 if schedule.is_still else (entry.start_round - 1) * schedule.round_iterations
    had = [min(max(0, position - began), entry.iterations) for position in made.rounds]
    where = f" in {run.id}" if part.place else ""
    at_place = f"/{part.place}" if part.place else ""
    return Cell(
        id=f"{part.class_index}/{entry.index}{at_place}",
        alt=f"{run.class_names[part.class_index]}, image {entry.index + 1}{where}: {fate(schedule, entry.index)}",
        sheets=sheets,
        x=x,
        lines=_lines(part, entry),
        counts=tuple(f"{count(number)} of {count(entry.iterations)} it" for number in had) if entry.iterations else (),
        colour=round_colour(entry.start_round, schedule.num_rounds) if schedule.has_rounds else "",
        joins=next((at for at, position in enumerate(made.rounds) if position > began), len(made.rounds)),
        missing=missing,
        pick=f"{run.id}/{part.class_index}/{entry.index}",
    )


def _lines(part: Part, entry: ImageFacts) -> tuple[str, ...]:
    probability = f" · p {entry.patch:.2f}" if entry.patch is not None else ""
    still = part.run.experiment.recover.schedule.is_still
    first = probability.removeprefix(" · ") if still else f"round {entry.start_round}{probability}"
    if part.sort == "end":
        return first, f"last p {entry.end:.2f}" if entry.end is not None else "not measured"
    if part.sort == "distance":
        return first, f"distance {entry.distance:.0f}" if entry.distance is not None else "not measured"
    return (first,)
