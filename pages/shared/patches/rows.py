"""Ranked patches as grids: the chosen ones, the extremes of a class, and a page of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import streamlit as st

from delt_engine.config import Experiment, SelectConfig
from delt_engine.data.dataset import Dataset
from delt_engine.patches.orders import criterion_order, median_order
from delt_engine.patches.ranking import Ranking, keyed_rng, whole_box
from delt_engine.patches.selection import SelectedImage
from delt_engine.plots.recovery import round_colour
from delt_engine.runs.image_facts import mean_prob
from pages.shared import cached
from pages.shared.gallery.grid import Cell, Look, Row, gallery_grid
from pages.shared.runs.strips import tile_side
from pages.shared.wording import count, plain

EACH, UNRANKED = 8, 60


@dataclass(frozen=True, eq=False)
class View:
    """What the page looks at: a class of a ranking, and what is chosen of it under the current settings."""

    ranking: Ranking
    data: Dataset
    experiment: Experiment
    config: SelectConfig
    class_index: int
    chosen: tuple[SelectedImage, ...]

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of the class in the ranking, hardest first."""
        return self.ranking.ascending(self.class_index)

    @cached_property
    def joins(self) -> dict[int, SelectedImage]:
        """The image that each chosen rank starts, or is part of."""
        return {patch.rank: image for image in self.chosen for patch in image.patches}

    @property
    def room(self) -> int:
        """How many patches the images of a class take."""
        return self.experiment.recover.ipc * self.config.mosaic**2


def chosen_grid(view: View) -> None:
    """Draw what each image starts from, with the round it joins and the iterations it gets."""
    schedule = view.experiment.recover.schedule
    sheets, cells = [], []
    for image in view.chosen:
        sheets.append(cached.mosaic(view.experiment.dataset, view.experiment.image_size, image))
        cells.append(
            Cell(
                id=f"chosen/{image.index}",
                alt=f"{image.patches[0].source}, p {mean_prob(image):.2f}, joins in round {image.start_round}",
                sheets=(image.index,),
                counts=(f"p {mean_prob(image):.3f}",),
                lines=(f"round {image.start_round}", f"{count(image.iterations)} it"),
                colour=round_colour(image.start_round, schedule.num_rounds) if schedule.has_rounds else "",
            )
        )
    look = Look(tile=view.data.spec.image_size, shown=76, layout="grid")
    gallery_grid([Row("", tuple(cells))], sheets, key="patches/chosen", look=look)
    early, late = view.chosen[0], view.chosen[-1]
    if schedule.has_rounds:
        st.caption(
            f"p is the teacher's probability. The first joins in round 1 and gets {count(early.iterations)} "
            f"iterations, the last in round {late.start_round} and gets {count(late.iterations)}."
        )


def extremes_grid(view: View) -> None:
    """Draw the hardest, the medium, the easiest and some random patches of a class as four rows."""
    n, each = len(view.rows), min(EACH, len(view.rows))
    drawn = criterion_order(n, "random", keyed_rng(view.experiment.seed, "select", view.class_index))[:each]
    kinds = {
        "Hardest": list(range(each)),
        "Medium": sorted(median_order(n)[:each]),
        "Easiest": list(range(n - each, n)),
        "Random": sorted(drawn),
    }
    ranks = [rank for some in kinds.values() for rank in some]
    made, x = [], 0
    for title, some in kinds.items():
        cells = tuple(_cell(view, rank, x + i, title) for i, rank in enumerate(some))
        low, high = (view.ranking.true_class_prob[view.rows[some[end]]] for end in (0, -1))
        made.append(Row(title, cells, f"p {low:.2f} to {high:.2f}"))
        x += each
    look = Look(tile=_side(view.data), shown=72, columns=EACH)
    gallery_grid(made, [_sheet(view, ranks)], key="patches/extremes", look=look)


def unranked_grid(data: Dataset, experiment: Experiment, class_index: int) -> None:
    """Draw the first training images of a class, for a dataset that no teacher has ranked."""
    indices = data.train.of_class(class_index)[:UNRANKED]
    boxes = tuple(whole_box(*data.train.size(int(index))) for index in indices)
    sheet = cached.patch_sheet(experiment.dataset, experiment.image_size, tuple(int(index) for index in indices), boxes)
    cells = tuple(Cell(f"image/{x}", data.train.names[int(index)], (0,), x) for x, index in enumerate(indices))
    name = data.spec.class_names[class_index]
    st.caption(
        f"The first {len(cells)} of {count(len(data.train.of_class(class_index)))} training images of {plain(name)}:"
    )
    gallery_grid(
        [Row("", cells)], [sheet], key="patches/unranked", look=Look(tile=_side(data), shown=64, layout="grid")
    )


def page_grid(view: View, ranks: Sequence[int], on_pick: Callable[[], None], selected: int | None) -> None:
    """Draw some patches with their probability; the chosen ones carry the colour and the round of their image."""
    cells = tuple(_cell(view, rank, x, "all", is_told=True) for x, rank in enumerate(ranks))
    gallery_grid(
        [Row("", cells)],
        [_sheet(view, ranks)],
        key="patches/all",
        on_pick=on_pick,
        look=Look(tile=_side(view.data), shown=64, layout="grid"),
        selected="" if selected is None else f"all/{selected}",
    )


def _cell(view: View, rank: int, x: int, group: str, *, is_told: bool = False) -> Cell:
    row = int(view.rows[rank])
    probability, index = float(view.ranking.true_class_prob[row]), int(view.ranking.image_index[row])
    image, schedule = view.joins.get(rank), view.experiment.recover.schedule
    mark = "pinned" if row in view.config.pinned else "dropped" if row in view.config.dropped else ""
    place = f"round {image.start_round}, {count(image.iterations)} it" if image else ""
    alt = f"{view.data.train.names[index]}, probability {probability:.3f}, rank {rank + 1} of {len(view.rows)}"
    return Cell(
        id=f"{group}/{rank}",
        alt=", ".join(filter(None, (alt, f"joins in {place}" if place else "", mark))),
        sheets=(0,),
        x=x,
        counts=(f"p {probability:.3f}",),
        lines=(mark or (f"round {image.start_round}" if image else ""),) if is_told and (mark or image) else (),
        colour=round_colour(image.start_round, schedule.num_rounds) if image and is_told else "",
    )


def _sheet(view: View, ranks: Sequence[int]) -> str:
    rows = view.rows[np.asarray(ranks, np.int64)]
    boxes = tuple(map(tuple, view.ranking.crop_box[rows].tolist()))
    indices = tuple(view.ranking.image_index[rows].tolist())
    return cached.patch_sheet(view.experiment.dataset, view.experiment.image_size, indices, boxes)


def _side(data: Dataset) -> int:
    return tile_side(data.spec.image_size)
