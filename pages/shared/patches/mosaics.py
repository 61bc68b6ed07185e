"""What the first image of a class starts from when it is put together of 1 x 1 to 5 x 5 patches."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import DataError
from delt_engine.patches.selection import select
from pages.shared import cached
from pages.shared.gallery.grid import Cell, Look, Row, gallery_grid
from pages.shared.patches.rows import View
from pages.shared.runs.class_rows import mean_prob
from pages.shared.wording import count

MOSAICS = 5
"""Most patches along a side."""


def mosaics_grid(view: View) -> None:
    """Draw the first image of the class as it would start from 1x1 to 5x5 patches."""
    schedule, sheets, cells = view.experiment.recover.schedule, [], []
    for side in range(1, MOSAICS + 1):
        try:
            images = select(
                view.ranking,
                view.data.train.names,
                schedule,
                view.config.replace(mosaic=side),
                seed=view.experiment.seed,
                classes=[view.class_index],
            )
        except DataError:
            cells.append(
                Cell(
                    f"mosaic/{side}",
                    f"{side} x {side}: too few patches",
                    (None,),
                    missing="too few patches",
                    counts=(f"{side} x {side}",),
                )
            )
            continue
        sheets.append(cached.mosaic(view.experiment.dataset, view.experiment.image_size, images[0]))
        cells.append(
            Cell(
                f"mosaic/{side}",
                f"Image 1 of {side} x {side} patches, p {mean_prob(images[0]):.2f}",
                (len(sheets) - 1,),
                counts=(f"{side} x {side}",),
                lines=(f"{count(view.experiment.recover.ipc * side**2)} used",),
            )
        )
    look = Look(tile=view.data.spec.image_size, shown=96, columns=MOSAICS)
    gallery_grid(
        [Row("", tuple(cells))], sheets, key="patches/mosaics", look=look, selected=f"mosaic/{view.config.mosaic}"
    )
    st.caption("The first image of the class each way; used is how many patches the images of a class take.")
