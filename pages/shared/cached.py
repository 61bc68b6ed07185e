"""Everything the pages keep between reruns, each with a bound; arguments are names, numbers and frozen records.

What is made of files is made again when they change: see :func:`until_changed`.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import streamlit as st

from delt_engine.access import is_allowed
from delt_engine.analysis.similarity import halves_cosine, pair_cosine, pixel_change, pixel_vectors
from delt_engine.config import Experiment, RankConfig, Resize
from delt_engine.data.available import known_folders, place_of
from delt_engine.data.catalogue import find_entry, image_folder, load_dataset
from delt_engine.data.dataset import Dataset, DatasetSpec
from delt_engine.data.downloads import is_fetched
from delt_engine.errors import CheckpointError, DataError
from delt_engine.models.card import TeacherCard, find_teacher, read_card
from delt_engine.patches.ranking import Ranking, cached_ranking
from delt_engine.patches.selection import SelectedImage
from delt_engine.paths import assets_dir, runs_dir
from delt_engine.runs.image_facts import ImageFacts, selected_of
from delt_engine.runs.image_facts import image_facts as image_facts_of
from delt_engine.runs.store import Run
from delt_engine.runs.strips import png_bytes
from delt_engine.runs.titles import in_order
from pages.shared.runs.strips import stamp

Made = TypeVar("Made")


def until_changed(
    files: Callable[..., Iterable[Path]], *, cache: Any = st.cache_resource, **limits: Any
) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Keep what a function returns for all sessions, until one of the files that it reads is written anew.

    ``files`` returns them, there or not, for the function's arguments; ``limits`` bound what Streamlit's cache holds.
    """

    def decorate(make: Callable[..., Made]) -> Callable[..., Made]:
        def kept(arguments: tuple[Any, ...], changed_ns: tuple[int, ...]) -> Made:  # noqa: ARG001 (part of the key)
            return make(*arguments)

        kept.__qualname__ = make.__qualname__  # Streamlit tells one cache from another by it
        cached = cache(show_spinner=False, hash_funcs={Run: lambda run: str(run.path)}, **limits)(kept)

        @functools.wraps(make)
        def current(*arguments: Any) -> Made:
            return cached(arguments, tuple(stamp(Path(path)) for path in files(*arguments)))

        return current

    return decorate


def data_url(image: np.ndarray | bytes) -> str:
    """Return a PNG, or an image as uint8 (H, W, 3), as a data URL."""
    png = image if isinstance(image, bytes) else png_bytes(image, level=1)
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def runs() -> list[Run]:
    """Return the user's runs, newest first; a record is read again only when its file changed."""
    return sorted(_known(runs_dir()), key=lambda run: ("" if run.unreadable else run.record().created, run.id))[::-1]


def folders() -> tuple[str, ...]:
    """Return the folders of images that can be chosen: those that were added, then those that runs were made from."""
    made = dict.fromkeys(run.experiment.dataset for run in runs() if is_sound(run))
    used = (name for name in made if find_entry(name) is None and os.path.isdir(name) and is_allowed(name))  # noqa: PTH112
    return tuple(dict.fromkeys((*known_folders(), *used)))


def examples() -> list[Run]:
    """Return the finished runs that ship with the project: DELT's first, then those of the other methods."""
    return in_order(_known(assets_dir() / "examples"))


def recoveries(*, examples_first: bool = False, finished: bool = False) -> list[Run]:
    """Return the recoveries that have images to show, or only the finished ones; those whose record is odd are out."""
    found = [*examples(), *runs()] if examples_first else [*runs(), *examples()]
    found = [run for run in found if is_sound(run) and run.record().kind == "recover" and run.classes]
    return [run for run in found if run.status == "finished"] if finished else found


def evaluations() -> list[Run]:
    """Return all runs that train students, the user's newest first, then the examples."""
    return [run for run in (*runs(), *examples()) if not run.unreadable and run.record().kind == "evaluate"]


def newest(kind: str, fits: Callable[[Run], bool]) -> Run | None:
    """Return the user's newest run of a kind that fits, or None."""
    of_kind = (run for run in runs() if not run.unreadable and run.record().kind == kind)
    return next((run for run in of_kind if fits(run)), None)


def is_sound(run: Run) -> bool:
    """Whether a run's record can be read, and names every class that it says it has."""
    return not run.unreadable and len(run.classes) == len(run.record().classes)


def _known(folder: Path) -> list[Run]:
    try:
        with os.scandir(folder) as entries:  # a Path a run would take longer than the look itself
            return [_run(entry.path) for entry in entries if os.path.isfile(f"{entry.path}/run.json")]  # noqa: PTH113
    except OSError:
        return []


_run = lru_cache(maxsize=4096)(Run)


def _of_class(run: Run, class_index: int, *_rest: Any) -> list[Path]:
    folder = run.class_folder(class_index)
    return [run.path / "selection.csv", run.path / "snapshots" / folder, run.path / "predictions" / folder]


@until_changed(_of_class, max_entries=64)
def image_facts(run: Run, class_index: int) -> tuple[ImageFacts, ...]:
    """Return the numbers of the images of one class."""
    return image_facts_of(run, class_index)


