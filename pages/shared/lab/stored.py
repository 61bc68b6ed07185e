"""What the lab's pages read from disk, read again only when it has changed: recorded labs and EarlyLate's claim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from delt_engine.lab.claim import Claim
from delt_engine.lab.material import Lab, lab_folders, open_lab
from delt_engine.paths import cache_dir
from delt_engine.pipeline.claim import claim as claim_of_runs
from delt_engine.runs.store import Run
from pages.shared.cached import data_url, until_changed


@until_changed(lambda runs: [*(run.path / "run.json" for run in runs), cache_dir() / "diversity"], max_entries=16)
def claim(runs: tuple[Run, ...]) -> Claim | None:
    """Return how alike the classes of a DELT run are beside those of other methods' runs."""
    return claim_of_runs(runs)


@until_changed(lambda folder: [Path(folder) / "lab.json"], max_entries=8)
def opened(folder: Path | str) -> Lab:
    """Return a lab."""
    return open_lab(folder)


def of_dataset(dataset: str) -> Lab | None:
    """Return the lab of a dataset by its name, or None."""
    folder = lab_folders().get(dataset)
    return opened(folder) if folder else None


@until_changed(lambda folder, name: [Path(folder) / name], cache=st.cache_data, max_entries=64, max_size="64MB")
def sheet(folder: str, name: str) -> str:
    """Return a sheet of a lab as a data URL."""
    return data_url(open_lab(folder).png(name))


@until_changed(lambda folder, name: [Path(folder) / name], cache=st.cache_data, max_entries=64, max_size="32MB")
def rows(folder: str, name: str) -> tuple[str, ...]:
    """Return each row of a lab's sheet as a strip of its own, a data URL."""
    return tuple(data_url(np.hstack(list(row))) for row in open_lab(folder).tiles(name))
