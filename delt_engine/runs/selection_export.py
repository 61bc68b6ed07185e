"""What was selected or scored, as files for other tools: images in ImageFolder layout with a table, scores as CSV.

Source: ours; the table is the selection file of a run, so `delt` and its runs read it as well, but for names that a
spreadsheet would take for formulas: they get an apostrophe before them here.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from delt_engine.data.dataset import Dataset
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import SelectedImage, patch_pixels, selection_csv
from delt_engine.runs.record import class_folders
from delt_engine.runs.strips import png_bytes
from delt_engine.runs.tables import csv_text, guarded

SCORE_COLUMNS = (
    "class_index",
    "class",
    "rank",
    "true_class_prob",
    "source",
    "image_index",
    "top",
    "left",
    "height",
    "width",
    "row",
    "image",
    "start_round",
    "iterations",
)
"""Columns of :func:`scores_csv`; the last three are empty for patches that are not selected."""


def selection_zip(dataset: Dataset, selected: Sequence[SelectedImage]) -> bytes:
    """Return the selected images as a zip: ``images/<class>/<0000>.png`` in the order of joining, and selection.csv.

    Args:
        dataset: that the patches are of.
        selected: as :func:`delt_engine.patches.selection.select` returns it.

    Raises:
        DataError: the selection names images that this dataset does not have.
    """
    names = dataset.spec.class_names
    folders = class_folders(names)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:  # PNGs are compressed already
        file.writestr("selection.csv", selection_csv(_guarded(selected), [guarded(name) for name in names]))
        for image in selected:
            path = f"images/{folders[image.class_index]}/{image.index:04d}.png"
            file.writestr(path, png_bytes(patch_pixels(dataset, image)))
    return buffer.getvalue()


def _guarded(selected: Sequence[SelectedImage]) -> list[SelectedImage]:
    """Return the images with sources that no spreadsheet takes for a formula."""
    return [
        replace(image, patches=tuple(replace(patch, source=guarded(patch.source)) for patch in image.patches))
        for image in selected
    ]


def scores_csv(
    ranking: Ranking, sources: Sequence[str], class_index: int, selected: Sequence[SelectedImage] = ()
) -> bytes:
    """Return every patch of a class with its score, hardest first, as CSV.

    Args:
        ranking: whose scores are written.
        sources: name of every training image.
        class_index: which class.
        selected: the images that start from some of them.
    """
    joins = {patch.rank: image for image in selected if image.class_index == class_index for patch in image.patches}
    rows = []
    name = ranking.class_name(class_index)
    for rank, row in enumerate(ranking.ascending(class_index).tolist()):
        index, image = int(ranking.image_index[row]), joins.get(rank)
        score = float(str(np.float32(ranking.true_class_prob[row])))
        joined = ("", "", "") if image is None else (image.index, image.start_round, image.iterations)
        place = (class_index, name, rank, score, str(sources[index]), index)
        rows.append((*place, *ranking.crop_box[row].tolist(), row, *joined))
    return csv_text(SCORE_COLUMNS, rows, csv.QUOTE_NONNUMERIC).encode("utf-8", "surrogateescape")
