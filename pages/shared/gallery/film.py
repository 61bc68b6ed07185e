"""The film of a run's classes: which images stand where, under a slider that counts iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from delt_engine.runs.image_facts import ImageFacts, early_and_late, ordered
from delt_engine.runs.store import Run
from pages.shared import address, cached
from pages.shared.compare.film import is_full, tile
from pages.shared.gallery.choices import Filter
from pages.shared.gallery.grid import Cell, Film, Frame, Row
from pages.shared.runs import strips
from pages.shared.runs.class_rows import missing_word, rounds_shown, start_colour
from pages.shared.schedule_words import fate, frame_label, round_note
from pages.shared.wording import count, plural

PER_PAGE = 60
CLASSES_PER_PAGE = 10
MOST_IN_ROW = 12
"""Images of a class in a row of its own among others; of more, so many are taken evenly."""

PAGE = "gallery/page"


@dataclass(frozen=True)
class View:
    """What the reader chose to see.

    ``class_names`` is one, or all for a row each; ``others`` are runs to compare with; ``sort`` is a key of SORTS;
    ``arrangement`` "all", "halves", "rounds" of one class; ``shown`` the side of an image on screen in pixels;
    ``has_starts`` puts below each image what it started from; ``only`` are the images that a link names, by class.
    """

    run: Run
    class_names: tuple[str, ...]
    others: tuple[Run, ...] = ()
    sort: str = "start"
    descending: bool = False
    arrangement: str = "all"
    shown: int = 160
    conditions: Filter = Filter()
    has_starts: bool = False
    only: dict[int, frozenset[int]] | None = None

    @property
    def is_rows(self) -> bool:
        """Whether classes stand below each other, one row each."""
        return len(self.class_names) > 1 or self.only is not None

    def facts(self, class_index: int) -> list[ImageFacts]:
        """Return the images of a class that pass, in the order asked for."""
        found = self.conditions.of(cached.image_facts(self.run, class_index))
        chosen = None if self.only is None else self.only.get(class_index, frozenset())
        found = [entry for entry in found if chosen is None or entry.index in chosen]
        return ordered(found, self.sort, descending=self.descending)


@dataclass(frozen=True)
class Part:
    """Some images of one class, in the order in which they are shown.

    ``title`` and ``notes``, one a frame, stand beside or above the images; ``link`` leads to the class alone.
    """

    class_index: int
    facts: tuple[ImageFacts, ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    link: str = ""
    has_lead: bool = False


def parts_of(view: View, rounds: Sequence[int]) -> list[Part]:
    """Return what is shown, no more than a page of images in all."""
    run = view.run
    names = list(view.class_names)
    if view.is_rows:
        numbers = [run.class_names.index(name) for name in _page_of(names, CLASSES_PER_PAGE)]
        return [_row_part(view, number) for number in numbers]
    class_index = run.class_names.index(names[0])
    facts = tuple(view.facts(class_index))
    if view.arrangement == "halves":
        return _halves(view, class_index, facts, rounds)
    each = PER_PAGE if view.shown <= strips.THUMBNAIL * 2 else PER_PAGE // 2
    facts = tuple(_page_of(facts, each))
    whole = Part(class_index, facts, names[0], (_class_note(run, class_index),), has_lead=True)
    return _by_round(whole) if view.arrangement == "rounds" and facts else [whole]


def _row_part(view: View, class_index: int) -> Part:
    facts = view.facts(class_index)
    if len(facts) > MOST_IN_ROW and view.only is None:
        facts = [facts[at * (len(facts) - 1) // (MOST_IN_ROW - 1)] for at in range(MOST_IN_ROW)]
    value = cached.class_cosine(view.run, class_index)
    note = "" if value is None else f"cosine {value:z.3f}"
    name = view.run.class_names[class_index]
    return Part(class_index, tuple(facts), name, (note,), link=f"class/{class_index}", has_lead=True)


def _class_note(run: Run, class_index: int) -> str:
    value, ipc = cached.class_cosine(run, class_index), run.experiment.recover.ipc
    return plural(ipc, "image") + ("" if value is None else f" · cosine similarity in pixels {value:z.3f}")


def _halves(view: View, class_index: int, facts: Sequence[ImageFacts], rounds: Sequence[int]) -> list[Part]:
    """Split by joining; the order within each half stays, and the middle image of an odd number is in neither."""
    halves = early_and_late(cached.image_facts(view.run, class_index))
    written = tuple(number for number in rounds if number in view.run.rounds_written(class_index))
    has_pairs = view.run.experiment.recover.ipc >= 4
    likeness = cached.run_halves(view.run, class_index, written) if has_pairs and written else ()
    made = []
    for which, (title, half) in enumerate(zip(("Early half", "Late half"), halves, strict=True)):
        indices = {entry.index for entry in half}
        own = tuple(entry for entry in facts if entry.index in indices)
        known = {number: pair[which] for number, pair in zip(written, likeness, strict=False)}
        notes = tuple(_range(own) + _said(known.get(number)) for number in rounds)
        made.append(Part(class_index, tuple(_page_of(own, PER_PAGE // 2)) if which == 0 else own, title, notes))
    return made


def _said(value: float | None) -> str:
    return "" if value is None else f" · cosine similarity {value:z.3f}"


def _by_round(part: Part) -> list[Part]:
    made = []
    for start in sorted({entry.start_round for entry in part.facts}):
        facts = tuple(entry for entry in part.facts if entry.start_round == start)
        made.append(replace(part, title=f"Round {start}", notes=(_range(facts),), facts=facts, has_lead=False))
    return made


def _page_of(entries: Sequence, each: int) -> Sequence:
    """Return one page of what there is, with the choice of the page where there is more than one."""
    pages = -(-len(entries) // each)
    if pages <= 1:
        return entries
    address.restore("page", PAGE, int)
    st.session_state[PAGE] = min(max(1, st.session_state.get(PAGE) or 1), pages)
    number = st.pagination(pages, key=PAGE)
    address.publish("page", PAGE, number if number > 1 else "")
    return entries[each * (number - 1) : each * number]


def _range(facts: Sequence[ImageFacts]) -> str:
    totals = sorted({entry.iterations for entry in facts})
    if not totals:
        return ""
    if totals == [0]:
        return f"{plural(len(facts), 'image')}, not optimised"
    words = count(totals[0]) if len(totals) == 1 else f"{count(totals[-1])} to {count(totals[0])}"
    return f"{plural(len(facts), 'image')}, {words} iterations" + (" each" if len(facts) > 1 else "")


def film(view: View) -> Film:
    """Return the film of what is shown: one row a part, one frame a round."""
    schedule = view.run.experiment.recover.schedule
    made = Film(rounds=rounds_shown(schedule.num_rounds))
    made.frames = [
        Frame(frame_label(schedule, number), count(number * schedule.round_iterations), round_note(schedule, number))
        for number in made.rounds
    ]
    made.rows = [_row(made, view, part) for part in parts_of(view, made.rounds)]
    return made


def _row(made: Film, view: View, part: Part) -> Row:
    run = view.run
    sheets = tuple(made.add(_sheet(view, part, number)) for number in made.rounds)
    cells = [_cell(made, view, part, entry, x, sheets) for x, entry in enumerate(part.facts)]
    has_starts = view.has_starts and sheets[0] is not None
    if has_starts:
        cells = [one for cell in cells for one in (cell, start_of(run, cell))]
    note, notes = (part.notes[0], ()) if len(part.notes) == 1 else ("", part.notes)
    return Row(
        part.title,
        tuple(cells),
        note,
        tile=tile(run, view.shown),
        run=run.id,
        rounds=tuple(made.rounds),
        empty="No image of this class fits the filter.",
        notes=notes,
        deep=2 if has_starts else 1,
        lead=_lead(made, run, part) if part.has_lead else None,
        link=part.link,
    )


def start_of(run: Run, cell: Cell) -> Cell:
    """Return what an image started from, to stand below it."""
    what = "real patch" if run.experiment.recover.initialization == "patches" else "noise"
    words = f"{cell.alt.split(':')[0]}: the {what} that it started from"
    still = replace(cell, id="", alt=words, sheets=(cell.sheets[0],) * len(cell.sheets), joins=0, colour="", pick="")
    return replace(still, counts=None, lines=(what,))


def _lead(made: Film, run: Run, part: Part) -> Cell | None:
    """Return the real patch that a class's first image started from, where there is one."""
    if run.experiment.recover.initialization != "patches":
        return None
    sheet = made.add(strips.address(run, run.snapshot_path(part.class_index, 0), 0, 1))
    if sheet is None:
        return None
    alt = f"{run.class_names[part.class_index]}: the real patch that its first image started from"
    return Cell("", alt, (sheet,) * len(made.rounds), tile=strips.tile_side(run.image_size or strips.THUMBNAIL))


