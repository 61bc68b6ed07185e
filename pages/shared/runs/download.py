"""A whole run as one file: an image folder that other tools read as it stands, with its settings and a table."""

from __future__ import annotations

from functools import partial
from typing import Any

from delt_engine.jobs import space
from delt_engine.runs.export import run_zip
from delt_engine.runs.store import Run
from pages.shared.controls import download
from pages.shared.wording import plural, size

MOST_BYTES = 10**9
"""Disk use up to which a run is put into one file: it is made in memory."""


def button(run: Run, key: str, **look: Any) -> None:
    """Draw the button that saves a run as a zip, made when it is pressed; nothing where there are no images."""
    if run.unreadable or run.record().kind != "recover" or not run.classes:
        return
    images = plural(run.experiment.recover.ipc * len(run.classes), "image")
    if space.use(run).total > MOST_BYTES:
        folder = run.path / "images"
        what = f"{size(space.use(run).total)} are too much for one file; {folder} is an ImageFolder as it is."
        look = {**look, "disabled": True}
    else:
        what = f"{images} in a folder per class, images.csv and experiment.yaml; made when you press."
    make, name, look = partial(run_zip, run), f"{run.id}.zip", {"help": what, **look}
    download("Download ImageFolder", "folder_zip", key, make, name, "application/zip", **look)
