"""What a run starts from, looked up before anything is computed: the data, the classes, and the teacher's file.

Everything that can be wrong with the question itself is found here, without torch and before a folder is made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delt_engine.config import Experiment
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard, find_teacher, has_card, read_card, teacher_files
from delt_engine.runs.record import DatasetRecord
from delt_engine.runs.sources import asks_for_teacher, find_source
from delt_engine.runs.store import Run

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The data, which of its classes are worked on, and the teacher.

    Attributes:
        dataset: ready to be read.
        classes: class indices, ascending.
        teacher_path: the teacher's file; None for a squeeze, which makes one.
        card: what the file says of itself; None for a checkpoint from elsewhere.
        train: images that students learn from, where they were read already: an
            :class:`delt_engine.training.image_table.ImageTable`.
    """

    dataset: Dataset
    classes: tuple[int, ...]
    teacher_path: Path | None = None
    card: TeacherCard | None = None
    train: Any = None

    @property
    def teacher_ref(self) -> str:
        """What finds the teacher again: its name where it has one, else its file."""
        names = [name for name, path in teacher_files() if path == self.teacher_path]
        return names[0] if names else str(self.teacher_path)

    @property
    def dataset_record(self) -> DatasetRecord:
        """What run.json keeps of the dataset."""
        spec = self.dataset.spec
        return DatasetRecord(
            name=spec.name,
            title=spec.title,
            fingerprint=self.dataset.fingerprint,
            image_size=spec.image_size,
            class_names=spec.class_names,
            mean=spec.mean,
            std=spec.std,
        )


def load_inputs(
    experiment: Experiment,
    report: Report | None = None,
    *,
    needs_teacher: bool = True,
    teacher: str | None = None,
) -> Inputs:
    """Read the dataset, number the classes, and find the teacher.

    Args:
        experiment: dataset, image size, classes and teacher are looked at.
        report: told how far reading is: what, done, total.
        needs_teacher: False for a squeeze.
        teacher: a teacher other than the experiment's, for a run that goes on with the one it began with.

    Raises:
        DataError: no such dataset, nothing in it, or no such class.
        CheckpointError: no such teacher, or one with another number of classes.
    """
    dataset = load_dataset(experiment.dataset, experiment.image_size, report=report)
    spec = dataset.spec
    names = experiment.classes if experiment.classes is not None else spec.class_names
    classes = tuple(sorted({dataset.class_index(name) for name in names}))
    if not needs_teacher:
        return Inputs(dataset, classes)
    path = find_teacher(teacher or experiment.teacher, spec.name, spec.image_size, spec.class_names)
    card = read_card(path) if has_card(path) else None
    if card is not None and card.num_classes != spec.num_classes:
        raise CheckpointError(
            f"teacher: {card.name} has {card.num_classes} classes, but {spec.name} has {spec.num_classes}."
        )
    return Inputs(dataset, classes, path, card)


@functools.lru_cache(maxsize=1)
def share_inputs(run: Run) -> Inputs:
    """Return the data and the teacher's file of a run, kept from one order to the next."""
    record = run.record()
    needs_teacher = record.kind != "squeeze"
    if record.kind == "evaluate":
        needs_teacher = asks_for_teacher(record.experiment, find_source(record.source))
    teacher = record.teacher.ref if record.teacher else None
    return load_inputs(record.experiment, needs_teacher=needs_teacher, teacher=teacher)
