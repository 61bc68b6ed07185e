"""The film of several runs: the same image of each above one another, class by class, under one slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from delt_engine.runs.events import RoundEvent, StepEvent
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.compare import alignment
from pages.shared.compare.alignment import Place, Track
from pages.shared.gallery.grid import Cell, Film, Frame, Row
from pages.shared.runs import strips
from pages.shared.runs.class_rows import rounds_shown, start_colour, tile_side
from pages.shared.schedule_words import fate
from pages.shared.wording import count

_LIVE = -1
"""Stands for the images of a moment ago, after the last whole round."""


@dataclass(frozen=True)
class Shots:
    """The rounds that a run can show, :data:`_LIVE` last while it is at work, and its :class:`Track`."""

    run: Run
    rounds: tuple[int, ...]
    track: Track

    def address(self, class_index: int, at: int | None, shown: int) -> str | None:
        """Return where the images of a class are; of a moment ago, or where a round is gone, the newest before."""
        if at is None:
            return None
        path = self.run.live_path(class_index) if self.rounds[at] == _LIVE else None
        full = is_full(self.run, shown)
        found = strips.address(self.run, path, full=full) if path else None
        rounds = [number for number in self.rounds[: at + 1] if number != _LIVE]
        while found is None and rounds:
            found = strips.address(self.run, self.run.snapshot_path(class_index, rounds.pop()), full=full)
        return found


def is_full(run: Run, shown: int) -> bool:
    """Return whether images are shown so large that their thumbnails do not do."""
    return shown > strips.THUMBNAIL < (run.image_size or 0)


def tile(run: Run, shown: int) -> int:
    """Return the side of the tiles in the sheets of a run."""
    return (run.image_size or strips.THUMBNAIL) if is_full(run, shown) else tile_side(run)


def shots(run: Run, classes: Sequence[int]) -> Shots:
    """Return what a run can show of some classes now."""
    schedule = run.experiment.recover.schedule
    written = {number for class_index in classes for number in run.rounds_written(class_index)}
    last = max(written, default=-1)
    rounds = [n for n in rounds_shown(schedule.num_rounds) if n in written] or sorted(written)
    iterations = [number * schedule.round_iterations for number in rounds]
    if rounds and rounds[-1] != last:  # a stopped run ends between two rounds that are shown
        rounds.append(last)
        iterations.append(last * schedule.round_iterations)
    ended = None if run.is_active or not rounds else run.latest_event(RoundEvent)
    if ended and ended.partial and ended.round == last:
        iterations[-1] = ended.iteration
    step = run.latest_event(StepEvent) if run.is_active and rounds else None
    if step and step.iteration + 1 > iterations[-1]:
        rounds.append(_LIVE)
        iterations.append(step.iteration + 1)
    return Shots(run, tuple(rounds), Track(tuple(iterations), schedule.iterations, run.is_active))


def class_numbers(run: Run) -> dict[str, int]:
    """Return the classes of a run by name; empty while it has not read its data."""
    return {run.class_names[number]: number for number in run.classes}


def common_classes(runs: Sequence[Run]) -> list[str]:
    """Return the names of the classes that all runs have; one that has not read its data yet is no hindrance."""
    known = [numbers for run in runs if (numbers := class_numbers(run))]
    return [name for name in known[0] if all(name in numbers for numbers in known)] if known else []


def film(
    runs: Sequence[Run],
    class_names: Sequence[str],
    mode: str = "end",
    *,
    shown: int = 96,
    indices: Sequence[int] | None = None,
) -> tuple[Film, list[Place]]:
    """Return the film of some classes and the places of its frames.

    Args:
        runs: with images or still without.
        class_names: one row each; all runs that know their classes have them.
        mode: one of :data:`alignment.MODES`.
        shown: side of an image on screen, pixels.
        indices: which images of each class, in this order; by default all that every run has.
    """
    numbers = [class_numbers(run) for run in runs]
    found = [shots(run, [own[n] for n in class_names if n in own]) for run, own in zip(runs, numbers, strict=True)]
    tracks = [one.track for one in found]
    places = alignment.places(tracks, mode)
    made = Film(rounds=list(range(len(places))))
    made.frames = [_frame(tracks, place, mode) for place in places]
    ipc = min(run.experiment.recover.ipc for run in runs)
    chosen = [index for index in (range(ipc) if indices is None else indices) if index < ipc]
    for name in class_names:
        columns = [
            cells(made, one, own.get(name), [one.track.at(place, mode) for place in places], shown, chosen, letter)
            for one, letter, own in zip(found, "ABCD", numbers, strict=False)
        ]
        stacked = tuple(cell for together in zip(*columns, strict=True) for cell in together)
        made.rows.append(Row(name, stacked, _note(runs, numbers, name), deep=len(runs)))
    return made, places


def _frame(tracks: Sequence[Track], place: Place, mode: str) -> Frame:
    notes = (f"{letter} {track.words(place, mode)}" for letter, track in zip("ABCD", tracks, strict=False))
    return Frame(alignment.label(place, mode), alignment.tick(place, mode), " · ".join(notes))


def cells(
    made: Film,
    one: Shots,
    class_index: int | None,
    at: Sequence[int | None],
    shown: int,
    indices: Sequence[int],
    letter: str = "",
) -> list[Cell]:
    """Return images of a class of one run; ``at`` are its shots by frame, the class None while it has no images.

    With a ``letter`` for the run each image says what it has had.
    """
    schedule, run = one.run.experiment.recover.schedule, one.run
    name = run.class_names[class_index] if class_index is not None else "not made yet"
    sheet = {
        frame: made.add(one.address(class_index, frame, shown)) if class_index is not None else None
        for frame in dict.fromkeys(at)
    }
    found = []
    for index in indices:
        starts = schedule.start_rounds[index]
        began = -1 if schedule.is_still else (starts - 1) * schedule.round_iterations
        reached = [one.track.iterations[frame] if frame is not None else 0 for frame in at]
        total = schedule.image_iterations_each[index]
        had = [min(max(0, number - began), total) for number in reached]
        said = [f"{letter} {count(number)} of {count(total)}" if total else f"{letter} patch" for number in had]
        found.append(
            Cell(
                id=f"{letter or run.id}/{class_index}/{index}",
                alt=f"{letter or run.id}: {name}, image {index + 1}: {fate(schedule, index)}",
                sheets=tuple(sheet[frame] for frame in at),
                x=index,
                counts=tuple(said) if letter else None,
                colour=start_colour(schedule, starts),
                joins=next((frame for frame, number in enumerate(reached) if number > began), len(at)),
                missing="starting" if run.is_active else "no snapshot",
                tile=tile(run, shown),
            )
        )
    return found


def _note(runs: Sequence[Run], numbers: Sequence[dict[str, int]], name: str) -> str:
    """Return how alike the newest images of a class are in each run, where all have two or more."""
    found = [
        cached.class_cosine(run, own[name]) if name in own else None for run, own in zip(runs, numbers, strict=True)
    ]
    words = (f"{letter} {value:z.3f}" for letter, value in zip("ABCD", found, strict=False) if value is not None)
    said = " · ".join(words)
    return f"Cosine similarity in pixels: {said}" if said else ""


def swiped(made: Film, names: Sequence[str]) -> list[Row]:
    """Return the rows of a film of two runs with the second's images over the first's."""
    rows = []
    for row in made.rows:
        pairs = zip(row.cells[::2], row.cells[1::2], strict=True)
        cells = (
            replace(
                first,
                alt=f"{first.alt}; left of the divider {names[0]}, right of it {names[1]}",
                over=second.sheets,
                over_x=second.x,
                over_joins=second.joins,
            )
            for first, second in pairs
        )
        rows.append(replace(row, cells=tuple(cells), deep=1))
    return rows


def same_starts(runs: Sequence[Run], name: str) -> bool | None:
    """Return whether the images of a class start from the same patches in all runs; None where none are recorded."""
    found = []
    for run in runs:
        number = class_numbers(run).get(name)
        chosen = cached.class_selection(run, number) if number is not None else ()
        if not chosen:
            return None
        found.append([[(p.image_index, p.crop_box) for p in image.patches] for image in chosen])
    shortest = min(map(len, found))
    return all(one[:shortest] == found[0][:shortest] for one in found)
