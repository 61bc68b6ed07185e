"""What a run starts from, looked up before anything is computed: data, classes, teacher's file, students' images.

Everything that can be wrong with the question itself is found here, without torch and before a folder is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from delt_engine.config import Experiment
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard, find_teacher, has_card, read_card, teacher_files
from delt_engine.runs.record import DatasetRecord
from delt_engine.runs.sources import Source, asks_for_teacher
from delt_engine.training.image_table import ImageTable, from_folder, from_run, real, test_table

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Inputs:
    """The data, which of its classes are worked on, and the teacher.

    Attributes:
        dataset: ready to be read.
        classes: class indices, ascending.
        teacher_path: the teacher's file; None for a squeeze, which makes one.
        card: what the file says of itself; None for a checkpoint from elsewhere.
        train: images that students learn from, where they were read already.
    """

    dataset: Dataset
    classes: tuple[int, ...]
    teacher_path: Path | None = None
    card: TeacherCard | None = None
    train: ImageTable | None = None

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


def training_images(source: Source, inputs: Inputs) -> ImageTable:
    """Return the images of a source, of the classes that the run has.

    Raises:
        DataError: a run that is not finished, files that cannot be read, or classes that do not match.
    """
    source.check_ready()
    if source.run is not None:
        return from_run(source.run)
    names = tuple(inputs.dataset.spec.class_names[number] for number in inputs.classes)
    if source.folder is not None:
        return from_folder(source.folder, inputs.dataset, classes=names)
    return real(inputs.dataset, names)


def evaluation_inputs(experiment: Experiment, source: Source, report: Report | None = None) -> Inputs:
    """Look up everything an evaluation needs, and refuse what does not fit together.

    Args:
        experiment: of the evaluation.
        source: what students are trained on; a run that is still at work is looked at later.
        report: told how far reading is.

    Raises:
        DataError: no such dataset, a source that cannot be used, or classes that are not those of the test images.
        CheckpointError: no teacher where one is needed.
    """
    inputs = load_inputs(experiment, report, needs_teacher=asks_for_teacher(experiment, source))
    if source.run is not None and source.run.is_active:
        return inputs
    train = training_images(source, inputs)
    test_table(inputs.dataset, train)
    return replace(inputs, train=train)
