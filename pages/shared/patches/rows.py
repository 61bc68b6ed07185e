"""Ranked patches as grids: the chosen ones, mosaics of them, the extremes of a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st

from delt_engine.config import Experiment, SelectConfig
from delt_engine.data.dataset import Dataset
from delt_engine.errors import DataError
from delt_engine.patches.coresets import stored_scores
from delt_engine.patches.duplicates import repeats
from delt_engine.patches.orders import criterion_order, median_order
from delt_engine.patches.ranking import Ranking, keyed_rng
from delt_engine.patches.selection import SelectedImage, select, taking_order
from delt_engine.plots.style import round_colour
from delt_engine.runs.image_facts import mean_prob
from pages.shared import cached, controls, real_pictures
from pages.shared.gallery.grid import Cell, Look, Row, gallery_grid, image_row
from pages.shared.runs.class_rows import start_colour
from pages.shared.runs.strips import tile_side
from pages.shared.wording import count, plain

EACH, UNRANKED = 8, 60
MOST_COMPARED = 3000
"""Patches of a class up to which all are compared with each other."""

MOSAICS = int(controls.spec_of(SelectConfig, "mosaic").maximum or 1)
"""Most patches along a side of a mosaic."""


@dataclass(frozen=True, eq=False)
class View:
    """What the page looks at: a class of a ranking, and what is chosen of it under the current settings."""

    ranking: Ranking
    data: Dataset
    experiment: Experiment
    config: SelectConfig
    class_index: int

    def select(self, classes: Sequence[int], **changes: int) -> tuple[SelectedImage, ...]:
        """Return what the images of some classes start from, also under changed settings."""
        schedule, config = self.experiment.recover.schedule, self.config.replace(**changes)
        names, seed = self.data.train.names, self.experiment.seed
        return select(self.ranking, names, schedule, config, seed=seed, classes=classes, scores=self.scores)

    @cached_property
    def scores(self) -> np.ndarray | None:
        """What a coreset goes by, of each training image; None where it is not computed or not needed."""
        card, seed = cached.found_teacher(self.experiment), self.experiment.seed
        return stored_scores(self.data.fingerprint, card, self.config, seed)

    @cached_property
    def chosen(self) -> tuple[SelectedImage, ...]:
        """What the images of the class start from."""
        return self.select([self.class_index])

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the class in the ranking, hardest first."""
        return self.ranking.ascending(self.class_index)

    @property
    def probabilities(self) -> np.ndarray:
        """The teacher's probability of each of these rows."""
        return self.ranking.true_class_prob[self.rows]

    @cached_property
    def joins(self) -> dict[int, SelectedImage]:
        """The image that each chosen rank starts, or is part of."""
        return {patch.rank: image for image in self.chosen for patch in image.patches}

    @cached_property
    def compared(self) -> tuple[list[int], np.ndarray]:
        """Ranks that were compared with each other, and which of them are near-duplicates, bool (n, n).

        All patches of the class where that is quick, else the chosen ones.
        """
        is_quick = self.data.train.is_ready and not self.experiment.rank.crops and len(self.rows) <= MOST_COMPARED
        ranks = list(range(len(self.rows))) if is_quick else sorted(self.joins)
        return ranks, self.pictures(ranks, real_pictures.alike_patches)

    @cached_property
    def twins(self) -> dict[int, list[int]]:
        """The near-duplicates of each rank that has any."""
        ranks, alike = self.compared
        found = ((rank, np.flatnonzero(row)) for rank, row in zip(ranks, alike, strict=True) if row.any())
        return {rank: [ranks[at] for at in places.tolist()] for rank, places in found}

    @property
    def repeated(self) -> list[int]:
        """Chosen ranks with a near-duplicate that joins before them."""
        order = list(self.joins)
        return [rank for at, rank in enumerate(order) if set(self.twins.get(rank, ())) & set(order[:at])]

    def left_out_repeats(self) -> list[int]:
        """Rows to drop so that no two chosen patches are near-duplicates."""
        ranks, alike = self.compared
        place = {rank: at for at, rank in enumerate(ranks)}
        rng = keyed_rng(self.experiment.seed, "select", self.class_index)
        own = None if self.scores is None else self.scores[self.ranking.image_index[self.rows]]
        whole = taking_order(self.probabilities, self.config, rng, own)
        order = [place[rank] for rank in whole if rank in place and not self.mark(int(self.rows[rank]))]
        pinned = [place[rank] for rank in ranks if self.mark(int(self.rows[rank])) == "pinned"]
        return [int(self.rows[ranks[at]]) for at in repeats(order, alike, self.room, pinned)]

    @property
    def room(self) -> int:
        """How many patches the images of a class take."""
        return self.experiment.recover.ipc * self.config.mosaic**2

    def mark(self, row: int) -> str:
        """Return what the reader did with a row."""
        return "pinned" if row in self.config.pinned else "dropped" if row in self.config.dropped else ""

    def mosaic(self, image: SelectedImage) -> str:
        """Return the start image of a selection, as a data URL."""
        return real_pictures.mosaic(self.experiment.dataset, self.experiment.image_size, image, self.experiment.resize)

    def pictures(self, ranks: Sequence[int], draw: object = real_pictures.patch_sheet) -> object:
        """Return the patches of some ranks as one sheet, or as ``draw`` makes them."""
        rows = self.rows[np.asarray(ranks, np.int64)]
        boxes = tuple(map(tuple, self.ranking.crop_box[rows].tolist()))
        indices = tuple(self.ranking.image_index[rows].tolist())
        return draw(self.experiment.dataset, self.experiment.image_size, indices, boxes, self.experiment.resize)


