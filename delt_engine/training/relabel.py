"""Soft labels for the images of student training: asked of the teacher in every step, or read from a store.

A store is written by the very steps of the training (draw an epoch, augment a batch, ask the teacher), so training
from labels stored as float32 equals training with labels on the fly bit for bit on a CPU.

Shapes: N images, B in a batch, S side in pixels, K classes.

Source: SRe2L Sec. 3.3 and FKD (labels of the augmented, mixed image); DELT and RDED ask the teacher in every step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.card import columns_of
from delt_engine.models.checkpoints import weights_fingerprint
from delt_engine.models.device import eval_mode, memory_format, pick_device
from delt_engine.training.augmentation import DeviceImages, augmented
from delt_engine.training.draws import EpochDraws, batch_bounds
from delt_engine.training.image_table import ImageTable
from delt_engine.training.soft_labels import AUGMENTATION, LabelStore, StoreFacts, check_fits

ALL_ROWS = slice(None)
"""Every image of a batch."""


class SelectedClasses(nn.Module):
    """A network whose logits are those of some classes of another one.

    Softmax over them is the teacher's distribution given that the image is of one of these classes.
    """

    def __init__(self, network: nn.Module, columns: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        device = next(network.parameters()).device
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64, device=device), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, K)`` of images ``(B, 3, S, S)``."""
        return self.network(images)[:, self.columns]


class MeanLogits(nn.Module):
    """A committee as one network: the mean of its members' logits.

    With ``evens_out`` the logits of each member are first scaled so that their norm over the images asked about
    together is the mean of the members' norms.

    Source: G-VBSM's published relabelling; the scaling stands in that for ImageNet-1K alone.
    """

    def __init__(self, members: Sequence[nn.Module], *, evens_out: bool = False) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.evens_out = evens_out

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, K)`` of images ``(B, 3, S, S)``."""
        logits = torch.stack([member(images) for member in self.members])
        if self.evens_out:
            norms = torch.linalg.vector_norm(logits, dim=(1, 2), keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)
            logits = logits / norms * norms.mean(0, keepdim=True)
        return logits.mean(0)


def teacher_for(network: nn.Module, known: Sequence[str], wanted: Sequence[str]) -> nn.Module:
    """Return a teacher whose logits are those of ``wanted``, found by name.

    Args:
        network: the teacher; returned as it is when it has exactly these classes in this order.
        known: its classes, in order.
        wanted: the classes of the training images, in order; a run of some classes has fewer than its teacher.

    Raises:
        CheckpointError: a class the teacher does not know.
    """
    if tuple(known) == tuple(wanted):
        return network
    return SelectedClasses(network, columns_of(known, wanted)).train(network.training)


class LabelSource(Protocol):
    """Where the soft labels of a batch come from."""

    def draws(self, epoch: int) -> EpochDraws | None:
        """Return what happens to the images of an epoch (from 1) as it was labelled; None where it is to be drawn."""
        ...

    def soft_logits(self, epoch: int, batch_number: int, images: Tensor, rows: slice = ALL_ROWS) -> Tensor:
        """Return logits (n, K) of a batch, or of some images of it.

        Args:
            epoch: from 1.
            batch_number: from 0.
            images: float (n, 3, S, S), augmented, normalised and mixed.
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

    def soft_logits(self, epoch: int, batch_number: int, images: Tensor, rows: slice = ALL_ROWS) -> Tensor:  # noqa: ARG002
        """Return the teacher's logits (n, K) of the images."""
        with eval_mode(self.teacher), torch.no_grad():
            return self.teacher(images.contiguous(memory_format=memory_format(self.teacher, images.device)))


