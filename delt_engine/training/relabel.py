"""Soft labels for the images of student training: asked of the teacher in every step, or read from a store.

A store is written by the very steps of the training (draw an epoch, augment a batch, ask the teacher), and its replay
takes the recorded draws, so training from labels stored as float32 equals training with labels on the fly bit for bit
on a CPU.

Shapes: N images, B in a batch, S side in pixels, K classes.

Source: SRe2L Sec. 3.3 and FKD (labels of the augmented, mixed image, kept with its crop and flip); DELT and RDED ask
the teacher in every step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.checkpoints import weights_fingerprint
from delt_engine.models.device import memory_format, pick_device
from delt_engine.training.augmentation import augmented
from delt_engine.training.device_images import DeviceImages
from delt_engine.training.draws import BatchDraws, EpochDraws, batch_bounds, draw_epoch
from delt_engine.training.image_table import ImageTable
from delt_engine.training.label_codec import Basis
from delt_engine.training.soft_labels import AUGMENTATION, LabelStore, StoreFacts, check_fits

_LABELS_FOR_DIRECTIONS = 20_000
"""Labels in which directions are looked for; that many say where 1,000 classes differ."""

ALL_ROWS = slice(None)
"""Every image of a batch."""


class LabelSource(Protocol):
    """Where the soft labels of a batch come from."""

    def draws(self, epoch: int) -> EpochDraws | None:
        """Return what happens to the images of an epoch (from 1) as it was recorded; None where it is to be drawn."""
        ...

    def soft_logits(
        self, epoch: int, batch_number: int, images: Tensor, draws: BatchDraws, rows: slice = ALL_ROWS
    ) -> Tensor:
        """Return logits (n, K) of a batch, or of some images of it.

        Args:
            epoch: from 1.
            batch_number: from 0.
            images: float (n, 3, S, S), augmented, normalised and mixed.
            draws: what was done to the whole batch.
            rows: which n images of the batch these are.
        """
        ...


class TeacherLabels:
    """Labels on the fly: the teacher's logits of the images as they are shown.

    Args:
        teacher: put into eval mode for the question and back into its own afterwards; no gradient reaches it.
    """

    def __init__(self, teacher: nn.Module) -> None:
        self.teacher = teacher

    def draws(self, epoch: int) -> EpochDraws | None:  # noqa: ARG002
        """Return None: every epoch is drawn."""
        return None

    def soft_logits(
        self,
        epoch: int,  # noqa: ARG002
        batch_number: int,  # noqa: ARG002
        images: Tensor,
        draws: BatchDraws,  # noqa: ARG002
        rows: slice = ALL_ROWS,  # noqa: ARG002
    ) -> Tensor:
        """Return the teacher's logits (n, K) of the images."""
        was_training = self.teacher.training
        self.teacher.eval()
        try:
            with torch.no_grad():
                return self.teacher(images.contiguous(memory_format=memory_format(self.teacher, images.device)))
        finally:
            self.teacher.train(was_training)


