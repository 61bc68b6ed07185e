"""What stored labels are made from: the images of a source, its teacher, and the settings of the training to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from delt_engine.config import Experiment
from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import ConfigError, RunError
from delt_engine.models.card import TeacherCard, find_teacher, has_card, read_card
from delt_engine.models.device import pick_device
from delt_engine.models.teachers import load_teacher
from delt_engine.pipeline.inputs import Inputs, Report, evaluation_inputs
from delt_engine.runs.sources import Source
from delt_engine.training.draws import batch_bounds
from delt_engine.training.image_table import ImageTable
from delt_engine.training.recipe import resolve
from delt_engine.training.relabel import RelabelProgress, begin_store, store_facts, write_epochs
from delt_engine.training.soft_labels import LabelStore, StoreSize, predicted_bytes
from delt_engine.training.teacher_classes import teacher_for


@dataclass(frozen=True, eq=False)
class RelabelJob:
    """Everything that relabelling needs.

    Attributes:
        experiment: the settings it was made of.
        source: what is labelled.
        train: the images.
        teacher: its logits are the classes of ``train``.
        config: of the training, resolved.
        settings: form of a label.
        seed: of the training.
        device: where the teacher is.
    """

    experiment: Experiment
    source: Source
    train: ImageTable
    teacher: nn.Module
    config: EvaluateConfig
    settings: RelabelConfig
    seed: int
    device: str

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(batch_bounds(len(self.train), self.config.batch_size))

    def begin(self, out: Path) -> LabelStore:
        """Make the store in a folder, or open the one that was begun there."""
        return begin_store(
            self.train, self.teacher, self.config, self.settings, seed=self.seed, device=self.device, out=out
        )

    def check(self, out: Path) -> None:
        """Refuse to go on with labels that are not the very same.

        Raises:
            DataError: they differ, or there are none.
        """
        facts = store_facts(self.train, self.teacher, self.config, self.settings, seed=self.seed)
        LabelStore.open(out).check(facts)

    def write(self, store: LabelStore, epochs: Sequence[int]) -> Iterator[RelabelProgress]:
        """Write some epochs of the store."""
        return write_epochs(store, epochs, self.train, self.teacher, self.config, device=self.device)

    @property
    def size(self) -> StoreSize:
        """What the labels will take."""
        return self.size_as(self.settings)

    def size_as(self, settings: RelabelConfig) -> StoreSize:
        """Return what the labels would take in another form."""
        train, config = self.train, self.config
        classes = len(train.class_names)
        return predicted_bytes(
            len(train), classes, config.epochs, settings, config, image_size=train.image_size, mosaic=train.mosaic
        )


def check_soft(config: EvaluateConfig) -> None:
    """Refuse hard labels.

    Raises:
        ConfigError: there is nothing to store.
    """
    if config.labels == "hard":
        raise ConfigError("labels: 'hard' given, but a hard label is the class itself; there is nothing to store.")


def relabel_job(experiment: Experiment, source: Source, report: Report | None = None) -> RelabelJob:
    """Look up everything, and refuse what does not fit together.

    Args:
        experiment: ``evaluate`` says what is trained with the labels, ``relabel`` their form.
        source: what is labelled.
        report: told how far reading is.

    Raises:
        ConfigError: hard labels, of which there is nothing to store.
        DataError: a source that cannot be used, or that is not finished.
        CheckpointError: no teacher.
        RunError: the run's teacher has changed.
    """
    config = experiment.evaluate
    check_soft(config)
    source.check_ready()
    inputs = evaluation_inputs(experiment, source, report)
    device = str(pick_device(experiment.device))
    path = find_teacher_of(experiment, source, inputs)
    squeezed = experiment.squeeze
    teacher = load_teacher(
        str(path),
        dataset=inputs.dataset,
        network=squeezed.network,
        width=squeezed.width,
        stem=None if squeezed.stem == "auto" else squeezed.stem,
        device=device,
    )
    _check_made_with(source, teacher.card)
    train = inputs.train
    return RelabelJob(
        experiment=experiment,
        source=source,
        train=train,
        teacher=teacher_for(teacher.network, teacher.card.class_names, train.class_names),
        config=resolve(config, card=teacher.card, train=train, dataset_name=inputs.dataset.spec.name),
        settings=experiment.relabel,
        seed=experiment.seed,
        device=device,
    )


def find_teacher_of(experiment: Experiment, source: Source, inputs: Inputs) -> Path:
    """Return the file of the teacher: of a run the one its images were made with.

    Args:
        experiment: names the teacher of what is no run.
        source: what is labelled.
        inputs: looked up for it.

    Raises:
        CheckpointError: no such teacher.
        RunError: the run's teacher has changed.
    """
    made_with = source.run.record().teacher if source.run else None
    path, spec = inputs.teacher_path, inputs.dataset.spec
    if path is None:
        wanted = made_with.ref if made_with else experiment.teacher
        path = find_teacher(wanted, spec.name, spec.image_size, spec.class_names)
    if has_card(path):
        _check_made_with(source, read_card(path))
    return path


def _check_made_with(source: Source, card: TeacherCard) -> None:
    made_with = source.run.record().teacher if source.run else None
    if made_with is not None and card.fingerprint != made_with.fingerprint:
        raise RunError(f"teacher: {made_with.name} is not the one any more that run {source.ref} was made with.")
