"""Scores of a class as a table that sorts, and what can be taken away: scores as CSV, chosen patches as zip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from delt_engine.config import Experiment, SelectConfig
from delt_engine.data.dataset import Dataset
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import SelectedImage, select
from delt_engine.runs.selection_export import scores_csv, selection_zip
from pages.shared import cached
from pages.shared.wording import count, short_name

MOST_IN_ZIP = 5000
"""Images up to which a zip holds all classes; above, the one on screen."""

MOST_PICTURES = 600
"""Rows up to which the table has a picture each."""


def draw(
    ranking: Ranking,
    data: Dataset,
    experiment: Experiment,
    class_index: int,
    chosen: Sequence[SelectedImage],
    config: SelectConfig,
) -> None:
    """Draw the downloads, and the table when it is asked for."""
    name, class_name = short_name(experiment.dataset), data.spec.class_names[class_index]
    with st.container(horizontal=True, vertical_alignment="center"):
        wanted = st.toggle("Scores as a table", key="patches/table")
        st.space("stretch")
        st.download_button(
            f"Scores of {class_name}, CSV",
            lambda: scores_csv(ranking, data.train.names, class_index, chosen),
            f"{name}-{class_name}-scores.csv",
            "text/csv",
            icon=":material/table:",
            key="patches/csv",
            on_click="ignore",
        )
        total = experiment.recover.ipc * data.spec.num_classes
        whole = total <= MOST_IN_ZIP
        label = f"Chosen of all classes, {count(total)} images" if whole else f"Chosen of {class_name}"
        st.download_button(
            f"{label}, zip",
            lambda: _zip(ranking, data, experiment, config, None if whole else class_index),
            f"{name}-chosen.zip",
            "application/zip",
            icon=":material/folder_zip:",
            key="patches/zip",
            on_click="ignore",
            help="An image folder per class, in the order of joining, and selection.csv.",
        )
    if wanted:
        _table(ranking, data, experiment, class_index, chosen, config)


def _zip(
    ranking: Ranking, data: Dataset, experiment: Experiment, config: SelectConfig, class_index: int | None
) -> bytes:
    classes = range(data.spec.num_classes) if class_index is None else [class_index]
    selected = select(
        ranking, data.train.names, experiment.recover.schedule, config, seed=experiment.seed, classes=classes
    )
    return selection_zip(data, selected)


def _table(
    ranking: Ranking,
    data: Dataset,
    experiment: Experiment,
    class_index: int,
    chosen: Sequence[SelectedImage],
    config: SelectConfig,
) -> None:
    rows = ranking.ascending(class_index)
    joins = {patch.rank: image for image in chosen for patch in image.patches}
    images = [joins.get(rank) for rank in range(len(rows))]
    marks = {**dict.fromkeys(config.pinned, "pinned"), **dict.fromkeys(config.dropped, "dropped")}
    columns: dict[str, object] = {
        "Rank": np.arange(1, len(rows) + 1),
        "Probability": ranking.true_class_prob[rows],
        "Joins in round": pd.array([image and image.start_round for image in images], dtype="Int64"),
        "Iterations": pd.array([image and image.iterations for image in images], dtype="Int64"),
        "By hand": [marks.get(int(row), "") for row in rows],
        "Training image": [data.train.names[int(index)] for index in ranking.image_index[rows]],
        "Crop": [", ".join(map(str, box)) for box in ranking.crop_box[rows].tolist()],
        "Row": rows,
    }
    if len(rows) <= MOST_PICTURES:
        pictures = cached.patch_pictures(
            experiment.dataset,
            experiment.image_size,
            tuple(ranking.image_index[rows].tolist()),
            tuple(map(tuple, ranking.crop_box[rows].tolist())),
        )
        columns = {"Patch": pictures, **columns}
    st.dataframe(
        pd.DataFrame(columns),
        hide_index=True,
        height=420,
        key="patches/scores",
        column_config={
            "Patch": st.column_config.ImageColumn(width="small"),
            "Probability": st.column_config.ProgressColumn(min_value=0, max_value=1, format="%.4f"),
            "Crop": st.column_config.TextColumn(help="Top, left, height, width in pixels of the original."),
            "Row": st.column_config.NumberColumn(help="Place in the ranking, as --pinned and --dropped count."),
        },
    )
