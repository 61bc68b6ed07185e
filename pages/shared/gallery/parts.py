"""Which images of a class stand where on the gallery page: filtered, in order, a page of them, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from delt_engine.runs.image_facts import ImageFacts, early_and_late, ordered
from delt_engine.runs.store import Run
from pages.shared import address, cached
from pages.shared.gallery.film import Part
from pages.shared.gallery.filter import Filter
from pages.shared.wording import count, plural, run_title

PER_PAGE = 60
PAGE = "gallery/page"


@dataclass(frozen=True)
class View:
    """What the reader chose to see.

    Args:
        runs: the main run first.
        class_name: the class, by name, since runs may number it differently.
        sort: a key of SORTS.
        descending: whether the largest come first.
        arrangement: "all", "halves", "rounds", or for several runs "sides", "swipe".
        shown: side of an image on screen, pixels.
        conditions: which images.
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


def parts_of(view: View) -> list[Part]:
    """Return what is shown of each run, no more than a page of images in all."""
    parts = []
    for place, run in enumerate(view.runs):
        class_index = view.class_of(run)
        if class_index is not None:
            fitting = view.conditions.of(cached.image_facts(run, class_index))
            facts = ordered(fitting, view.sort, descending=view.descending)
            parts.append(Part(run, class_index, tuple(facts), place, sort=view.sort))
    return _titled(view, _page_of(_halves(parts[0]) if view.arrangement == "halves" else parts))


def _halves(part: Part) -> list[Part]:
    """Split by joining; the order within each half stays."""
    late = {entry.index for entry in early_and_late(cached.image_facts(part.run, part.class_index))[1]}
    groups = [tuple(entry for entry in part.facts if (entry.index in late) == is_late) for is_late in (False, True)]
    return [replace(part, facts=group) for group in groups]


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


def _titled(view: View, parts: list[Part]) -> list[Part]:
    """Say above each part what it is."""
    if view.arrangement == "halves":
        titles = ("Early half", "Late half")
        return [replace(part, title=title, note=_range(part.facts)) for title, part in zip(titles, parts, strict=True)]
    if view.arrangement == "rounds":
        return _by_round(parts[0]) or parts
    if len(view.runs) > 1:
        return [
            replace(part, title=f"{chr(65 + part.place)}: {run_title(part.run.experiment)}", note=part.run.id)
            for part in parts
        ]
    return parts


def _by_round(part: Part) -> list[Part]:
    made = []
    for start in sorted({entry.start_round for entry in part.facts}):
        facts = tuple(entry for entry in part.facts if entry.start_round == start)
        made.append(replace(part, title=f"Joined in round {start}", note=_range(facts), facts=facts))
    return made


def _range(facts: Sequence[ImageFacts]) -> str:
    totals = sorted({entry.iterations for entry in facts})
    if not totals:
        return ""
    if totals == [0]:
        return f"{plural(len(facts), 'image')}, not optimised"
    words = count(totals[0]) if len(totals) == 1 else f"{count(totals[-1])} to {count(totals[0])}"
    return f"{plural(len(facts), 'image')}, {words} iterations each"