class StoredLabels:
    """Labels of a store, replayed with the draws they were made with.

    Args:
        store: complete at least up to the last epoch that is asked for.
    """

    def __init__(self, store: LabelStore) -> None:
        self.store = store
        self._codec, self._epoch = store.codec(), 0
        self._bounds = batch_bounds(store.facts.images, store.facts.config.batch_size)
        self._read: tuple[EpochDraws, dict[str, np.ndarray]] | None = None

    @classmethod
    def open(cls, path: str | Path, train: ImageTable, config: EvaluateConfig, *, seed: int) -> StoredLabels:
        """Open stored labels for a training.

        Args:
            path: what :func:`relabel` wrote.
            train: the images.
            config: resolved.
            seed: of the training.

        Raises:
            DataError: no store, not all epochs in it, or labels of something else.
        """
        store = LabelStore.open(path)
        check_fits(store.facts, _facts(train, config, RelabelConfig(), seed, ""), store.path)
        missing = next((epoch for epoch in store.missing if epoch <= config.epochs), None)
        if missing:
            raise DataError(
                f"label_store: epoch {missing} is not in {store.path}; run the same `delt relabel` again to go on."
            )
        return cls(store)

    def check_teacher(self, teacher: nn.Module) -> None:
        """Refuse a training whose teacher is not the one that made the labels.

        Args:
            teacher: its logits are the classes of the images.

        Raises:
            DataError: it has other weights.
        """
        made_with, given = self.store.facts.teacher_fingerprint, weights_fingerprint(teacher.state_dict())
        if made_with != given:
            raise DataError(
                f"label_store: {self.store.path} has labels of teacher {made_with}, but {given} is asked for; name "
                "that one with --teacher, or run `delt relabel` with this one."
            )

    def draws(self, epoch: int) -> EpochDraws:
        """Return the recorded draws of an epoch."""
        return self._of(epoch)[0]

    def soft_logits(
        self,
        epoch: int,
        batch_number: int,
        images: Tensor,
        draws: BatchDraws,  # noqa: ARG002
        rows: slice = ALL_ROWS,
    ) -> Tensor:
        """Return the stored logits float32 (n, K), on the device of the images."""
        begin, end = self._bounds[batch_number]
        stored = {name: array[begin:end][rows] for name, array in self._of(epoch)[1].items()}
        return self._codec.decode(stored).to(images.device, non_blocking=True)

    def _of(self, epoch: int) -> tuple[EpochDraws, dict[str, np.ndarray]]:
        if self._read is None or self._epoch != epoch:
            self._read, self._epoch = self.store.read_epoch(epoch), epoch
        return self._read


@dataclass(frozen=True)
class RelabelProgress:
    """After a batch: epochs and steps count from 1, and the bytes are those of epochs on the disk."""

    epoch: int
    epochs: int
    step: int
    steps: int
    bytes_written: int
    bytes_total: int


def relabel(
    train: ImageTable,
    teacher: nn.Module,
    config: EvaluateConfig,
    settings: RelabelConfig,
    *,
    seed: int,
    device: str | torch.device,
    out: str | Path,
) -> Iterator[RelabelProgress | LabelStore]:
    """Write the labels of a whole training; epochs that are there already are kept.

    Args:
        train: the images.
        teacher: its logits are the classes of ``train``.
        config: resolved; its epochs, batch size, augmentation and temperature.
        settings: form of a label.
        seed: of the training.
        device: name as in the settings, or a torch device.
        out: the folder.

    Yields:
        RelabelProgress after every batch, and the store at the end.

    Raises:
        ConfigError: settings that are not resolved.
        DataError: the folder holds something else, the disk refuses, or there is no room.
    """
    store = begin_store(train, teacher, config, settings, seed=seed, device=device, out=out)
    yield from write_epochs(store, store.missing, train, teacher, config, device=device)
    yield store


def begin_store(
    train: ImageTable,
    teacher: nn.Module,
    config: EvaluateConfig,
    settings: RelabelConfig,
    *,
    seed: int,
    device: str | torch.device,
    out: str | Path,
) -> LabelStore:
    """Make the store of a training, or open the one that was begun, and find the directions that labels need.

    The arguments, and what is raised, are those of :func:`relabel`.
    """
    store = LabelStore.create(out, store_facts(train, teacher, config, settings, seed=seed))
    if settings.directions and not store.basis_path.is_file():
        _find_directions(store, teacher, DeviceImages(train, pick_device(str(device))), config)
    return store


def store_facts(
    train: ImageTable, teacher: nn.Module, config: EvaluateConfig, settings: RelabelConfig, *, seed: int
) -> StoreFacts:
    """Return what the store of a training is of; the arguments are those of :func:`relabel`.

    Raises:
        ConfigError: settings that are not resolved.
    """
    if config.batch_size is None or config.rand_augment == "auto":
        raise ConfigError("batch_size: it is left open, but labels are written with resolved settings.")
    return _facts(train, config, settings, seed, weights_fingerprint(teacher.state_dict()))


