"""What the diversity page keeps between reruns: the real images under the points of a map."""

from __future__ import annotations

import base64
import io

import numpy as np
import streamlit as st
from PIL import Image

from delt_engine.errors import DataError
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.runs.strips import THUMBNAIL

COLUMNS = 32
"""Tiles side by side in a sheet."""

_SMALL = 48
"""Largest side of a tile, pixels: all real images of a map travel with the page."""
_QUALITY = 85


def real_sheet(run: Run, indices: tuple[int, ...]) -> str:
    """Return training images of a run's dataset as one sheet, a data URL; "" when the dataset is not at hand here."""
    experiment, record = run.experiment, run.record().dataset
    if not indices or not cached.is_at_hand(experiment.dataset):
        return ""
    try:
        if cached.dataset(experiment.dataset, experiment.image_size).fingerprint != record.fingerprint:
            return ""
    except DataError:  # the folder was moved: the map stands without its pictures
        return ""
    return _sheet(experiment.dataset, experiment.image_size, indices)


@st.cache_data(max_entries=8, max_size="32MB", show_spinner=False)
def _sheet(dataset: str, image_size: int | None, indices: tuple[int, ...]) -> str:
    images = cached.dataset(dataset, image_size).train.pixels(np.array(indices))
    side = min(images.shape[1], _SMALL, THUMBNAIL)
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * side, rows * side))
    for tile, image_u8 in enumerate(images):
        picture = Image.fromarray(image_u8)
        picture = picture if picture.width == side else picture.resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (tile % COLUMNS * side, tile // COLUMNS * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