@until_changed(lambda run, _class_index: [run.path / "selection.csv"], max_entries=64)
def class_selection(run: Run, class_index: int) -> tuple[SelectedImage, ...]:
    """Return where the images of one class came from, without reading the other classes."""
    return selected_of(run, class_index)


@until_changed(_of_class, max_entries=64)
def changes(run: Run, class_index: int, rounds: tuple[int, ...]) -> np.ndarray:
    """Return how far each image of a run is from its start after each round: float (rounds, IPC), in levels."""
    start = run.snapshot_images(class_index, rounds[0])
    return np.stack([pixel_change(run.snapshot_images(class_index, number), start)[0] for number in rounds])


@until_changed(_of_class, max_entries=64)
def run_halves(run: Run, class_index: int, rounds: tuple[int, ...]) -> tuple[tuple[float, float], ...]:
    """Return the likeness in pixels of the early and of the late half of a run's class after each round."""
    record = run.record().dataset
    assert record is not None  # a run with snapshots knows its data
    images = (run.snapshot_images(class_index, number) for number in rounds)
    return tuple(halves_cosine(pixel_vectors(image_u8, record.mean, record.std)) for image_u8 in images)


@until_changed(_of_class, max_entries=512)
def class_cosine(run: Run, class_index: int) -> float | None:
    """Return the likeness in pixels of a class's images as last written, over all pairs; None of fewer than two."""
    record, written = run.record().dataset, run.rounds_written(class_index)
    if record is None or not written or run.experiment.recover.ipc < 2:
        return None
    return pair_cosine(pixel_vectors(run.snapshot_images(class_index, written[-1]), record.mean, record.std))


def is_at_hand(name: str) -> bool:
    """Return whether a dataset can be read here and now, without fetching it first; a folder's path always is."""
    entry = find_entry(name)
    return entry is None or entry.kind == "built-in" or image_folder(entry) is not None or is_fetched(entry.name)


def dataset(name: str, image_size: int | None = None, resize: Resize = "whole") -> Dataset:
    """Return a dataset, read once for all sessions."""
    return _dataset(name, image_size, resize)


@st.cache_resource(max_entries=4, show_spinner="Reading the dataset…")
def _dataset(name: str, image_size: int | None, resize: Resize) -> Dataset:
    return load_dataset(name, image_size, resize=resize)


def forget_dataset(name: str, image_size: int | None) -> None:
    """Read a dataset anew when it is asked for next."""
    for resize in get_args(Resize):
        _dataset.clear(name, image_size, resize)


def dataset_of(experiment: Experiment) -> Dataset:
    """Return the dataset of an experiment, see :func:`dataset`."""
    return dataset(experiment.dataset, experiment.image_size, experiment.resize)


@until_changed(lambda path: [path], max_entries=64)
def teacher_card(path: str) -> TeacherCard:
    """Return what a teacher's file says about it."""
    return read_card(Path(path))


def teacher(
    ref: str, dataset_name: str, image_size: int | None = None, class_names: tuple[str, ...] | None = None
) -> TeacherCard:
    """Return the card of the teacher that a run on this dataset would use; ``class_names`` where they are known.

    Raises:
        CheckpointError: there is none, with what to do.
    """
    return teacher_card(str(find_teacher(ref, dataset_name, image_size, class_names)))


def folder_spec(experiment: Experiment) -> DatasetSpec | None:
    """Return what a folder that was read holds; None of a dataset of the catalogue, and before it was read."""
    if find_entry(experiment.dataset) is None and place_of(experiment.dataset).state == "ready":
        with contextlib.suppress(DataError):  # its files have changed; the run will say so
            return dataset_of(experiment).spec
    return None


def planned_teacher(experiment: Experiment) -> TeacherCard:
    """Return the card of the teacher that a planned run would take; a folder tells its classes once it was read.

    Raises:
        CheckpointError: there is none, with what to do.
    """
    spec = folder_spec(experiment)
    names = spec.class_names if spec else None
    return teacher(experiment.teacher, experiment.dataset, experiment.image_size, names)


def found_teacher(experiment: Experiment) -> TeacherCard | None:
    """Return the card of :func:`planned_teacher`, None where there is none."""
    try:
        return planned_teacher(experiment)
    except CheckpointError:
        return None


def ranking(dataset_fingerprint: str, teacher_fingerprint: str, config: RankConfig, seed: int) -> Ranking | None:
    """Return the stored ranking of a dataset by a teacher, None when it is not made yet; an absence is not kept."""
    found = _ranking(dataset_fingerprint, teacher_fingerprint, config, seed)
    if found is None:
        _ranking.clear(dataset_fingerprint, teacher_fingerprint, config, seed)
    return found


@st.cache_resource(max_entries=8, show_spinner=False)
def _ranking(dataset_fingerprint: str, teacher_fingerprint: str, config: RankConfig, seed: int) -> Ranking | None:
    return cached_ranking(dataset_fingerprint, teacher_fingerprint, config, seed)
