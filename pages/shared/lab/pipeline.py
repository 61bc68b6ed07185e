"""The stages from a dataset to a student as six cards, each with one number and one small picture of a finished run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import streamlit as st

from delt_engine.plots.style import LINE, method_colour
from delt_engine.runs.predictions import read_round, rounds_predicted
from pages.shared import cached
from pages.shared.component import component, versioned
from pages.shared.lab.example import Example
from pages.shared.runs import class_rows, strips
from pages.shared.wording import METHOD_TITLES, count

STAGES = {
    "squeeze": "Squeeze",
    "rank": "Rank",
    "select": "Select",
    "recover": "Recover",
    "relabel": "Relabel",
    "evaluate": "Evaluate",
}
_BINS = 12
_component = component("pipeline")


@dataclass(frozen=True)
class Card:
    """One stage: ``tiles`` are places in sheets, ``bars`` pairs of a share and a colour ("" for grey)."""

    id: str
    title: str
    number: str
    note: str
    tiles: tuple[dict[str, Any], ...] = ()
    bars: tuple[tuple[float, str], ...] = ()


def draw(shown: Example, key: str, on_pick: Callable[[str], None], chosen: str = "") -> None:
    """Draw the cards of an example; ``on_pick`` gets the name of the stage that is clicked."""

    def take() -> None:
        picked = (st.session_state.get(key) or {}).get("picked")
        if picked in STAGES:
            on_pick(picked)

    data = versioned({"label": "Stages", "cards": [asdict(card) for card in cards(shown)]})
    _component(key=key, data=data | {"chosen": chosen}, on_picked_change=take)


def cards(shown: Example) -> list[Card]:
    """Return the six stages of a run."""
    makers = (_squeeze, _rank, _select, _recover, _relabel, _evaluate)
    return [Card(name, STAGES[name], *make(shown)) for name, make in zip(STAGES, makers, strict=True)]


def _tiles(shown: Example, round_number: int, images: list[int], class_index: int | None = None) -> tuple[Any, ...]:
    index = shown.class_index if class_index is None else class_index
    sheet = strips.address(shown.run, shown.run.snapshot_path(index, round_number))
    side = class_rows.tile_side(shown.run)
    return tuple({"sheet": sheet, "x": x, "side": side} for x in images) if sheet else ()


def spread(ipc: int, most: int = 4) -> list[int]:
    """Return the numbers of some images from the first to join to the last.

    >>> spread(10), spread(2)
    ([0, 3, 6, 9], [0, 1])
    """
    return sorted({round(place * (ipc - 1) / max(1, min(most, ipc) - 1)) for place in range(min(most, ipc))})


def _squeeze(shown: Example) -> tuple[Any, ...]:
    teacher, classes = shown.run.record().teacher, shown.run.classes
    number = f"{teacher.accuracy:.1f} %" if teacher.accuracy else "–"
    tiles: tuple[Any, ...] = ()
    if shown.run.experiment.recover.initialization == "patches":  # the start images are real
        for place in spread(len(classes)):
            tiles += _tiles(shown, shown.ends[0], [0], classes[place])
    return number, f"teacher {teacher.name} on test images", tiles


def _rank(shown: Example) -> tuple[Any, ...]:
    probabilities = shown.probabilities
    if not len(probabilities):
        return "–", "no patches were ranked"
    counts, edges = np.histogram(probabilities, bins=_BINS, range=(0, 1))
    low, high = band(shown)
    inside = (edges[1:] > low) & (edges[:-1] <= high)
    bars = tuple((float(n) / counts.max(), LINE if took else "") for n, took in zip(counts, inside, strict=True))
    return count(len(probabilities)), f"patches of {shown.class_name}, by the teacher's probability", (), bars


def band(shown: Example) -> tuple[float, float]:
    """Return the least and the largest probability of the patches that were chosen."""
    chosen = [
        patch.true_class_prob for one in cached.class_selection(shown.run, shown.class_index) for patch in one.patches
    ]
    return (min(chosen), max(chosen)) if chosen else (1.0, 0.0)


def _select(shown: Example) -> tuple[Any, ...]:
    recover, select = shown.run.experiment.recover, shown.run.experiment.select
    if recover.initialization != "patches":
        return "–", "starts from noise", _tiles(shown, shown.ends[0], spread(recover.ipc))
    return (
        f"{recover.ipc} a class",
        f"{select.criterion} probability",
        _tiles(shown, shown.ends[0], spread(recover.ipc)),
    )


def _recover(shown: Example) -> tuple[Any, ...]:
    recover = shown.run.experiment.recover
    tiles = _tiles(shown, shown.ends[1], spread(recover.ipc))
    if not recover.is_optimised:
        return "0", "not optimised", tiles
    rounds = f"{count(recover.iterations)} / {count(recover.round_iterations)}"
    return rounds, "MI / RI, iterations", tiles


def _relabel(shown: Example) -> tuple[Any, ...]:
    said = last_predictions(shown)
    if not said:
        return "–", "no predictions stored"
    first = said[min(said)]
    names = shown.run.class_names
    bars = tuple(
        (share, LINE if number == shown.class_index else "")
        for number, share in zip(first.classes, first.probs, strict=True)
    )
    return f"{100 * first.true_class_prob:.1f} %", f"{names[shown.class_index]}, by the teacher, of an image", (), bars


def last_predictions(shown: Example) -> dict[int, Any]:
    """Return what the teacher says of the images of the class at the end, by image."""
    rounds = rounds_predicted(shown.run, shown.class_index)
    return read_round(shown.run, shown.class_index, rounds[-1]) if rounds else {}


def _evaluate(shown: Example) -> tuple[Any, ...]:
    own = shown.accuracy(shown.run.experiment.recover.method)
    if own is None:
        return "–", "no students yet"
    best = max(one.result["top1_last"] for one in shown.students)
    order = [one for method in METHOD_TITLES if (one := shown.accuracy(method))]
    bars = tuple((one.result["top1_last"] / best, method_colour(one.result["method"])) for one in order)
    return f"{own.result['top1_last']:.1f} %", f"{own.result['method_title']}'s students, test images", (), bars
