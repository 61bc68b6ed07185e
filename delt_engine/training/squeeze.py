"""Squeeze: train a teacher on the real images.

A generator of records that knows nothing of files: each step yields a SqueezeProgress, each epoch a SqueezeEpoch, and
the last record is a SqueezeResult with the network and its card. Images are cropped and mirrored on the device, every
image by its own draw. All randomness follows from the seed: weights, and an epoch at a time order, crops and dropout,
so a squeeze that goes on from the state after an epoch ends as one that never stopped, on a CPU in the same bits.

Shapes: B images in a batch, S side in pixels, K classes.

Source: SRe2L Sec. 3.1 (squeeze) and its small-dataset code (SGD, cosine); CDA Tables 10a, 12a, 16a and 21a (SGD with
steps or a cosine; Adam, label smoothing, cutout and RandAugment).
Differs: one-cycle by default, since few epochs then suffice (Smith and Topin, "Super-Convergence"); no weight decay on
biases and BatchNorm, as in the field's evaluation code. Several ranks train one teacher as
:mod:`delt_engine.training.distributed` says.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from delt_engine.config import SqueezeConfig
from delt_engine.config.command_line import changed_words, option_words
from delt_engine.data.dataset import Dataset
from delt_engine.data.pixels import normalise
from delt_engine.errors import DataError
from delt_engine.models.card import TeacherCard
from delt_engine.models.checkpoints import weights_fingerprint
from delt_engine.models.device import pick_device
from delt_engine.models.networks import stem_of
from delt_engine.models.teachers import predict
from delt_engine.seeding import generator
from delt_engine.training.augmentation import DeviceImages, cropped_and_mirrored, cut_out, fill_of
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.draws import alternating_flips, draw_cutouts
from delt_engine.training.rand_augment import draw_operations, rand_augmented, read_policy
from delt_engine.training.state import TrainingState, WithState
from delt_engine.training.trainer import Batch, Training, initial_network, teacher_optimizer, teacher_schedule

_TESTED_AT_ONCE = 512  # test images between two records, so that a long test can be stopped as well


@dataclass(frozen=True)
class SqueezeProgress:
    """After a step: where it is (counted from 1), and loss and accuracy (percent) over the epoch so far."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    train_accuracy: float
    learning_rate: float


@dataclass(frozen=True)
class SqueezeEpoch:
    """After an epoch: training loss, and accuracies in percent; no test accuracy without test images."""

    epoch: int
    epochs: int
    loss: float
    train_accuracy: float
    test_accuracy: float | None
    seconds: float


class SqueezedEpoch(WithState, SqueezeEpoch):
    """An epoch's record with the state after it."""


@dataclass(frozen=True, eq=False)
class SqueezeResult:
    """The teacher: a frozen network in eval mode, and its card."""

    network: nn.Module
    card: TeacherCard


SqueezeRecord = SqueezeProgress | SqueezedEpoch | SqueezeResult


def squeeze(
    dataset: Dataset,
    config: SqueezeConfig,
    *,
    seed: int = 0,
    device: str | torch.device = "auto",
    state: TrainingState | None = None,
    team: Team = ALONE,
    after_epoch: Callable[[nn.Module, int], None] | None = None,
) -> Iterator[SqueezeRecord]:
    """Train a teacher.

    Args:
        dataset: its train split is learned in whole squares, of which crops are taken, its test split only measured.
        config: network, optimiser and augmentation.
        seed: same seed, settings and device give the same weights.
        device: name as in the settings, or a torch device.
        state: of a :class:`SqueezedEpoch`, to go on from there.
        team: the ranks that train it together, all from the same state; each of them asks for as many records, and
            all get the same ones.
        after_epoch: called with the network and the epoch after each, in place of the test.

    Yields:
        SqueezeProgress after every step, and its last one again now and then while test images are looked at;
        SqueezedEpoch after every epoch, SqueezeResult at the end.

    Raises:
        DataError: fewer than two classes or two training images.
        ConfigError: unknown network, a width or stem it cannot have, or a loss that is not finite any more.
        CheckpointError: a state of another training.
        RanksLost: another rank of the team is gone.
    """
    classes = len(np.unique(dataset.train.labels))
    if dataset.spec.num_classes < 2:
        raise DataError(f"dataset: {dataset.spec.name} has one class, but a teacher needs at least 2.")
    if len(dataset.train) < 2 or classes < 2:
        raise DataError(
            f"dataset: {dataset.spec.name} has {len(dataset.train)} training images in {classes} classes, "
            f"but a teacher needs at least 2 images of 2 classes."
        )
    training = _Squeeze(dataset, config, seed, pick_device(str(device)), team)
    training.after_epoch = after_epoch
    yield from training.records(state)


