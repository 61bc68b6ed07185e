"""What an export holds: the finished images of a run in their order, their classes, soft labels, and where all is from.

Images stand class by class in the dataset's order, within a class in the order in which they joined. ``label`` counts
the classes of the run from 0, ``class_id`` is the class's number in the dataset; they are the same in a run of all
classes. Paths of this machine are left out of what is handed on: of a folder only its name remains.

Shapes: N images, K classes of the run, S side in pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from delt_engine.config import Experiment
from delt_engine.data.catalogue import find_entry
from delt_engine.data.licences import SourceLicence, source_licence
from delt_engine.errors import DataError, RunError
from delt_engine.models.card import teacher_files
from delt_engine.paths import assets_dir
from delt_engine.runs.record import DatasetRecord, RunRecord, class_folders
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.strips import TEXT_KEY, png_bytes, read_png

_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Row:
    """One image: its place in the export, its class there and in the dataset, its index in the class, its schedule."""

    number: int
    label: int
    class_id: int
    index: int
    start_round: int
    iterations: int


@dataclass(frozen=True, eq=False)
class Contents:
    """What is exported.

    Attributes:
        run: finished.
        record: what it says of itself.
        data: which dataset it is of.
        soft_labels: the teacher's logits of each whole image, float32 (N, K); None without.
        labeller: name of the network that gave them.
    """

    run: Run
    record: RunRecord
    data: DatasetRecord
    soft_labels: np.ndarray | None = None
    labeller: str = ""

    @classmethod
    def of(cls, run: Run, soft_labels: np.ndarray | None = None, labeller: str = "") -> Contents:
        """Return what a run holds.

        Raises:
            DataError: it is no recovery, or not finished.
        """
        record = run.record()
        if record.kind != "recover":
            raise DataError(f"run: {run.id} is a {record.kind} run, but a run with images is exported.")
        if record.status != "finished" or record.dataset is None or not run.classes:
            raise DataError(f"run: {run.id} is {run.status}, but a finished one is exported.")
        return cls(run, record, record.dataset, soft_labels, labeller)

    def __len__(self) -> int:
        return len(self.run.classes) * self.ipc

    @property
    def ipc(self) -> int:
        """Images per class."""
        return self.record.experiment.recover.ipc

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the K classes, in the order of the labels."""
        return tuple(self.data.class_names[number] for number in self.run.classes)

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """A folder name a class; sorted they stand in the order of the labels."""
        return class_folders(self.class_names)

    @property
    def source_name(self) -> str:
        """Name of the dataset; of a folder the last part of its path."""
        return Path(self.data.name).name

    @property
    def licence(self) -> SourceLicence:
        """Terms of the images that these were made from."""
        return source_licence(self.data.name)

    @cached_property
    def experiment(self) -> Experiment:
        """Settings that make the run again, without paths of this machine."""
        own = self.record.experiment
        changes: dict[str, Any] = {}
        if find_entry(own.dataset) is None:
            changes["dataset"] = Path(own.dataset).name
        for role in ("teacher", "ranker"):
            ref = getattr(own, role)
            if Path(ref).name != ref:
                changes[role] = Path(ref).name
        if any(Path(ref).name != ref for ref in own.teachers):
            changes["teachers"] = tuple(Path(ref).name for ref in own.teachers)
        return own.replace(**changes) if changes else own

    def rows(self) -> Iterator[Row]:
        """Yield the images in their order."""
        schedule = self.record.experiment.recover.schedule
        times = list(zip(schedule.start_rounds, schedule.image_iterations_each, strict=True))
        for label, class_id in enumerate(self.run.classes):
            for index, (start_round, iterations) in enumerate(times):
                yield Row(label * self.ipc + index, label, class_id, index, start_round, iterations)

    def png(self, row: Row) -> bytes:
        """Return an image as PNG, with its settings in it.

        Raises:
            RunError: its file is gone or damaged.
        """
        path = self.run.image_path(row.class_id, row.index)
        if not self._names_paths:
            try:
                png = path.read_bytes()
            except OSError:
                raise RunError(f"run {self.run.id}: the image {path} is missing.") from None
            if not (png.startswith(_PNG_START) and png.endswith(_PNG_END)):
                raise RunError(f"run {self.run.id}: the image {path} is damaged.")
            return png
        return png_bytes(self.pixels(row), _without_paths(path))

    def size(self, row: Row) -> int:
        """Return about how many bytes an image takes as PNG.

        Raises:
            RunError: its file is gone.
        """
        path = self.run.image_path(row.class_id, row.index)
        try:
            return path.stat().st_size
        except OSError:
            raise RunError(f"run {self.run.id}: the image {path} is missing.") from None

    def pixels(self, row: Row) -> np.ndarray:
        """Return an image, uint8 (S, S, 3).

        Raises:
            RunError: its file is gone or damaged, or has another size.
        """
        path, size = self.run.image_path(row.class_id, row.index), self.data.image_size
        image_u8 = read_png(path)
        if image_u8.shape != (size, size, 3):
            raise RunError(f"run {self.run.id}: the image {path} has {image_u8.shape[1]} px, but the run has {size}.")
        return image_u8

    @property
    def _names_paths(self) -> bool:
        """Whether the images' settings name folders or files of this machine."""
        return self.experiment != self.record.experiment or bool(
            self.record.teacher and Path(self.record.teacher.name).name != self.record.teacher.name
        )

    def measured(self) -> list[dict[str, Any]]:
        """Return what students trained on the run reached here: the ``result`` of each finished evaluation of it."""
        places = [*list_runs(), *list_runs(assets_dir() / "examples"), *list_runs(self.run.path.parent)]
        evaluations = {run.path: run for run in places if not run.unreadable and run.record().kind == "evaluate"}
        known = {self.run.id, str(self.run.path)}
        return [
            run.record().result
            for run in evaluations.values()
            if run.record().source in known and run.record().status == "finished" and run.record().result
        ]


def _without_paths(path: Path) -> dict[str, Any] | None:
    """Return the settings in a PNG, its dataset, teacher and ranker by the last part of their names."""
    with Image.open(path, formats=("PNG",)) as image:
        image.load()
        text = image.info.get(TEXT_KEY) if hasattr(image, "info") else None
    try:
        said = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    known = dict(teacher_files())
    for name in ("dataset", "teacher", "ranker"):
        if isinstance(said.get(name), str) and said[name] not in known:
            said[name] = Path(said[name]).name
    return said
