"""What students are trained on: the images of a run, of any folder, or all real ones; found by a word."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from delt_engine import access
from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.errors import DataError, RunError
from delt_engine.paths import assets_dir, expanded, runs_dir
from delt_engine.runs.store import Run

REAL = "real"
"""The word for the whole training set of a dataset; a folder of that name is given as ``./real``."""


@dataclass(frozen=True)
class Source:
    """What students are trained on: a run, a folder of images, or the real ones; ``ref`` finds it from anywhere."""

    ref: str
    run: Run | None = None
    folder: Path | None = None

    @property
    def is_real(self) -> bool:
        """Whether it is the whole training set."""
        return self.ref == REAL

    def check_ready(self) -> None:
        """Refuse a run that has no finished images, or those of one class.

        Raises:
            DataError: it is no recovery, not finished, or there are no two classes to tell apart.
        """
        if self.run is None:
            return
        record = self.run.record()
        if record.kind != "recover":
            raise DataError(
                f"source: run {self.run.id} is a {record.kind} run, but students learn from recovered images."
            )
        if record.status != "finished":
            raise DataError(f"source: run {self.run.id} is {self.run.status}, but students learn from a finished one.")
        if len(record.classes) == 1:
            only = self.run.class_names[record.classes[0]]
            raise DataError(
                f"source: run {self.run.id} has one class, {only}, but students need at least two to tell apart."
            )


def find_source(text: str | Path) -> Source:
    """Find what students are to be trained on: ``real``, the id or the folder of a run, or a folder of images.

    Raises:
        DataError: it is none of these.
    """
    if str(text) == REAL:
        return Source(REAL)
    try:
        run = Run.open(text) if str(text) else None
    except RunError:
        run = None
    if run is not None:
        is_known = run.path.parent in (runs_dir().absolute(), (assets_dir() / "examples").absolute())
        return Source(run.id if is_known else str(run.path), run=run)
    folder = expanded(text).absolute()
    access.check_path(folder, "source", DataError)
    if not str(text) or not os.path.isdir(folder):  # noqa: PTH112 (pathlib's raises at a name that is too long)
        raise DataError(f"source: {str(text)!r} given, but it must be a run, a folder of images, or {REAL!r}.")
    return Source(str(folder), folder=folder)


def needs_teacher(config: EvaluateConfig) -> bool:
    """Return whether students need the teacher: for soft labels of its own, or for the network they are to have."""
    return (config.labels != "hard" and not config.relabeller) or config.student == "auto"


def asks_for_teacher(experiment: Experiment, source: Source) -> bool:
    """Return whether an evaluation looks for a teacher of its own; the images of a run bring theirs.

    Imported ones have none where there was none for their data.
    """
    record = source.run.record() if source.run else None
    has_none = record is None or (record.origin is not None and record.teacher is None)
    return has_none and needs_teacher(experiment.evaluate)