class StoredLabels:
    """Labels of a store, replayed with the draws they were made with, its epochs in turn.

    Args:
        store: complete at least up to the last epoch that is asked for.
    """

    def __init__(self, store: LabelStore) -> None:
        self.store = store
        self._bounds = batch_bounds(store.facts.images, store.facts.batch_size)
        self._epoch = 0
        self._read: tuple[EpochDraws, Tensor] | None = None

    @classmethod
    def open(cls, path: str | Path, train: ImageTable, config: EvaluateConfig, *, seed: int) -> StoredLabels:
        """Open what ``delt relabel`` wrote for a training with resolved settings.

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
        """Refuse a training whose teacher, with the classes of the images, is not the one that made the labels.

        Raises:
            DataError: it has other weights.
        """
        made_with, given = self.store.facts.teacher_fingerprint, weights_fingerprint(teacher.state_dict())
        if made_with != given:
            raise DataError(
                f"label_store: {self.store.path} has labels of teacher {made_with}, but {given} is asked for; name "
                "that one with --relabel-teacher, or run `delt relabel` with this one."
            )

    def draws(self, epoch: int) -> EpochDraws:
        """Return what happens to the images of an epoch."""
        return self._of(epoch)[0]

    def soft_logits(self, epoch: int, batch_number: int, images: Tensor, rows: slice = ALL_ROWS) -> Tensor:
        """Return the stored logits float32 (n, K), on the device of the images."""
        begin, end = self._bounds[batch_number]
        return self._of(epoch)[1][begin:end][rows].float().to(images.device, non_blocking=True)

    def _of(self, epoch: int) -> tuple[EpochDraws, Tensor]:
        label_epoch = (epoch - 1) % self.store.facts.label_epochs + 1
        if self._read is None or self._epoch != label_epoch:
            self._read, self._epoch = self.store.read_epoch(label_epoch), label_epoch
        return self._read


@dataclass(frozen=True)
class RelabelProgress:
    """After a batch: epochs and steps count from 1."""

    epoch: int
    step: int
    steps: int


def store_facts(
    train: ImageTable,
    network: nn.Module,
    config: EvaluateConfig,
    settings: RelabelConfig,
    *,
    seed: int,
    teacher: str = "",
) -> StoreFacts:
    """Return what the store of a training is of.

    ``config`` is resolved, the network's logits are the classes of ``train``, and ``teacher`` is what it is called.

    Raises:
        ConfigError: settings that are not resolved, or more label epochs than epochs.
    """
    if config.batch_size is None or config.rand_augment == "auto":
        raise ConfigError("batch_size: it is left open, but labels are written with resolved settings.")
    if settings.label_epochs > config.epochs:
        raise ConfigError(
            f"label_epochs: {settings.label_epochs} given, but the training has {config.epochs} epochs; it must be at "
            "most as many, or 0 for all."
        )
    facts = _facts(train, config, settings, seed, weights_fingerprint(network.state_dict()))
    return replace(facts, teacher=teacher)


def write_epochs(
    store: LabelStore, epochs: Sequence[int], train: ImageTable, teacher: nn.Module, device: str | torch.device
) -> Iterator[RelabelProgress]:
    """Write some epochs of a store; each depends on nothing but its number, so several processes may share them.

    Args:
        store: what it says of the training decides what is shown to the teacher.
        epochs: from 1.
        train: the images.
        teacher: its logits are the classes of ``train``.
        device: name as in the settings, or a torch device.

    Yields:
        RelabelProgress after every batch.

    Raises:
        DataError: the disk refuses.
    """
    config, source = store.facts.config, TeacherLabels(teacher)
    images = DeviceImages(train, pick_device(str(device)))
    for epoch in epochs:
        draws, logits = store.facts.draw(epoch), []
        steps = len(draws.share)
        for step, batch in enumerate(draws.batches(store.facts.batch_size), start=1):
            image_u8, _ = images.batch(batch.order)
            shown = augmented(image_u8, batch, config, train.mean, train.std)
            logits.append(source.soft_logits(epoch, step - 1, shown).float().cpu())
            if step == steps:
                store.write_epoch(epoch, draws, torch.cat(logits))
            yield RelabelProgress(epoch, step, steps)


def table_fingerprint(train: ImageTable) -> str:
    """Return 16 hexadecimal digits that change with any pixel, label, class name, order or statistic."""
    digest = hashlib.sha256(repr((train.class_names, train.mean, train.std, train.mosaic)).encode())
    for array in (train.image_u8, train.labels):
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _facts(
    train: ImageTable, config: EvaluateConfig, settings: RelabelConfig, seed: int, teacher_fingerprint: str
) -> StoreFacts:
    return StoreFacts(
        images=len(train),
        num_classes=len(train.class_names),
        image_size=train.image_size,
        mosaic=train.mosaic,
        epochs=config.epochs,
        label_epochs=settings.label_epochs or config.epochs,
        seed=seed,
        form=settings.form,
        augmentation={name: getattr(config, name) for name in AUGMENTATION},
        image_fingerprint=table_fingerprint(train),
        teacher_fingerprint=teacher_fingerprint,
        title=train.title,
    )