def chosen_grid(view: View) -> None:
    """Draw what each image starts from, with the round it joins and the iterations it gets."""
    schedule, cells = view.experiment.recover.schedule, []
    for image in view.chosen:
        alt = f"{image.patches[0].source}, p {mean_prob(image):.2f}, joins in round {image.start_round}"
        notes = {view.mark(int(view.rows[patch.rank])) for patch in image.patches} - {""}
        notes |= {"near-duplicate" for patch in image.patches if patch.rank in view.repeated}
        lines = (f"round {image.start_round}", f"{count(image.iterations)} iter.", *sorted(notes))
        look = {"counts": (f"p {mean_prob(image):.3f}",), "colour": start_colour(schedule, image.start_round)}
        cells.append(Cell(f"chosen/{image.index}", alt, (image.index,), lines=lines, **look))
    look = Look(tile=view.data.spec.image_size, shown=84, layout="grid")
    image_row(cells, [view.mosaic(image) for image in view.chosen], "patches/chosen", look)
    early, late = view.chosen[0], view.chosen[-1]
    if schedule.has_rounds:
        st.caption(
            f"p is the teacher's probability. The first joins in round 1 and gets {count(early.iterations)} "
            f"iterations (iter.), the last in round {late.start_round} and gets {count(late.iterations)}."
        )


def mosaics_grid(view: View) -> None:
    """Draw the first image of the class as it would start from 1x1 patch and from every larger mosaic."""
    sheets, cells = [], []
    for side in range(1, MOSAICS + 1):
        key, title = f"mosaic/{side}", f"{side} x {side}"
        try:
            first = view.select([view.class_index], mosaic=side)[0]
        except DataError:
            lacking = "too few patches"
            cells.append(Cell(key, f"{title}: {lacking}", (None,), missing=lacking, counts=(title,)))
            continue
        sheets.append(view.mosaic(first))
        alt = f"Image 1 of {title} patches, p {mean_prob(first):.2f}"
        used = f"{count(view.experiment.recover.ipc * side**2)} used"
        cells.append(Cell(key, alt, (len(sheets) - 1,), counts=(title,), lines=(used,)))
    look = Look(tile=view.data.spec.image_size, shown=96, columns=MOSAICS)
    image_row(cells, sheets, "patches/mosaics", look, selected=f"mosaic/{view.config.mosaic}")
    st.caption("The first image of the class each way; used is how many patches the images of a class take.")


def extremes_grid(view: View) -> None:
    """Draw the hardest, the medium, the easiest and some random patches of a class as four rows."""
    n, each = len(view.rows), min(EACH, len(view.rows))
    drawn = criterion_order(n, "random", keyed_rng(view.experiment.seed, "select", view.class_index))[:each]
    kinds = {
        "Hardest (min)": list(range(each)),
        "Medium": sorted(median_order(n, view.config.median)[:each]),
        "Easiest (top)": list(range(n - each, n)),
        "Random": sorted(drawn),
    }
    made = []
    for place, (title, some) in enumerate(kinds.items()):
        cells = tuple(cell_of(view, rank, place * each + x, title) for x, rank in enumerate(some))
        low, high = (view.probabilities[some[end]] for end in (0, -1))
        made.append(Row(title, cells, f"p {low:.2f} to {high:.2f}"))
    sheet = view.pictures([rank for some in kinds.values() for rank in some])
    look = Look(tile=tile_side(view.data.spec.image_size), shown=72, columns=EACH)
    gallery_grid(made, [sheet], key="patches/extremes", look=look)


def unranked_grid(data: Dataset, experiment: Experiment, class_index: int) -> None:
    """Draw the first training images of a class, for a dataset that no teacher has ranked."""
    all_of_class = data.train.of_class(class_index)
    indices = tuple(int(index) for index in all_of_class[:UNRANKED])
    boxes = tuple(data.train.seen_box(index) for index in indices)
    sheet = real_pictures.patch_sheet(experiment.dataset, experiment.image_size, indices, boxes, data.train.resize)
    cells = [Cell(f"image/{x}", data.train.names[index], (0,), x) for x, index in enumerate(indices)]
    name = plain(data.spec.class_names[class_index])
    st.caption(f"The first {len(cells)} of {count(len(all_of_class))} training images of {name}:")
    look = Look(tile=tile_side(data.spec.image_size), shown=64, layout="grid")
    image_row(cells, [sheet], "patches/unranked", look)


def cell_of(view: View, rank: int, x: int, group: str, *, with_fate: bool = False) -> Cell:
    """Return a patch as a cell, with the colour and the round of its image where those are to be said."""
    row = int(view.rows[rank])
    probability, index = float(view.ranking.true_class_prob[row]), int(view.ranking.image_index[row])
    image, last, mark = view.joins.get(rank), view.experiment.recover.schedule.last_start, view.mark(row)
    alt = [f"{view.data.train.names[index]}, probability {probability:.3f}, rank {rank + 1} of {len(view.rows)}"]
    alt += [f"joins in round {image.start_round}, {count(image.iterations)} iterations"] if image else []
    fate = mark or (f"round {image.start_round}" if image else "")
    if rank in view.twins and with_fate:
        alt.append("near-duplicate of another patch")
        fate = f"{fate}, alike" if fate else "alike"
    return Cell(
        id=f"{group}/{rank}",
        alt=", ".join([*alt, mark] if mark else alt),
        sheets=(0,),
        x=x,
        counts=(f"p {probability:.3f}",),
        lines=(fate,) if with_fate and fate else (),
        colour=round_colour(image.start_round, last) if image and with_fate else "",
    )
