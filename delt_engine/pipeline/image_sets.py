"""Images whose similarity can be measured: those of a run, of any folder with class folders, and real ones.

Torch-free but for reading images that are not those of a run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from delt_engine.analysis.diversity_store import RANDOM, REAL, REFERENCE_TITLES
from delt_engine.config import SqueezeConfig
from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError, ConfigError, DataError, RunError
from delt_engine.models.card import TeacherCard, find_teacher, has_card, read_card
from delt_engine.paths import expanded
from delt_engine.pipeline import inputs
from delt_engine.pipeline.inputs import Inputs, Report
from delt_engine.runs import strips
from delt_engine.runs.record import DatasetRecord, TeacherRecord
from delt_engine.runs.store import Run

if TYPE_CHECKING:
    from delt_engine.analysis.diversity import ClassImages


@dataclass(frozen=True, eq=False)
class Subject:
    """Images whose similarity is asked for.

    Attributes:
        key: tells these images from all others.
        source: id of the run, path of the folder, ``real`` or ``random``.
        method: of the run, or ``folder``, ``real``, ``random``.
        ipc: images a class that there are; for real images how many are taken.
        dataset_ref: what loads the dataset.
        classes: class numbers, ascending.
        teacher: the network in whose features they are measured.
        squeeze: says what network the teacher is where its file does not.
        rounds: round in which the image of each index joined; empty where all join at once.
        path: of the run or the folder; None for real images.
        committee: networks that recovered the images besides the teacher.
    """

    key: str
    source: str
    title: str
    method: str
    ipc: int
    dataset: DatasetRecord
    dataset_ref: str
    classes: tuple[int, ...]
    teacher: TeacherRecord
    squeeze: SqueezeConfig = SqueezeConfig()
    rounds: tuple[int, ...] = ()
    path: Path | None = None
    committee: tuple[TeacherRecord, ...] = ()

    @property
    def is_reference(self) -> bool:
        """Whether these are real images."""
        return self.path is None


def of_run(run: Run) -> Subject:
    """Return the images of a finished run.

    Raises:
        RunError: it is no recovery, or not finished.
    """
    record = run.record()
    if record.kind != "recover":
        raise RunError(f"run {run.id}: it is a {record.kind} run, but similarity is measured of recovered images.")
    if record.origin is not None and record.teacher is None:
        raise RunError(
            f"run {run.id}: there was no teacher for its data when it was imported; import it again with --teacher, "
            "for similarity is measured in a teacher's features."
        )
    if record.status != "finished" or record.dataset is None or record.teacher is None:
        raise RunError(f"run {run.id}: it is {run.status}, but similarity is measured of finished images.")
    recover, schedule = record.experiment.recover, record.experiment.recover.schedule
    return Subject(
        key=f"run {run.id} {record.finished}",
        source=run.id,
        title=record.method_title,
        method=recover.method,
        ipc=recover.ipc,
        dataset=record.dataset,
        dataset_ref=record.experiment.dataset,
        classes=tuple(record.classes),
        teacher=record.teacher,
        squeeze=record.experiment.squeeze,
        rounds=tuple(schedule.start_rounds) if recover.early_late and schedule.num_rounds > 1 else (),
        path=run.path,
        committee=record.committee,
    )


def of_folder(path: str | Path, dataset: Dataset, dataset_ref: str, teacher: str = "auto") -> Subject:
    """Return the images of a folder with one folder of images a class.

    Args:
        path: of the folder.
        dataset: whose classes these are.
        dataset_ref: what loads the dataset.
        teacher: name or file of the teacher in whose features they are measured.

    Raises:
        DataError: no such folder, or other classes.
        CheckpointError: there is no such teacher, or it does not say what network it is.
    """
    from delt_engine.data.layout import list_files

    spec, root = dataset.spec, expanded(path).absolute()
    listing = list_files(root)
    card = card_of(find_teacher(teacher, spec.name, spec.image_size, spec.class_names))
    rows = np.flatnonzero(~np.asarray(listing.is_test))
    counts = np.bincount(np.asarray(listing.labels)[rows], minlength=len(listing.class_names))
    digest = hashlib.sha256()
    for row in rows.tolist():
        stat = (root / listing.names[row]).stat()
        digest.update(f"{listing.names[row]}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return Subject(
        key=f"folder {digest.hexdigest()} {dataset.fingerprint} {spec.image_size}",
        source=str(root),
        title=root.name,
        method="folder",
        ipc=int(counts.min()) if len(counts) else 0,
        dataset=Inputs(dataset, (), None, card).dataset_record,
        dataset_ref=dataset_ref,
        classes=tuple(range(spec.num_classes)),
        teacher=TeacherRecord.of(card, teacher if teacher != "auto" else card.name),
        path=root,
    )


def reference(subject: Subject, kind: str, images: int | None = None) -> Subject:
    """Return real images to hold a subject against: ``real`` or ``random``, by default as many a class.

    Raises:
        ConfigError: another kind.
    """
    if kind not in (REAL, RANDOM):
        raise ConfigError(f"reference: {kind!r} given, but it must be one of {REAL}, {RANDOM}.")
    data = subject.dataset
    return replace(
        subject,
        key=f"{kind} {data.fingerprint} {data.image_size}",
        source=kind,
        title=REFERENCE_TITLES[kind],
        method=kind,
        ipc=images or subject.ipc,
        rounds=(),
        path=None,
        committee=(),
    )


def class_images(subject: Subject, report: Report | None = None) -> list[ClassImages]:
    """Return what reads the images of each class of a subject.

    Raises:
        DataError: real images are not there, or too few; a folder has other classes.
    """
    from delt_engine.analysis.diversity import ClassImages

    read: Callable[[np.ndarray], np.ndarray]
    if subject.path is None:
        train = load_data(subject, report).train
        rows = {c: train.of_class(c) for c in subject.classes}
        short = next((c for c in subject.classes if len(rows[c]) < subject.ipc), None)
        if short is not None:
            raise DataError(
                f"reference: {subject.dataset.class_names[short]} has {len(rows[short])} real images, but "
                f"{subject.ipc} are asked for."
            )
        read = train.pixels
    elif subject.method == "folder":
        from delt_engine.training.image_table import from_folder

        table = from_folder(subject.path, load_data(subject, report))
        rows = {c: np.flatnonzero(table.labels == c) for c in subject.classes}
        read = partial(np.take, table.image_u8, axis=0)
    else:
        run = Run(subject.path)
        return [ClassImages(c, subject.ipc, partial(_run_images, run, c)) for c in subject.classes]
    return [
        ClassImages(c, len(rows[c]), partial(lambda own, index: read(own[index]), rows[c])) for c in subject.classes
    ]


def load_data(subject: Subject, report: Report | None = None) -> Dataset:
    """Return the real images a subject belongs to.

    Raises:
        DataError: they are not there, or are other ones than those the run was made of.
    """
    size, resize = subject.dataset.image_size, subject.dataset.resize
    dataset = inputs.load_dataset(subject.dataset_ref, size, report=report, resize=resize)
    if dataset.fingerprint != subject.dataset.fingerprint:
        raise DataError(f"dataset: the images of {subject.dataset_ref} are not those that {subject.source} belongs to.")
    return dataset


def _run_images(run: Run, class_index: int, index: np.ndarray) -> np.ndarray:
    return np.stack([strips.read_png(run.image_path(class_index, number)) for number in index.tolist()])


def card_of(path: Path) -> TeacherCard:
    """Return the card of a network.

    Raises:
        CheckpointError: it has none.
    """
    if not has_card(path):
        raise CheckpointError(
            f"network: {path} does not say what network it is; add it with `delt teachers add` before it is used here."
        )
    return read_card(path)
