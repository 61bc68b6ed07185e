"""Pictures of training images as pages send them, each kept with a bound: patches, start images, and whole sheets."""

from __future__ import annotations

import base64
import io

import numpy as np
import streamlit as st
from PIL import Image

from delt_engine.config import Resize
from delt_engine.errors import DataError
from delt_engine.patches.duplicates import near_duplicates
from delt_engine.patches.selection import SelectedImage, patch_pixels
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.cached import data_url
from pages.shared.runs.strips import THUMBNAIL, thumbnails

COLUMNS = 32
"""Tiles side by side in a sheet of real images."""

_SMALL = 48
"""Largest side of such a tile, pixels: all real images of a map travel with the page."""

Boxes = tuple[tuple[int, ...], ...]


@st.cache_data(max_entries=200, max_size="128MB", show_spinner=False)
def patch_sheet(
    dataset_name: str,
    image_size: int | None,
    image_indices: tuple[int, ...],
    boxes: Boxes,
    resize: Resize = "whole",
) -> str:
    """Return patches of the training images as one sheet."""
    images = _patches(dataset_name, image_size, image_indices, boxes, resize)
    n, side = images.shape[:2]
    joined = images.transpose(1, 0, 2, 3).reshape(side, n * side, 3)  # (n, S, S, 3) -> (S, n*S, 3)
    return data_url(thumbnails(Image.fromarray(joined)))


@st.cache_data(max_entries=8, max_size="64MB", show_spinner=False)
def patch_pictures(
    dataset_name: str,
    image_size: int | None,
    image_indices: tuple[int, ...],
    boxes: Boxes,
    resize: Resize = "whole",
) -> list[str]:
    """Return patches of the training images, each as a picture of its own, for a table."""
    images = _patches(dataset_name, image_size, image_indices, boxes, resize)
    return [data_url(thumbnails(Image.fromarray(image))) for image in images]


def _patches(
    dataset_name: str, image_size: int | None, image_indices: tuple[int, ...], boxes: Boxes, resize: Resize
) -> np.ndarray:
    """Return patches, uint8 (n, S, S, 3): whole images from what is decoded already, crops from the originals."""
    train = cached.dataset(dataset_name, image_size, resize).train
    if all(tuple(box) == train.seen_box(index) for index, box in zip(image_indices, boxes, strict=True)):
        return train.pixels(image_indices)
    return train.crops(image_indices, np.array(boxes).reshape(-1, 4))


@st.cache_data(max_entries=500, max_size="64MB", show_spinner=False)
def mosaic(dataset_name: str, image_size: int | None, selected: SelectedImage, resize: Resize = "whole") -> str:
    """Return the start image that a selection makes, as a data URL."""
    return data_url(patch_pixels(cached.dataset(dataset_name, image_size, resize), selected))


@st.cache_data(max_entries=16, max_size="64MB", show_spinner=False)
def alike_patches(
    dataset_name: str,
    image_size: int | None,
    image_indices: tuple[int, ...],
    boxes: Boxes,
    resize: Resize = "whole",
) -> np.ndarray:
    """Return which patches of the training images are near-duplicates, bool (n, n)."""
    return near_duplicates(_patches(dataset_name, image_size, image_indices, boxes, resize))


def real_sheet(run: Run, indices: tuple[int, ...]) -> str:
    """Return training images of a run's dataset as one sheet, a data URL; "" when the dataset is not at hand here."""
    experiment, record = run.experiment, run.record().dataset
    if not indices or not cached.is_at_hand(experiment.dataset):
        return ""
    try:
        if cached.dataset_of(experiment).fingerprint != record.fingerprint:
            return ""
    except DataError:  # the folder was moved: the map stands without its pictures
        return ""
    return _real_sheet(experiment.dataset, experiment.image_size, indices, experiment.resize)


@st.cache_data(max_entries=8, max_size="32MB", show_spinner=False)
def _real_sheet(dataset_name: str, image_size: int | None, indices: tuple[int, ...], resize: Resize) -> str:
    images = cached.dataset(dataset_name, image_size, resize).train.pixels(np.array(indices))
    side = min(images.shape[1], _SMALL, THUMBNAIL)
    sheet = Image.new("RGB", (COLUMNS * side, -(-len(images) // COLUMNS) * side))
    for tile, image_u8 in enumerate(images):
        picture = Image.fromarray(image_u8)
        picture = picture if picture.width == side else picture.resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (tile % COLUMNS * side, tile // COLUMNS * side))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
