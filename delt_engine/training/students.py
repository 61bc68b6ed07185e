"""Train one student on a table of images and test it on the real ones: a generator of records that knows no files.

Everything random follows from the seed: weights, order, augmentation and mixing (drawn an epoch at a time) and dropout
(seeded a step at a time), so a student that goes on from its state gets the same bits on the same device. Losses stay
on the device and are read now and then, since each reading waits for it. Several ranks train one student as
:mod:`delt_engine.training.distributed` says: each draws and mixes the whole batch and takes its rows of it.

Shapes: N images in the table, B in a batch, S side in pixels, K classes.

Source: DELT evaluation/validation/main.py (AdamW betas 0.9 and 0.999, weight decay on weights of more than one
dimension, labels of the mixed images by the teacher in eval mode, learning rate stepped an epoch); EDC for the running
average of the weights.
Differs: the student is not run a second time on every batch to log its training accuracy, which published code does
in train mode and so counts each batch twice in the BatchNorm statistics; the first epoch tested is called 1, not 0;
statistics of BatchNorm are averaged with the weights, as timm does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import CheckpointError, ConfigError, DataError
from delt_engine.models.device import memory_format, pick_device
from delt_engine.models.networks import build_network
from delt_engine.seeding import generator, seeded
from delt_engine.training.accuracy import Accuracy, accuracy_of
from delt_engine.training.augmentation import augmented
from delt_engine.training.device_images import DeviceImages
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.draws import EpochDraws, draw_epoch
from delt_engine.training.image_table import ImageTable, check_same_classes
from delt_engine.training.losses import student_loss
from delt_engine.training.rates import learning_rate_at
from delt_engine.training.records import StudentEpoch, StudentResult, StudentStep
from delt_engine.training.relabel import LabelSource, StoredLabels, TeacherLabels
from delt_engine.training.state import TrainingState, WithState, check_facts, fill, flat_tensors

_READS_PER_EPOCH = 20
_FEWEST_STEPS_BETWEEN = 8  # an epoch of few steps is read once, at its end


class TrainedEpoch(WithState, StudentEpoch):
    """An epoch's record with the state after it."""


def evaluate(
    train: ImageTable,
    test: ImageTable,
    teacher: nn.Module | None,
    config: EvaluateConfig,
    *,
    seed: int,
    device: str | torch.device,
    labels: LabelSource | None = None,
    state: TrainingState | None = None,
    number: int = 0,
    team: Team = ALONE,
) -> Iterator[StudentStep | TrainedEpoch | StudentResult]:
    """Train one student and test it.

    Args:
        train: what it learns from.
        test: what it is tested on, with the same classes in the same order.
        teacher: gives labels on the fly, in eval mode; its logits are the classes of ``train``, see
            :func:`delt_engine.training.teacher_classes.teacher_for` for one that knows more. None where it is not
            needed.
        config: resolved; see :func:`delt_engine.training.recipe.resolve`.
        seed: of this student.
        device: name as in the settings, or a torch device.
        labels: where soft labels come from in place of the teacher, such as stored ones.
        state: of a :class:`TrainedEpoch`, to go on from there.
        number: which of ``config.seeds`` students it is, from 0; told in the records.
        team: the ranks that train it together, all from the same state; each of them asks for as many records, and
            all get the same ones.

    Yields:
        StudentStep after every step, TrainedEpoch after every epoch, StudentResult at the end.

    Raises:
        ConfigError: settings that are not resolved, or a loss that is not finite any more.
        DataError: classes of train and test differ, there are fewer than two images, or stored labels are of another
            teacher.
        CheckpointError: no teacher where one is needed, or a state of another training.
        RanksLost: another rank of the team is gone.
    """
    _check(train, test, config)
    source = _label_source(teacher, config, labels)
    training = _Training(train, test, config, seed, pick_device(str(device)), source, team)
    if state is not None:
        training.load(state)
    place = {"student": number, "students": max(config.seeds, number + 1), "epochs": config.epochs}
    for epoch in range(training.done + 1, config.epochs + 1):
        loss = rate = math.nan
        for step, steps, loss, rate in training.epoch(epoch):
            yield StudentStep(**place, epoch=epoch, step=step, steps=steps, loss=loss, learning_rate=rate)
        top = training.tested(epoch)
        yield TrainedEpoch(training.state, **place, **top, epoch=epoch, loss=loss, learning_rate=rate)
    yield training.result()


def is_tested(config: EvaluateConfig, epoch: int) -> bool:
    """Return whether a student is tested after an epoch (from 1): the first, the last, and those the settings say.

    >>> [epoch for epoch in range(1, 31) if is_tested(EvaluateConfig(epochs=30, validate_from=0.5), epoch)]
    [1, 20, 30]
    """
    in_turn = epoch % config.validate_every == 0 and epoch > config.validate_from * config.epochs
    return in_turn or epoch in (1, config.epochs)


