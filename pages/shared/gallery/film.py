"""The film of one class in one or several runs: which images stand where, under a slider that counts iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from delt_engine.runs.image_facts import ImageFacts, early_and_late, ordered
from delt_engine.runs.store import Run
from pages.shared import address, cached
from pages.shared.gallery.choices import Filter
from pages.shared.gallery.grid import Cell, Film, Frame, Row
from pages.shared.runs import strips
from pages.shared.runs.class_rows import missing_word, rounds_shown, start_colour, tile_side
from pages.shared.wording import count, fate, frame_label, plural, round_note, run_title

PER_PAGE = 60
PAGE = "gallery/page"
END = 10**9
"""Position at which every run shows its last round; there where runs of different length are compared."""


@dataclass(frozen=True)
class View:
    """What the reader chose to see.

    ``runs`` begin with the main one; ``class_name`` since runs may number a class differently; ``sort`` is a key of
    SORTS; ``arrangement`` "all", "halves", "rounds", or for several runs "sides", "swipe"; ``shown`` the side of an
    image on screen in pixels.
    """

    runs: tuple[Run, ...]
    class_name: str
    sort: str = "start"
    descending: bool = False
    arrangement: str = "all"
    shown: int = 96
    conditions: Filter = Filter()

    def class_of(self, run: Run) -> int | None:
        """Return the number that the class has in a run, None when the run does not have it."""
        numbers = [number for number in run.classes if run.class_names[number] == self.class_name]
        return numbers[0] if numbers else None


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


def parts_of(view: View) -> list[Part]:
    """Return what is shown of each run, no more than a page of images in all."""
    parts = []
    for place, run in enumerate(view.runs):
        class_index = view.class_of(run)
        if class_index is not None:
            fitting = view.conditions.of(cached.image_facts(run, class_index))
            facts = ordered(fitting, view.sort, descending=view.descending)
            parts.append(Part(run, class_index, tuple(facts), place, sort=view.sort))
    if view.arrangement == "halves":
        return [replace(part, note=_range(part.facts)) for part in _page_of(_halves(parts[0]))]
    parts = _page_of(parts)
    if view.arrangement == "rounds":
        return _by_round(parts[0]) or parts
    if len(view.runs) > 1:
        letters = (f"{chr(65 + part.place)}: {run_title(part.run.experiment)}" for part in parts)
        return [replace(part, title=title, note=part.run.id) for part, title in zip(parts, letters, strict=True)]
    return parts


def _halves(part: Part) -> list[Part]:
    """Split by joining; the order within each half stays, and the middle image of an odd number is in neither."""
    made = []
    halves = early_and_late(cached.image_facts(part.run, part.class_index))
    for title, half in zip(("Early half", "Late half"), halves, strict=True):
        indices = {entry.index for entry in half}
        made.append(replace(part, title=title, facts=tuple(entry for entry in part.facts if entry.index in indices)))
    return made


def _by_round(part: Part) -> list[Part]:
    made = []
    for start in sorted({entry.start_round for entry in part.facts}):
        facts = tuple(entry for entry in part.facts if entry.start_round == start)
        made.append(replace(part, title=f"Joined in round {start}", note=_range(facts), facts=facts))
    return made


def _page_of(parts: list[Part]) -> list[Part]:
    """Return one page of each part, with the choice of the page where there is more than one."""
    each = max(1, PER_PAGE // len(parts))
    pages = -(-max(len(part.facts) for part in parts) // each)
    if pages <= 1:
        return parts
    address.restore("page", PAGE, int)
    st.session_state[PAGE] = min(max(1, st.session_state.get(PAGE) or 1), pages)
    number = st.pagination(pages, key=PAGE)
    address.publish("page", PAGE, number if number > 1 else "")
    return [replace(part, facts=part.facts[each * (number - 1) : each * number]) for part in parts]


def _range(facts: Sequence[ImageFacts]) -> str:
    totals = sorted({entry.iterations for entry in facts})
    if not totals:
        return ""
    if totals == [0]:
        return f"{plural(len(facts), 'image')}, not optimised"
    words = count(totals[0]) if len(totals) == 1 else f"{count(totals[-1])} to {count(totals[0])}"
    return f"{plural(len(facts), 'image')}, {words} iterations each"


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
    return max(runs[0].rounds_written(class_index), default=0) * runs[0].experiment.recover.round_iterations


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
        schedule, number = runs[0].experiment.recover.schedule, round_at(runs[0], position) or 0
        return Frame(frame_label(schedule, number), count(position), round_note(schedule, number))
    rounds = [round_at(run, position) for run in runs]
    words = [f"round {number}" if number is not None else "no snapshot" for number in rounds]
    note = ", ".join(f"{chr(65 + place)} {word}" for place, word in enumerate(words))
    if position == END:
        return Frame("At the end of each run", "end", note)
    label = f"After {count(position)} iterations" if position else "Before the first iteration"
    return Frame(label, count(position), note)


def _row(made: Film, part: Part) -> Row:
    run, rounds = part.run, tuple(round_at(part.run, position) for position in made.rounds)
    sheets = tuple(made.add(_sheet(part, number)) for number in rounds)
    cells = tuple(_cell(made, part, entry, x, sheets) for x, entry in enumerate(part.facts))
    empty = "No image of this class fits the filter."
    return Row(part.title, cells, part.note, tile=tile_side(run), run=run.id, rounds=rounds, empty=empty)


def _sheet(part: Part, number: int | None) -> str | None:
    """Return the address of the images of one round; a whole class in its order is the strip as it lies there."""
    numbers = [entry.index for entry in part.facts]
    if number is None or not numbers:
        return None
    path = part.run.snapshot_path(part.class_index, number)
    if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return strips.address(part.run, path, numbers[0], len(numbers))
    return strips.address(part.run, path, tiles=numbers)


def _cell(made: Film, part: Part, entry: ImageFacts, x: int, sheets: tuple[int | None, ...]) -> Cell:
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
        colour=start_colour(schedule, entry.start_round),
        joins=next((at for at, position in enumerate(made.rounds) if position > began), len(made.rounds)),
        missing=missing_word(run),
        pick=f"{run.id}/{part.class_index}/{entry.index}",
    )


def _lines(part: Part, entry: ImageFacts) -> tuple[str, ...]:
    words = [] if part.run.experiment.recover.schedule.is_still else [f"round {entry.start_round}"]
    words += [f"p {entry.patch:.2f}"] if entry.patch is not None else []
    lines = [" · ".join(words)]
    if part.sort == "end":
        lines.append(f"last p {entry.end:.2f}" if entry.end is not None else "not measured")
    if part.sort == "distance":
        lines.append(f"distance {entry.distance:.0f}" if entry.distance is not None else "not measured")
    return tuple(lines)
