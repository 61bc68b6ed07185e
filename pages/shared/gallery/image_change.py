"""How far one image has come: its start, the image, what changed between them, and what the teacher said of it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from delt_engine.plots.images import prediction_curves
from delt_engine.runs.image_facts import difference_image
from delt_engine.runs.predictions import likeliest_classes, predictions_of
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.gallery.grid import Cell, Look, Row, gallery_grid
from pages.shared.runs import strips
from pages.shared.wording import count, iterations_at

SHOWN = 168


def draw_change(run: Run, class_index: int, index: int, round_number: int) -> None:
    """Draw the start image, the image after a round, and their difference on a symmetric scale."""
    schedule, written = run.experiment.recover.schedule, run.rounds_written(class_index)
    number = max((entry for entry in written if entry <= round_number), default=None)
    st.markdown("**What optimisation changed**")
    if number is None or 0 not in written:
        st.caption("The start or the image of this round is not there, so there is nothing to compare.")
        return
    start, image = (run.snapshot_images(class_index, entry)[index] for entry in (0, number))
    picture, largest = difference_image(image, start)
    had = count(iterations_at(schedule, schedule.start_rounds[index], number))
    began = "its patch" if run.experiment.recover.initialization == "patches" else "noise"
    name = f"{run.class_names[class_index]}, image {index + 1}"
    sheets = [
        strips.address(run, run.snapshot_path(class_index, entry), index, 1, full=True) or "" for entry in (0, number)
    ]
    cells = (
        Cell("change/start", f"{name}, start", (0,), counts=("Start",), lines=(began,)),
        Cell(
            "change/image",
            f"{name} after {had} iterations",
            (1,),
            counts=(f"After {had} iterations",),
            lines=(f"round {number}",),
        ),
        Cell(
            "change/difference",
            f"{name}: what changed, at most {largest} of 255",
            (2,),
            counts=("Difference",),
            lines=(f"white +{largest}, black -{largest}" if largest else "none",),
        ),
    )
    look = Look(tile=image.shape[0], shown=SHOWN)
    gallery_grid([Row("", cells)], [*sheets, cached.data_url(picture)], key="gallery/change", look=look)
    st.caption("Difference: image minus start, a channel at a time; grey is unchanged. Values go from 0 to 255.")


def draw_predictions(run: Run, class_index: int, index: int) -> None:
    """Draw the teacher's likeliest classes over the rounds."""
    st.markdown("**What the teacher sees in it**")
    said = predictions_of(run, class_index, index)
    if not said:
        st.caption("This run kept no record of it; runs made from now on do.")
        return
    recover = run.experiment.recover
    rows = likeliest_classes(said, class_index)
    joins_at = (recover.schedule.start_rounds[index] - 1) * recover.round_iterations
    if joins_at and said[0].round_number == 0:  # until it joins it is what it was at the start
        said = (said[0], replace(said[0], round_number=joins_at // recover.round_iterations), *said[1:])
        rows = {number: [values[0], *values] for number, values in rows.items()}
    iterations = [entry.round_number * recover.round_iterations for entry in said]
    named = {run.class_names[number]: values for number, values in rows.items()}
    figure = prediction_curves(iterations, named, joins_at=joins_at)
    st.plotly_chart(figure, key="gallery/predictions", config={"displayModeBar": False})
    st.caption(
        f"The whole image, without crop or flip. Own class: {said[0].true_class_prob:.3f} at the start, "
        f"{said[-1].true_class_prob:.3f} after {count(iterations[-1])} iterations of the run."
    )