def _check(train: ImageTable, test: ImageTable, config: EvaluateConfig) -> None:
    ruled = ("batch_size", "learning_rate", "student_width", "min_crop")
    left = [name for name in ruled if getattr(config, name) is None]
    left += [name for name in ("student", "student_stem", "rand_augment") if getattr(config, name) == "auto"]
    if left:
        raise ConfigError(f"{left[0]}: it is left open, but students are trained with resolved settings.")
    if config.batch_size < 2:
        raise ConfigError(f"batch_size: {config.batch_size} given, but BatchNorm needs at least 2 images in a step.")
    if len(train) < 2:
        raise DataError(f"source: {train.title or 'it'} has {len(train)} images, but a student needs at least 2.")
    check_same_classes(train.class_names, test.class_names, "source", train.title or "the source", test.title or "test")
    if train.class_names != test.class_names:
        raise DataError("source: its classes are in another order than those of the test images.")
    if train.image_size != test.image_size:
        raise DataError(f"source: its images have {train.image_size} px, but the test images {test.image_size} px.")


def _label_source(teacher: nn.Module | None, config: EvaluateConfig, labels: LabelSource | None) -> LabelSource | None:
    if config.labels == "hard":
        return None
    if labels is not None:
        if teacher is not None and isinstance(labels, StoredLabels):
            labels.check_teacher(teacher)
        return labels
    if config.labels == "stored":
        raise ConfigError("labels: 'stored' given, but no label store was opened.")
    if teacher is None:
        raise CheckpointError("teacher: none given, but labels on the fly need one; hard labels do not.")
    return TeacherLabels(teacher)


