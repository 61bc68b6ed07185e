"""Stores of soft labels as the app sees them: which there are of a source, whether one fits, how one is made; no torch.

The app keeps them in ``<home>/labels/<source>/<settings>``: the same settings lead to the same folder, so a store that
was stopped goes on. `delt relabel` writes them anywhere else as well; such a folder is opened by its path.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.config.students import filled_in
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import CheckpointError, DataError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.models.card import find_teacher, read_card
from delt_engine.paths import expanded, labels_dir
from delt_engine.runs.command import RELABEL_SETTINGS, image_size_of, relabel_command
from delt_engine.runs.sources import Source
from delt_engine.runs.store import Run
from delt_engine.training.label_facts import AUGMENTATION, StoreFacts, StoreSize, missing_epochs, read_facts, store_size


@dataclass(frozen=True)
class KnownStore:
    """A store on the disk, ``written`` of whose label epochs are there."""

    path: Path
    facts: StoreFacts
    written: int

    @property
    def is_complete(self) -> bool:
        """Whether every label epoch is there."""
        return self.written == self.facts.label_epochs

    @classmethod
    def open(cls, path: str | Path) -> KnownStore:
        """Look at a folder.

        Raises:
            DataError: it holds no labels.
        """
        folder = expanded(path).absolute()
        facts = read_facts(folder)
        return cls(folder, facts, facts.label_epochs - len(missing_epochs(folder, facts)))


@dataclass(frozen=True)
class Needed:
    """What a training asks of its labels: ``config`` with nothing open, and the images they are of.

    ``labeller`` is the fingerprint of the network that is to label; "" where it is not known.
    """

    config: EvaluateConfig
    seed: int
    images: int
    num_classes: int
    labeller: str = ""

    def size(self, form: str, label_epochs: int) -> StoreSize:
        """Return what a new store takes; 0 label epochs are all of the training's."""
        return store_size(self.images, self.num_classes, label_epochs or self.config.epochs, form)


def stores_of(source: Source, dataset: str) -> list[KnownStore]:
    """Return the stores that the app made of a source, newest first; what cannot be read is left out."""
    try:
        folders = sorted(_folder_of(source, dataset).iterdir(), key=lambda path: -path.stat().st_mtime_ns)
    except OSError:
        return []
    found = []
    for folder in folders:
        with contextlib.suppress(DataError):
            found.append(KnownStore.open(folder))
    return found


def new_store(experiment: Experiment, source: Source) -> Path:
    """Return the folder of a store with these settings, whether it is there or not."""
    without = set() if experiment.evaluate.relabeller else {"relabeller"}  # stores from before there was one
    evaluate = experiment.evaluate.model_dump(include={*RELABEL_SETTINGS} - without)
    about = [evaluate, experiment.relabel.model_dump(), experiment.seed, experiment.image_size, experiment.teacher]
    words = f"{experiment.relabel.form}-{experiment.relabel.label_epochs or experiment.evaluate.epochs}ep"
    digest = hashlib.sha256(json.dumps([*about, experiment.classes]).encode()).hexdigest()[:8]
    return _folder_of(source, experiment.dataset) / f"{words}-{digest}"


def store_task(path: Path) -> Task:
    """Return the task that writes a store."""
    return tasks.task("labels", path)


def start_storing(experiment: Experiment, source: Source) -> Path:
    """Start `delt relabel` detached and return the folder of the labels at once.

    Raises:
        RunError: the process cannot be started.
    """
    path = new_store(experiment, source)
    tasks.start(store_task(path), relabel_command(experiment, path, source.ref)[1:])
    return path


def needed(experiment: Experiment, source: Source) -> Needed | None:
    """Return what a training asks of its labels; None while its images are not counted yet, as of a folder."""
    config, run, teacher = experiment.evaluate, source.run, ""
    if run is not None:
        record, ipc, classes, size = run.record(), run.experiment.recover.ipc, len(run.classes), run.image_size
        dataset, images = record.dataset.name if record.dataset else "", ipc * classes
        teacher = record.teacher.network if record.teacher else ""
        if config.student == "auto" and teacher:
            config = config.replace(student=teacher)
    else:
        entry, dataset = find_entry(experiment.dataset), experiment.dataset
        if not source.is_real or entry is None or not entry.train_size or not entry.num_classes:
            return None
        classes, size = (
            len(experiment.classes or ()) or entry.num_classes,
            image_size_of(dataset, experiment.image_size),
        )
        images = entry.train_size * classes // entry.num_classes
        ipc = -(-images // classes)
    about = {"ipc": ipc, "images": images, "num_classes": classes, "image_size": size or 0}
    config = filled_in(config, **about, dataset=dataset, teacher=teacher)
    return Needed(config, experiment.seed, images, classes, _labeller(config, run, classes))


def _labeller(config: EvaluateConfig, run: Run | None, classes: int) -> str:
    """Return the fingerprint of the network that labels; "" of a committee, and of one that knows more classes."""
    record, name, known = run.record() if run else None, "", 0
    if config.relabeller:
        with contextlib.suppress(CheckpointError):
            card = read_card(find_teacher(config.relabeller))
            name, known = card.fingerprint, card.num_classes
    elif record and record.teacher and record.dataset and not record.is_labelled_by_committee:
        name, known = record.teacher.fingerprint, len(record.dataset.class_names)
    return name if known == classes else ""


def misfit(store: KnownStore, wanted: Needed) -> str:
    """Return why a training cannot use a store, in words such as "it is for batches of 50, not 100"; "" when it can.

    Whether the images are the very same is looked at when the training begins.
    """
    facts, config = store.facts, wanted.config
    if not store.is_complete:
        return f"{store.written:,} of {facts.label_epochs:,} label epochs are written"
    if (facts.images, facts.num_classes) != (wanted.images, wanted.num_classes):
        return f"it is of {facts.images:,} images in {facts.num_classes:,} classes"
    if wanted.labeller and facts.teacher_fingerprint != wanted.labeller:
        return f"another network labelled: {facts.teacher or facts.teacher_fingerprint}"
    if facts.epochs < config.epochs:
        return f"it is for {facts.epochs:,} epochs, not {config.epochs:,}"
    if facts.seed != wanted.seed:
        return f"it is for seed {facts.seed}, not {wanted.seed}"
    for name in AUGMENTATION:
        there, here = facts.augmentation.get(name), getattr(config, name)
        if there != here:
            return f"it is for {name.replace('_', ' ')} {there}, not {here}"
    return ""


def _folder_of(source: Source, dataset: str) -> Path:
    if source.run is not None:
        return labels_dir() / source.run.id
    ref = f"real-{dataset}" if source.is_real else source.ref
    name = re.sub(r"[^a-z0-9]+", "-", ref.lower()).strip("-")[-60:]
    return labels_dir() / f"{name}-{hashlib.sha256(ref.encode()).hexdigest()[:6]}"
