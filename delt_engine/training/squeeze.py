"""Squeeze: train a teacher on the real images.

A generator of records that knows nothing of files: each step yields a SqueezeProgress, each epoch a SqueezeEpoch, and
the last record is a SqueezeResult with the network and its card. Images are cropped and mirrored on the device, every
image by its own draw. All randomness follows from the seed: weights, and an epoch at a time order, crops and dropout,
so a squeeze that goes on from the state after an epoch ends as one that never stopped, on a CPU in the same bits.

Shapes: B images in a batch, S side in pixels, K classes.

Source: SRe2L Sec. 3.1 (squeeze) and its small-dataset code (SGD, cosine); DELT Table 8a.
Differs: one-cycle by default, since few epochs then suffice (Smith and Topin, "Super-Convergence"); no weight decay on
biases and BatchNorm, as in the field's evaluation code. Several ranks train one teacher as
:mod:`delt_engine.training.distributed` says.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from delt_engine.config import SqueezeConfig
from delt_engine.config.command_line import changed_words, option_words
from delt_engine.data.dataset import Dataset, DatasetSpec
from delt_engine.data.pixels import normalise
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.card import TeacherCard
from delt_engine.models.checkpoints import weights_fingerprint
from delt_engine.models.device import memory_format, pick_device
from delt_engine.models.networks import build_network, stem_of
from delt_engine.models.teachers import predict
from delt_engine.seeding import generator, seeded
from delt_engine.training.crops import TrainingImages, augment
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.state import TrainingState, WithState, check_facts, fill, flat_tensors

_READS_PER_EPOCH = 20  # how often the loss is copied from the device: each copy waits for it
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
) -> Iterator[SqueezeRecord]:
    """Train a teacher.

    Args:
        dataset: its train split is learned, its test split only measured.
        config: network, optimiser and augmentation.
        seed: same seed, settings and device give the same weights.
        device: name as in the settings, or a torch device.
        state: of a :class:`SqueezedEpoch`, to go on from there.
        team: the ranks that train it together, all from the same state; each of them asks for as many records, and
            all get the same ones.

    Yields:
        SqueezeProgress after every step, and its last one again now and then while test images are looked at;
        SqueezedEpoch after every epoch, SqueezeResult at the end.

    Raises:
        DataError: fewer than two classes or two training images.
        ConfigError: unknown network, a width or stem it cannot have, or a loss that is not finite any more.
        CheckpointError: a state of another training.
        RanksLost: another rank of the team is gone.
    """
    _check(dataset)
    run = _Training(dataset, config, seed, pick_device(str(device)), team)
    if state is not None:
        run.load(state)
    for epoch in range(run.done + 1, config.epochs + 1):
        for progress in run.epoch(epoch):
            yield progress
        for _ in run.testing():
            yield progress
        yield SqueezedEpoch(
            run.state,
            epoch=epoch,
            epochs=config.epochs,
            loss=progress.loss,
            train_accuracy=progress.train_accuracy,
            test_accuracy=run.test_accuracy,
            seconds=run.seconds,
        )
    yield run.result()


def _check(dataset: Dataset) -> None:
    classes = len(np.unique(dataset.train.labels))
    if dataset.spec.num_classes < 2:
        raise DataError(f"dataset: {dataset.spec.name} has one class, but a teacher needs at least 2.")
    if len(dataset.train) < 2 or classes < 2:
        raise DataError(
            f"dataset: {dataset.spec.name} has {len(dataset.train)} training images in {classes} classes, "
            f"but a teacher needs at least 2 images of 2 classes."
        )


class _Training:
    """The network, its optimiser and the training images of one squeeze."""

    def __init__(self, dataset: Dataset, config: SqueezeConfig, seed: int, device: torch.device, team: Team) -> None:
        self.dataset, self.config, self.seed, self.device, self.team = dataset, config, seed, device, team
        self.batch_size = min(config.batch_size, len(dataset.train))
        self.steps = len(dataset.train) // self.batch_size  # the rest of a shuffled epoch waits for another one
        network = team.synchronised(_initial_network(dataset, config, seed), device)
        self.layout = memory_format(network, device)
        self.network = network.to(device, memory_format=self.layout)
        self.images = TrainingImages(dataset.train, device)
        self.optimizer = _optimizer(self.network, config)
        self.schedule = _schedule(self.optimizer, config, config.epochs * self.steps)
        wanted = "bfloat16" if config.precision == "auto" and device.type == "cuda" else config.precision
        self.autocast = wanted == "bfloat16"
        self.done, self.test_accuracy = 0, None
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before it went on included."""
        return time.perf_counter() - self._began

    def epoch(self, epoch: int) -> Iterator[SqueezeProgress]:
        """Yield one record a step over all training images in a new order."""
        self.network.train()
        draws = generator(self.seed, "squeeze", epoch)
        order = torch.randperm(len(self.dataset.train), generator=draws)
        sums = torch.zeros(2, device=self.device)  # loss and right answers, kept on the device
        every = max(1, self.steps // _READS_PER_EPOCH)
        loss = accuracy = 0.0
        for step in range(1, self.steps + 1):
            indices = order[(step - 1) * self.batch_size : step * self.batch_size]
            learning_rate = self.schedule.get_last_lr()[0]
            sums += self.step(indices, draws)
            self.schedule.step()
            if step == 1 or step % every == 0 or step == self.steps:
                loss, right = (self.team.total(sums) / step).tolist()
                accuracy = 100.0 * right / self.batch_size
                self._must_be_finite(loss, epoch, step)
            yield SqueezeProgress(epoch, self.config.epochs, step, self.steps, loss, accuracy, learning_rate)
        self.team.average_statistics(self.network)
        self.done = epoch

    def step(self, indices: Tensor, draws: torch.Generator) -> Tensor:
        """Train on one batch; return its mean loss and number of right answers, ``(2,)`` on the device.

        Of several ranks each takes its rows of the batch, and the sum over them is the loss and the number.
        """
        count, rows = len(indices), self.team.rows(len(indices))
        own = indices[rows]
        pixels = augment(self.images.pixels(own), self.config.min_crop, self.config.flip, draws, rows, count)
        images = normalise(pixels, self.dataset.spec.mean, self.dataset.spec.std).contiguous(memory_format=self.layout)
        labels = self.images.labels(own)
        dropout_seed = int(torch.randint(2**62, (), generator=draws)) + self.team.number
        with seeded(dropout_seed, self.device), torch.autocast(self.device.type, torch.bfloat16, self.autocast):
            logits = self.network(images)
        mean = functional.cross_entropy(logits.float(), labels, label_smoothing=self.config.label_smoothing)
        loss = self.team.weighted(mean, count)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.team.add_gradients(self.network)
        self.optimizer.step()
        right = (logits.detach().argmax(1) == labels).sum().float()
        return torch.stack([loss.detach(), self.team.counted(right, count)])

    def testing(self) -> Iterator[None]:
        """Measure the accuracy on the test split in percent, in the first rank; yield between two parts of it."""
        test, right = self.dataset.test, 0
        for start in range(0, len(test), _TESTED_AT_ONCE):
            if start:
                yield
            indices = np.arange(start, min(start + _TESTED_AT_ONCE, len(test)))
            if self.team.is_first:
                predicted = predict(self.network, test, indices, self.dataset.spec.mean, self.dataset.spec.std)
                right += int((predicted.numpy() == test.labels[indices]).sum())
        accuracy = 100.0 * right / len(test) if len(test) else None
        self.test_accuracy = self.team.first(lambda: accuracy)

    def state(self) -> TrainingState:
        """Return a copy of everything that going on needs."""
        facts = {
            "seed": self.seed,
            "epoch": self.done,
            "settings": self.config.model_dump_json(),
            "dataset": self.dataset.fingerprint,
            "learning_rates": self.schedule.get_last_lr(),
            "test_accuracy": self.test_accuracy,
            "seconds": self.seconds,
        }
        return TrainingState(flat_tensors({"network": self.network}, self.optimizer), facts)

    def load(self, state: TrainingState) -> None:
        """Go on from a state."""
        facts = state.facts
        check_facts(state, seed=self.seed, settings=self.config, dataset=self.dataset.fingerprint)
        fill(state.tensors, {"network": self.network}, self.optimizer)
        self.done, self.test_accuracy = int(facts["epoch"]), facts["test_accuracy"]
        rates = list(facts["learning_rates"])
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # cosine makes each rate from the one before
        self.schedule.load_state_dict({"last_epoch": self.done * self.steps, "_last_lr": rates})
        self._began = time.perf_counter() - float(facts["seconds"])

    def result(self) -> SqueezeResult:
        """Return the frozen network with its card."""
        spec, config = self.dataset.spec, self.config
        network = self.network.to(memory_format=torch.contiguous_format).eval().requires_grad_(requires_grad=False)
        width = "" if config.width == 1.0 else f"-w{config.width:g}"
        card = TeacherCard(
            name=f"{spec.name}-{config.network}{width}-{spec.image_size}px",
            network=config.network,
            width=config.width,
            stem=stem_of(network, config.stem, spec.image_size),
            num_classes=spec.num_classes,
            class_names=tuple(spec.class_names),
            image_size=spec.image_size,
            mean=tuple(spec.mean),
            std=tuple(spec.std),
            dataset=spec.name,
            dataset_fingerprint=self.dataset.fingerprint,
            accuracy=self.test_accuracy,
            epochs=config.epochs,
            source=_command(spec, config, self.seed),
            fingerprint=weights_fingerprint(network.state_dict()),
        )
        return SqueezeResult(network, card)

    def _must_be_finite(self, loss: float, epoch: int, step: int) -> None:
        if not math.isfinite(loss):
            raise ConfigError(
                f"learning_rate: {self.config.learning_rate:g} given, but the loss is not finite any more in step "
                f"{step} of epoch {epoch}; it must be lower."
            )


def _command(spec: DatasetSpec, config: SqueezeConfig, seed: int) -> str:
    """Return the command that trains this teacher again; settings at their default are left out."""
    words = ["delt", "squeeze", *option_words(dataset=spec.name, image_size=spec.image_size)]
    return shlex.join([*words, *changed_words(config, SqueezeConfig()), *option_words(seed=seed or None)])


def _initial_network(dataset: Dataset, config: SqueezeConfig, seed: int) -> nn.Module:
    """Build the network with weights that follow from the seed; the global generator is left as it was."""
    spec = dataset.spec
    with seeded(generator(seed, "squeeze", "weights").initial_seed(), torch.device("cpu")):
        return build_network(
            config.network, spec.num_classes, width=config.width, stem=config.stem, image_size=spec.image_size
        )


def _optimizer(network: nn.Module, config: SqueezeConfig) -> torch.optim.Optimizer:
    """Return the optimiser; biases and BatchNorm have no weight decay."""
    weights = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)


def _schedule(
    optimizer: torch.optim.Optimizer, config: SqueezeConfig, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the learning rate's way over all steps."""
    if config.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps, cycle_momentum=False)