class _Squeeze(Training[SqueezeConfig]):
    after_epoch: Callable[[nn.Module, int], None] | None = None

    def __init__(self, dataset: Dataset, config: SqueezeConfig, seed: int, device: torch.device, team: Team) -> None:
        spec = dataset.spec
        network = initial_network(
            generator(seed, "squeeze", "weights"),
            config.network,
            spec.num_classes,
            width=config.width,
            stem=config.stem,
            image_size=spec.image_size,
        )
        super().__init__(config, network, seed, device, team, dataset.fingerprint)
        self.data = dataset
        self.batch_size = min(config.batch_size, len(dataset.train))
        self.steps = len(dataset.train) // self.batch_size  # the rest of a shuffled epoch waits for another one
        self.images = DeviceImages(dataset.train.shown("whole"), device)
        self.optimizer = teacher_optimizer(self.network, config)
        self.schedule = teacher_schedule(self.optimizer, config, config.epochs * self.steps)
        if config.graphs:
            self.replays(spec.image_size)
        self.policy = read_policy(config.rand_augment)
        self.train_accuracy = 0.0
        self.test_accuracy: float | None = None

    def batches(self, epoch: int) -> Iterator[Batch]:
        self.loss = math.nan  # of this epoch
        config, spec, count = self.config, self.data.spec, self.batch_size
        draws, changes = generator(self.seed, "squeeze", epoch), generator(self.seed, "squeeze", epoch, "changes")
        order = torch.randperm(len(self.images), generator=draws)
        rows = self.team.rows(count)
        sides = None
        if config.flip and config.alternate_flips:
            sides = alternating_flips(len(self.images), epoch, generator(self.seed, "squeeze", "sides"))
        for indices in order.split(count)[: self.steps]:
            self.rate = float(self.schedule.get_last_lr()[0])
            image_u8, labels = self.images.batch(indices[rows])
            pixels = self._changed(image_u8, rows, changes).float().div_(255.0)
            flip = config.flip if sides is None else sides[indices[rows]]
            pixels = cropped_and_mirrored(pixels, config.min_crop, flip, draws, rows, count)
            dropout_seed = int(torch.randint(2**62, (), generator=draws))
            yield Batch(normalise(pixels, spec.mean, spec.std), labels, count, dropout_seed)
            self.schedule.step()

    def _changed(self, image_u8: Tensor, rows: slice, draws: torch.Generator) -> Tensor:
        """Return this rank's rows of a batch, painted over and RandAugmented as the settings say."""
        config, count, spec = self.config, self.batch_size, self.data.spec
        if config.cutout:
            image_u8 = cut_out(image_u8, draw_cutouts(config.cutout, count, spec.image_size, draws)[rows])
        if self.policy.num_ops:
            ops, levels = draw_operations(self.policy, count, draws)
            image_u8 = rand_augmented(image_u8, ops[rows], levels[rows], self.policy, fill_of(spec.mean))
        return image_u8

    def measured(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        loss = functional.cross_entropy(logits.float(), target, label_smoothing=self.config.label_smoothing)
        return loss, (logits.detach().argmax(1) == target).sum().float()

    def read(self, sums: Tensor, step: int) -> None:
        self.loss, right = (sums / step).tolist()
        self.train_accuracy = 100.0 * right / self.batch_size

    def step_record(self, epoch: int, step: int) -> SqueezeProgress:
        return SqueezeProgress(epoch, self.config.epochs, step, self.steps, self.loss, self.train_accuracy, self.rate)

    def tested(self, epoch: int) -> Iterator[None]:  # noqa: ARG002
        if self.after_epoch is not None:
            self.after_epoch(self.network, epoch)
            return
        test, spec, right = self.data.test, self.data.spec, 0
        for start in range(0, len(test), _TESTED_AT_ONCE):
            if start:
                yield
            indices = np.arange(start, min(start + _TESTED_AT_ONCE, len(test)))
            if self.team.is_first:
                predicted = predict(self.network, test, indices, spec.mean, spec.std)
                right += int((predicted.numpy() == test.labels[indices]).sum())
        accuracy = 100.0 * right / len(test) if len(test) else None
        self.test_accuracy = self.team.first(lambda: accuracy)

    def epoch_record(self, epoch: int) -> SqueezedEpoch:
        return SqueezedEpoch(
            self.state,
            epoch=epoch,
            epochs=self.config.epochs,
            loss=self.loss,
            train_accuracy=self.train_accuracy,
            test_accuracy=self.test_accuracy,
            seconds=self.seconds,
        )

    def facts(self) -> dict[str, Any]:
        return {"learning_rates": self.schedule.get_last_lr(), "test_accuracy": self.test_accuracy}

    def restore(self, facts: Mapping[str, Any]) -> None:
        self.test_accuracy, rates = facts["test_accuracy"], list(facts["learning_rates"])
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # cosine makes each rate from the one before
        self.schedule.load_state_dict({"last_epoch": self.done * self.steps, "_last_lr": rates})

    def result(self) -> SqueezeResult:
        spec, config = self.data.spec, self.config
        network = self.network.to(memory_format=torch.contiguous_format).eval().requires_grad_(requires_grad=False)
        words = ["delt", "squeeze", *option_words(dataset=spec.name, image_size=spec.image_size)]
        words += option_words(resize=self.data.train.resize) if self.data.train.resize != "whole" else []
        words += [*changed_words(config, SqueezeConfig()), *option_words(seed=self.seed or None)]
        card = TeacherCard(
            name=config.teacher_name(spec.name, spec.image_size),
            network=config.network,
            width=config.width,
            stem=stem_of(network, config.stem, spec.image_size),
            num_classes=spec.num_classes,
            class_names=tuple(spec.class_names),
            image_size=spec.image_size,
            mean=spec.mean,
            std=spec.std,
            dataset=spec.name,
            dataset_fingerprint=self.data.fingerprint,
            accuracy=self.test_accuracy,
            epochs=config.epochs,
            source=shlex.join(words),  # settings at their default are left out
            fingerprint=weights_fingerprint(network.state_dict()),
        )
        return SqueezeResult(network, card)