def write_epochs(
    store: LabelStore,
    epochs: Sequence[int],
    train: ImageTable,
    teacher: nn.Module,
    config: EvaluateConfig,
    *,
    device: str | torch.device,
) -> Iterator[RelabelProgress]:
    """Write some epochs of a store; each depends on nothing but its number, so several processes may share them.

    Args:
        store: of :func:`begin_store`.
        epochs: from 1.
        train: the images.
        teacher: its logits are the classes of ``train``.
        config: resolved.
        device: name as in the settings, or a torch device.

    Yields:
        RelabelProgress after every batch.

    Raises:
        DataError: the disk refuses.
    """
    facts, images, codec = store.facts, DeviceImages(train, pick_device(str(device))), store.codec()
    total, written = facts.size.total, facts.epochs - len(store.missing)
    for epoch in epochs:
        draws = draw_epoch(config, len(train), train.image_size, mosaic=train.mosaic, seed=facts.seed, epoch=epoch)
        parts, steps = [], len(draws.share)
        for step, labels in enumerate(_asked(teacher, images, draws, config, epoch), start=1):
            parts.append(codec.encode(labels))
            if step < steps:
                yield _progress(epoch, step, steps, written, config.epochs, total)
        store.write_epoch(epoch, draws, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        written += 1
        yield _progress(epoch, steps, steps, written, config.epochs, total)


def table_fingerprint(train: ImageTable) -> str:
    """Return 16 hexadecimal digits that change with any pixel, label, class name, order or statistic."""
    digest = hashlib.sha256(repr((train.class_names, train.mean, train.std, train.mosaic)).encode())
    for array in (train.image_u8, train.labels):
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]


def _find_directions(store: LabelStore, teacher: nn.Module, images: DeviceImages, config: EvaluateConfig) -> None:
    """Find directions on the first labels of the first epoch, and keep them."""
    facts = store.facts
    first = draw_epoch(config, facts.images, facts.image_size, mosaic=facts.mosaic, seed=facts.seed, epoch=1)
    labels, count = [], 0
    for each in _asked(teacher, images, first, config, 1):
        labels.append(each.float().cpu())
        count += len(each)
        if count >= _LABELS_FOR_DIRECTIONS:
            break
    store.write_basis(Basis.of(torch.cat(labels), facts.codec.directions))


def _asked(
    teacher: nn.Module, images: DeviceImages, draws: EpochDraws, config: EvaluateConfig, epoch: int
) -> Iterator[Tensor]:
    """Yield the teacher's logits of every batch, computed as the training computes them."""
    source, table = TeacherLabels(teacher), images.table
    for number, batch in enumerate(draws.batches(config.batch_size)):
        image_u8, _ = images.batch(batch.order)
        mixed = augmented(image_u8, batch, config, table.mean, table.std)
        yield source.soft_logits(epoch, number, mixed, batch)


def _progress(epoch: int, step: int, steps: int, written: int, epochs: int, total: int) -> RelabelProgress:
    return RelabelProgress(epoch, epochs, step, steps, total * written // epochs, total)


def _facts(
    train: ImageTable, config: EvaluateConfig, settings: RelabelConfig, seed: int, teacher_fingerprint: str
) -> StoreFacts:
    augmentation: dict[str, Any] = {name: getattr(config, name) for name in AUGMENTATION}
    return StoreFacts(
        images=len(train),
        num_classes=len(train.class_names),
        image_size=train.image_size,
        mosaic=train.mosaic,
        epochs=config.epochs,
        seed=seed,
        form=settings.form,
        top_k=settings.top_k,
        directions=settings.directions,
        temperature=config.temperature,
        augmentation=augmentation,
        image_fingerprint=table_fingerprint(train),
        teacher_fingerprint=teacher_fingerprint,
        title=train.title,
    )