def _sheet(view: View, part: Part, number: int) -> str | None:
    """Return the address of the images of one round; a whole class in its order is the strip as it lies there."""
    numbers, run, full = [entry.index for entry in part.facts], view.run, is_full(view.run, view.shown)
    if not numbers:
        return None
    path = run.snapshot_path(part.class_index, number)
    if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return strips.address(run, path, numbers[0], len(numbers), full=full)
    return strips.address(run, path, tiles=numbers, full=full)


def _cell(made: Film, view: View, part: Part, entry: ImageFacts, x: int, sheets: tuple[int | None, ...]) -> Cell:
    run, schedule = view.run, view.run.experiment.recover.schedule
    # one that is not optimised is finished at the start
    began = -1 if schedule.is_still else (entry.start_round - 1) * schedule.round_iterations
    reached = [number * schedule.round_iterations for number in made.rounds]
    had = [min(max(0, number - began), entry.iterations) for number in reached]
    return Cell(
        id=f"{part.class_index}/{entry.index}",
        alt=f"{run.class_names[part.class_index]}, image {entry.index + 1}: {fate(schedule, entry.index)}",
        sheets=sheets,
        x=x,
        lines=() if view.is_rows else _lines(view, entry),
        counts=tuple(f"{count(number)} of {count(entry.iterations)}" for number in had) if entry.iterations else (),
        colour=start_colour(schedule, entry.start_round),
        joins=next((at for at, number in enumerate(reached) if number > began), len(reached)),
        missing=missing_word(run),
        pick=f"{run.id}/{part.class_index}/{entry.index}",
    )


def _lines(view: View, entry: ImageFacts) -> tuple[str, ...]:
    words = [] if view.run.experiment.recover.schedule.is_still else [f"round {entry.start_round}"]
    words += [f"p {entry.patch:.2f}"] if entry.patch is not None else []
    lines = [" · ".join(words)]
    if view.sort == "end":
        lines.append(f"image p {entry.end:.2f}" if entry.end is not None else "not measured")
    if view.sort == "distance":
        lines.append(f"distance {entry.distance:.0f}" if entry.distance is not None else "not measured")
    return tuple(lines)
