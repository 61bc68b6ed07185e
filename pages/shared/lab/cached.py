"""What the early-versus-late page keeps between reruns: labs, their sheets, and measurements of runs' snapshots."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import streamlit as st

from delt_engine.analysis.similarity import halves_cosine, pixel_change, pixel_vectors
from delt_engine.lab.material import Lab, open_lab
from delt_engine.runs.store import Run
from pages.shared.cached import data_url
from pages.shared.runs.strips import stamp


def lab(folder: Path) -> Lab:
    """Return a lab, read again only when it was written again."""
    return _lab(str(folder), stamp(folder / "lab.json"))


@st.cache_resource(max_entries=8, show_spinner=False)
def _lab(folder: str, changed_ns: int) -> Lab:  # noqa: ARG001 (part of the key)
    return open_lab(folder)


def sheet(made: Lab, name: str) -> str:
    """Return a sheet of a lab as a data URL."""
    return _sheet(str(made.folder), name, stamp(made.folder / name))


@st.cache_data(max_entries=64, max_size="64MB", show_spinner=False)
def _sheet(folder: str, name: str, changed_ns: int) -> str:  # noqa: ARG001 (part of the key)
    return "data:image/png;base64," + base64.b64encode(open_lab(folder).png(name)).decode("ascii")


@st.cache_data(max_entries=64, max_size="32MB", show_spinner=False)
def row_strips(folder: str, name: str) -> tuple[str, ...]:
    """Return each row of a lab's sheet as a strip of its own, a data URL."""
    tiles = open_lab(folder).tiles(name)
    return tuple(data_url(np.hstack(list(row))) for row in tiles)


@st.cache_data(max_entries=64, show_spinner=False)
def changes(path: str, class_index: int, rounds: tuple[int, ...], changed_ns: int) -> np.ndarray:  # noqa: ARG001
    """Return how far each image of a run is from its start after each round: float (rounds, IPC), in levels."""
    run = Run(path)
    start = run.snapshot_images(class_index, rounds[0])
    return np.stack([pixel_change(run.snapshot_images(class_index, number), start)[0] for number in rounds])


@st.cache_data(max_entries=64, show_spinner=False)
def run_halves(
    path: str,
    class_index: int,
    rounds: tuple[int, ...],
    changed_ns: int,  # noqa: ARG001
) -> tuple[tuple[float, float], ...]:
    """Return the likeness in pixels of the early and of the late half of a run's class after each round."""
    run = Run(path)
    record = run.record().dataset
    assert record is not None  # a run with snapshots knows its data
    images = (run.snapshot_images(class_index, number) for number in rounds)
    return tuple(halves_cosine(pixel_vectors(image_u8, record.mean, record.std)) for image_u8 in images)