class _Training:
    """The network, its optimiser, the images and what was measured so far."""

    def __init__(
        self,
        train: ImageTable,
        test: ImageTable,
        config: EvaluateConfig,
        seed: int,
        device: torch.device,
        labels: LabelSource | None,
        team: Team,
    ) -> None:
        self.train, self.config, self.seed, self.device, self.labels = train, config, seed, device, labels
        self.team = team
        self.use_bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")
        network = team.synchronised(_initial_network(train, config, seed), device)
        self.layout = memory_format(network, device)
        self.network = network.to(device, memory_format=self.layout).train()
        self.optimizer = _optimizer(self.network, config)
        self.averaged = _averaged(self.network, config.ema_decay) if config.ema_decay else None
        self.images, self.test = DeviceImages(train, device), DeviceImages(test, device)
        self.done, self.seconds = 0, 0.0
        self.curve: list[tuple[int, float]] = []
        self.ema_curve: list[tuple[int, float]] = []
        self.last: Accuracy | None = None
        self.loss: float | None = None

    def epoch(self, epoch: int) -> Iterator[tuple[int, int, float, float]]:
        """Yield (step, steps, mean loss as it was last read, learning rate) after every step."""
        began = time.perf_counter()
        config = self.config
        draws = self.draws(epoch)
        steps = len(draws.share)
        seeds = torch.randint(2**62, (steps,), generator=generator(self.seed, "student-dropout", epoch)).tolist()
        rate = learning_rate_at(config, epoch - 1, config.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total, every = torch.zeros((), device=self.device), max(_FEWEST_STEPS_BETWEEN, steps // _READS_PER_EPOCH)
        for step in range(1, steps + 1):
            total += self.step(epoch, step - 1, draws, seeds[step - 1])
            if self.loss is None or step % every == 0 or step == steps:
                self.loss = float(self.team.total(total)) / step
                self.must_be_finite(self.loss, epoch, step)
            self.seconds += time.perf_counter() - began
            yield step, steps, self.loss, rate
            began = time.perf_counter()
        self.team.average_statistics(*self.networks.values())
        self.done = epoch

    def draws(self, epoch: int) -> EpochDraws:
        """Return what happens to the images of an epoch: as its labels were recorded with, else drawn."""
        recorded = self.labels.draws(epoch) if self.labels else None
        if recorded is not None:
            return recorded
        train = self.train
        return draw_epoch(self.config, len(train), train.image_size, mosaic=train.mosaic, seed=self.seed, epoch=epoch)

    def step(self, epoch: int, number: int, draws: EpochDraws, dropout_seed: int) -> Tensor:
        """Train on one batch and return its loss, a scalar on the device; of several ranks the loss is their sum."""
        batch = draws.batch(number, self.config.batch_size)
        image_u8, labels = self.images.batch(batch.order)
        partners, count = labels[batch.partner.to(self.device)], len(labels)
        rows = self.team.rows(count)
        mixed = augmented(image_u8, batch, self.config, self.train.mean, self.train.std)
        mixed = mixed.contiguous(memory_format=self.layout)[rows]
        soft = self.labels.soft_logits(epoch, number, mixed, batch, rows) if self.labels else None
        dropout_seed += self.team.number
        with torch.backends.cudnn.flags(enabled=True, deterministic=True):  # left out, enabled would be off
            with seeded(dropout_seed, self.device), torch.autocast(self.device.type, torch.bfloat16, self.use_bfloat16):
                logits = self.network(mixed)
            mean = student_loss(self.config, logits, soft, labels[rows], partners[rows], batch.share)
            loss = self.team.weighted(mean, count)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        self.team.add_gradients(self.network)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return loss.detach()

    def tested(self, epoch: int) -> dict[str, float | None]:
        """Test after an epoch if it is its turn; return the accuracies of its record."""
        if not is_tested(self.config, epoch):
            return {"top1": None, "top5": None, "top1_ema": None}
        began = time.perf_counter()
        self.last = self.accuracy(self.network)
        self.curve.append((epoch, self.last.top1))
        if self.averaged is not None:
            self.ema_curve.append((epoch, self.accuracy(self.averaged.module).top1))
        self.seconds += time.perf_counter() - began
        top1_ema = self.ema_curve[-1][1] if self.averaged is not None else None
        return {"top1": self.last.top1, "top5": self.last.top5, "top1_ema": top1_ema}

    def accuracy(self, network: nn.Module) -> Accuracy:
        """Return a network's accuracy on the test images, as the first rank measures it."""
        return self.team.first(lambda: accuracy_of(network, self.test, use_bfloat16=self.use_bfloat16))

    def result(self) -> StudentResult:
        """Return what the last epoch and the best one reached."""
        last = self.last or self.accuracy(self.network)  # none when it goes on after its last epoch
        best_epoch, best = max(self.curve, key=lambda pair: pair[1])
        return StudentResult(
            seed=self.seed,
            top1_last=self.curve[-1][1],
            top1_best=best,
            best_epoch=best_epoch,
            top1_ema=self.ema_curve[-1][1] if self.ema_curve else None,
            top1_ema_best=max(top1 for _, top1 in self.ema_curve) if self.ema_curve else None,
            top5_last=last.top5,
            per_class=last.per_class,
            curve=tuple(self.curve),
            ema_curve=tuple(self.ema_curve),
            seconds=self.seconds,
        )

    @property
    def networks(self) -> dict[str, nn.Module]:
        """What the state keeps the weights of."""
        return {"network": self.network} | ({"ema": self.averaged} if self.averaged is not None else {})

    def state(self) -> TrainingState:
        """Return a copy of everything that going on needs."""
        facts = {
            "seed": self.seed,
            "epoch": self.done,
            "settings": self.config.model_dump_json(),
            "curve": [list(pair) for pair in self.curve],
            "ema_curve": [list(pair) for pair in self.ema_curve],
            "seconds": self.seconds,
        }
        return TrainingState(flat_tensors(self.networks, self.optimizer), facts)

    def load(self, state: TrainingState) -> None:
        """Go on from a state."""
        check_facts(state, seed=self.seed, settings=self.config)
        fill(state.tensors, self.networks, self.optimizer)
        facts = state.facts
        self.done, self.seconds = int(facts["epoch"]), float(facts["seconds"])
        self.curve = [(int(epoch), float(top1)) for epoch, top1 in facts["curve"]]
        self.ema_curve = [(int(epoch), float(top1)) for epoch, top1 in facts["ema_curve"]]

    def must_be_finite(self, loss: float, epoch: int, step: int) -> None:
        """Stop a training that has gone astray."""
        if not math.isfinite(loss):
            raise ConfigError(
                f"learning_rate: {self.config.learning_rate:g} given, but the student's loss is not finite any more in "
                f"step {step} of epoch {epoch}; it must be lower."
            )


def _initial_network(train: ImageTable, config: EvaluateConfig, seed: int) -> nn.Module:
    """Build the student with weights that follow from the seed; the global generator is left as it was."""
    with seeded(generator(seed, "student-weights").initial_seed(), torch.device("cpu")):
        return build_network(
            config.student,
            len(train.class_names),
            width=config.student_width,
            stem=config.student_stem,
            image_size=train.image_size,
        )


def _optimizer(network: nn.Module, config: EvaluateConfig) -> torch.optim.Optimizer:
    """Return the optimiser; biases and BatchNorm have no weight decay."""
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    # fused: one kernel for all weights; measured on a CPU, a quarter of the time of the plain loop
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.999), fused=True)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9, fused=True)


def _averaged(network: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
