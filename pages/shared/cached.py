"""Everything the pages keep between reruns, each with a bound; arguments are names, numbers and frozen records.

Files are keyed by path and modification time, so each is read once and a changed one again.
"""

from __future__ import annotations

import base64
import contextlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from delt_engine.config import Experiment, RankConfig
from delt_engine.data.available import place_of
from delt_engine.data.catalogue import find_entry, image_folder, load_dataset
from delt_engine.data.dataset import Dataset
from delt_engine.data.downloads import is_fetched
from delt_engine.errors import DataError
from delt_engine.models.card import TeacherCard, find_teacher, read_card
from delt_engine.patches.ranking import Ranking, cached_ranking, whole_box
from delt_engine.patches.selection import SelectedImage, patch_pixels
from delt_engine.paths import assets_dir, runs_dir
from delt_engine.runs.image_facts import ImageFacts, selected_of
from delt_engine.runs.image_facts import image_facts as image_facts_of
from delt_engine.runs.store import Run
from delt_engine.runs.strips import png_bytes
from delt_engine.runs.titles import in_order
from pages.shared.runs.strips import stamp, thumbnails
from pages.shared.wording import short_name


def data_url(image_u8: np.ndarray) -> str:
    """Return an image, uint8 (H, W, 3), as a PNG data URL."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(image_u8, level=1)).decode("ascii")


def runs() -> list[Run]:
    """Return the user's runs, newest first; a record is read again only when its file changed."""
    return sorted(_known(runs_dir()), key=_age, reverse=True)


def examples() -> list[Run]:
    """Return the finished runs that ship with the project: DELT's first, then those of the other methods."""
    return in_order(_known(assets_dir() / "examples"))


def _known(folder: Path) -> list[Run]:
    try:
        return [_run(entry) for entry in folder.iterdir() if (entry / "run.json").is_file()]
    except OSError:
        return []


@lru_cache(maxsize=4096)
def _run(path: Path) -> Run:
    return Run(path)


def _age(run: Run) -> tuple[str, str]:
    return ("" if run.unreadable else run.record().created, run.id)


def is_at_hand(name: str) -> bool:
    """Return whether a dataset can be read here and now, without fetching it first; a folder's path always is."""
    entry = find_entry(name)
    if entry is None or entry.kind == "built-in":
        return True
    return image_folder(entry) is not None or is_fetched(entry.name)


@st.cache_resource(max_entries=4, show_spinner="Reading the dataset…")
def dataset(name: str, image_size: int | None = None) -> Dataset:
    """Return a dataset, read once for all sessions."""
    return load_dataset(name, image_size)


@st.cache_data(max_entries=64, show_spinner=False)
def teacher_card(path: str, changed_ns: int) -> TeacherCard:  # noqa: ARG001 (part of the key)
    """Return what a teacher's file says about it."""
    return read_card(Path(path))


def teacher(
    ref: str, dataset_name: str, image_size: int | None = None, class_names: tuple[str, ...] | None = None
) -> TeacherCard:
    """Return the card of the teacher that a run on this dataset would use; ``class_names`` where they are known.

    Raises:
        CheckpointError: there is none, with what to do.
    """
    name = short_name(dataset_name)  # a folder goes by its name, as on the card
    path = find_teacher(ref, name, image_size, class_names)
    return teacher_card(str(path), stamp(path))


def planned_teacher(experiment: Experiment) -> TeacherCard:
    """Return the card of the teacher that a planned run would take; a folder tells its classes once it was read.

    Raises:
        CheckpointError: there is none, with what to do.
    """
    name, size = experiment.dataset, experiment.image_size
    names = None
    if find_entry(name) is None and place_of(name).state == "ready":
        with contextlib.suppress(DataError):  # its files have changed; the run will say so
            names = dataset(name, size).spec.class_names
    return teacher(experiment.teacher, name, size, names)


def ranking(dataset_fingerprint: str, teacher_fingerprint: str, config: RankConfig, seed: int) -> Ranking | None:
    """Return the stored ranking of a dataset by a teacher, None when it is not made yet; an absence is not kept."""
    found = _ranking(dataset_fingerprint, teacher_fingerprint, config, seed)
    if found is None:
        _ranking.clear(dataset_fingerprint, teacher_fingerprint, config, seed)
    return found


def image_facts(run: Run, class_index: int) -> tuple[ImageFacts, ...]:
    """Return the numbers of the images of one class, read again when one of their files changed."""
    folder = run.class_folder(class_index)
    paths = (run.path / "selection.csv", run.path / "snapshots" / folder, run.path / "predictions" / folder)
    return _image_facts(str(run.path), class_index, tuple(stamp(path) for path in paths))


@st.cache_resource(max_entries=64, show_spinner=False)
def _image_facts(path: str, class_index: int, changed_ns: tuple[int, ...]) -> tuple[ImageFacts, ...]:  # noqa: ARG001
    return image_facts_of(Run(path), class_index)


def class_selection(run: Run, class_index: int) -> tuple[SelectedImage, ...]:
    """Return where the images of one class came from, without reading the other classes."""
    return _class_selection(str(run.path), class_index, stamp(run.path / "selection.csv"))


@st.cache_resource(max_entries=64, show_spinner=False)
def _class_selection(path: str, class_index: int, changed_ns: int) -> tuple[SelectedImage, ...]:  # noqa: ARG001
    return selected_of(Run(path), class_index)


@st.cache_resource(max_entries=8, show_spinner=False)
def _ranking(dataset_fingerprint: str, teacher_fingerprint: str, config: RankConfig, seed: int) -> Ranking | None:
    return cached_ranking(dataset_fingerprint, teacher_fingerprint, config, seed)


@st.cache_data(max_entries=200, max_size="128MB", show_spinner=False)
def patch_sheet(
    dataset_name: str, image_size: int | None, image_indices: tuple[int, ...], boxes: tuple[tuple[int, ...], ...]
) -> str:
    """Return patches of the training images as one sheet."""
    images = _patches(dataset_name, image_size, image_indices, boxes)
    n, side = images.shape[:2]
    joined = images.transpose(1, 0, 2, 3).reshape(side, n * side, 3)  # (n, S, S, 3) -> (S, n*S, 3)
    return data_url(thumbnails(Image.fromarray(joined)))


@st.cache_data(max_entries=8, max_size="64MB", show_spinner=False)
def patch_pictures(
    dataset_name: str, image_size: int | None, image_indices: tuple[int, ...], boxes: tuple[tuple[int, ...], ...]
) -> list[str]:
    """Return patches of the training images, each as a picture of its own, for a table."""
    images = _patches(dataset_name, image_size, image_indices, boxes)
    return [data_url(thumbnails(Image.fromarray(image))) for image in images]


def _patches(
    dataset_name: str, image_size: int | None, image_indices: tuple[int, ...], boxes: tuple[tuple[int, ...], ...]
) -> np.ndarray:
    """Return patches, uint8 (n, S, S, 3): whole images from what is decoded already, crops from the originals."""
    train = dataset(dataset_name, image_size).train
    if all(tuple(box) == whole_box(*train.size(index)) for index, box in zip(image_indices, boxes, strict=True)):
        return train.pixels(image_indices)
    return train.crops(image_indices, np.array(boxes).reshape(-1, 4))


@st.cache_data(max_entries=500, max_size="64MB", show_spinner=False)
def mosaic(dataset_name: str, image_size: int | None, selected: SelectedImage) -> str:
    """Return the start image that a selection makes, as a data URL."""
    return data_url(patch_pixels(dataset(dataset_name, image_size), selected))
