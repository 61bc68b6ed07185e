"""Train one student on a table of images and test it on the real ones: a generator of records that knows no files.

Everything random follows from the seed: weights, order, augmentation and mixing (drawn an epoch at a time) and dropout
(seeded a step at a time), so a student that goes on from its state gets the same bits on the same device. Of several
ranks each mixes the whole batch and takes its rows of it.

Shapes: N images in the table, B in a batch, S side in pixels, K classes. Losses are summed in float32 whatever the
network computed in.

Source: DELT evaluation/validation/main.py (AdamW betas 0.9 and 0.999, weight decay on weights of more than one
dimension, labels of the mixed images by the teacher in eval mode, learning rate stepped an epoch, tests after epochs 1,
11, 21 and so on), RDED validation/main.py (tests after epochs 10, 20 and so on, of the last fifth); EDC for the running
average of the weights. Losses: published evaluation code of SRe2L, RDED and DELT (Kullback-Leibler divergence at a
temperature, averaged over the batch, not multiplied by the temperature's square); Hinton et al., "Distilling the
Knowledge in a Neural Network" Sec. 2 (the square keeps the gradient's size); EDC (squared error of the logits and a
little cross-entropy). Label smoothing: Szegedy et al., "Rethinking the Inception Architecture" Sec. 7; CDA Table 21b
names it without saying how it meets soft labels, so the label at the temperature is mixed with equal shares.
Differs: the student is not run a second time on every batch to log its training accuracy, which published code does
in train mode and so counts each batch twice in the BatchNorm statistics; epochs count from 1, not from 0; the first
epoch is tested under RDED's recipe too;
statistics of BatchNorm are averaged with the weights, as timm does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import CheckpointError, ConfigError, DataError
from delt_engine.models.device import pick_device
from delt_engine.seeding import generator
from delt_engine.training.accuracy import Accuracy, accuracy_of
from delt_engine.training.augmentation import DeviceImages
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.draws import batch_bounds
from delt_engine.training.image_table import ImageTable, check_same_classes
from delt_engine.training.records import StudentEpoch, StudentResult, StudentStep
from delt_engine.training.relabel import LabelSource, StoredLabels, TeacherLabels
from delt_engine.training.shown_batches import ShownBatches
from delt_engine.training.state import TrainingState, WithState
from delt_engine.training.trainer import Batch, Training, initial_network, learning_rate_at, student_optimizer


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
    network: nn.Module | None = None,
    penalty: Callable[[nn.Module], Tensor] | None = None,
    shared: tuple[DeviceImages, DeviceImages] | None = None,
) -> Iterator[StudentStep | TrainedEpoch | StudentResult]:
    """Train one student and test it.

    Args:
        train: what it learns from.
        test: what it is tested on, with the same classes in the same order.
        teacher: gives labels on the fly; its logits are the classes of ``train``, see
            :func:`delt_engine.training.relabel.teacher_for` for one that knows more. None where it is not needed.
        config: resolved; see :func:`delt_engine.training.recipe.resolve`.
        seed: of this student.
        device: name as in the settings, or a torch device.
        labels: where soft labels come from in place of the teacher, such as stored ones.
        state: of a :class:`TrainedEpoch`, to go on from there.
        number: which of ``config.seeds`` students it is, from 0, for the records.
        team: the ranks that train it together, all from the same state; each of them asks for as many records, and
            all get the same ones.
        network: trained in place, where it is not a new one of the configuration.
        penalty: added to every batch's loss, float32 (), of the network.
        shared: the images of ``train`` and ``test`` on the device, where other students are trained beside this one,
            see :mod:`delt_engine.training.side_by_side`.

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
    place = pick_device(str(device))
    images = shared or (DeviceImages(train, place), DeviceImages(test, place))
    student = _Student(train, images, config, seed, place, source, number, team, network)
    student.penalty, student.reads_at_end = penalty, shared is not None and place.type == "cuda"
    if config.graphs and penalty is None:
        student.replays(train.image_size)
    yield from student.records(state)


def is_tested(config: EvaluateConfig, epoch: int) -> bool:
    """Return whether a student is tested after an epoch (from 1): the first, the last, and those the settings say.

    >>> [epoch for epoch in range(1, 31) if is_tested(EvaluateConfig(epochs=30), epoch)]
    [1, 11, 21, 30]
    >>> [epoch for epoch in range(1, 31) if is_tested(EvaluateConfig(epochs=30, validate_from=0.5), epoch)]
    [1, 20, 30]
    """
    first = 0 if config.validate_from else 1
    in_turn = (epoch - first) % config.validate_every == 0 and epoch > config.validate_from * config.epochs
    return in_turn or epoch in (1, config.epochs)


def _check(train: ImageTable, test: ImageTable, config: EvaluateConfig) -> None:
    ruled = ("batch_size", "learning_rate", "student_width", "min_crop")
    left = [name for name in ruled if getattr(config, name) is None]
    left += [name for name in ("student", "student_stem", "rand_augment") if getattr(config, name) == "auto"]
    if left:
        raise ConfigError(f"{left[0]}: it is left open, but students are trained with resolved settings.")
    if config.batch_size is not None and config.batch_size < 2:
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


def initial_student(config: EvaluateConfig, train: ImageTable, seed: int) -> nn.Module:
    """Build the student of a resolved configuration with its initial weights."""
    return initial_network(
        generator(seed, "student-weights"),
        config.student,
        len(train.class_names),
        width=config.student_width or 1.0,
        stem=config.student_stem,
        image_size=train.image_size,
    )


class _Student(Training[EvaluateConfig]):
    """The training of one student, and what was measured so far."""

    fewest_steps_between = 8
    is_deterministic = True

    def __init__(
        self,
        train: ImageTable,
        images: tuple[DeviceImages, DeviceImages],
        config: EvaluateConfig,
        seed: int,
        device: torch.device,
        labels: LabelSource | None,
        number: int,
        team: Team,
        network: nn.Module | None,
    ) -> None:
        super().__init__(config, network or initial_student(config, train, seed), seed, device, team)
        self.penalty: Callable[[nn.Module], Tensor] | None = None
        assert config.batch_size is not None  # settings are resolved
        self.optimizer = student_optimizer(self.network, config)
        if config.ema_decay:
            average = get_ema_multi_avg_fn(config.ema_decay)
            self.averaged = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        self.steps, self.test = len(batch_bounds(len(train), config.batch_size)), images[1]
        self._shown = ShownBatches(train, images[0], config, seed, labels, team, self.layout)
        self._coming: Iterator[Batch] | None = None
        self.place = {"student": number, "students": max(config.seeds, number + 1), "epochs": config.epochs}
        self.curve: list[tuple[int, float]] = []
        self.ema_curve: list[tuple[int, float]] = []
        self.last: Accuracy | None = None

    def batches(self, epoch: int) -> Iterator[Batch]:
        self.rate = learning_rate_at(self.config, epoch - 1, self.config.learning_rate or math.nan)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self._coming = self._coming or self._shown.from_epoch(epoch)
        yield from islice(self._coming, self.steps)
        if epoch == self.config.epochs:
            self._coming = None

    def measured(self, logits: Tensor, target: tuple[Tensor | None, Tensor, Tensor, float]) -> tuple[Tensor]:
        loss = student_loss(self.config, logits, *target)
        return (loss if self.penalty is None else loss + self.penalty(self.network),)

    def read(self, sums: Tensor, step: int) -> None:
        self.loss = float(sums) / step

    def step_record(self, epoch: int, step: int) -> StudentStep:
        place = {"epoch": epoch, "step": step, "steps": self.steps, **self.place}
        return StudentStep(loss=self.loss, learning_rate=self.rate, **place)

    def tested(self, epoch: int) -> Iterator[None]:
        if is_tested(self.config, epoch):
            self.last = self._accuracy(self.network)
            self.curve.append((epoch, self.last.top1))
            if self.averaged is not None:
                self.ema_curve.append((epoch, self._accuracy(self.averaged.module).top1))
        yield from ()

    def epoch_record(self, epoch: int) -> TrainedEpoch:
        tested = self.last if is_tested(self.config, epoch) else None
        return TrainedEpoch(
            self.state,
            **self.place,
            epoch=epoch,
            loss=self.loss,
            learning_rate=self.rate,
            top1=tested and tested.top1,
            top5=tested and tested.top5,
            top1_ema=self.ema_curve[-1][1] if tested and self.ema_curve else None,
        )

    def result(self) -> StudentResult:
        last = self.last or self._accuracy(self.network)  # none when it goes on after its last epoch
        best_epoch, best = max(self.curve, key=lambda pair: pair[1])
        return StudentResult(
            seed=self.seed,
            top1_last=self.curve[-1][1],
            top1_best=best,
            best_epoch=best_epoch,
            top1_ema=self.ema_curve[-1][1] if self.ema_curve else None,
            top1_ema_best=max((top1 for _, top1 in self.ema_curve), default=None),
            top5_last=last.top5,
            per_class=last.per_class,
            curve=tuple(self.curve),
            ema_curve=tuple(self.ema_curve),
            seconds=self.seconds,
        )

    def facts(self) -> dict[str, Any]:
        return {name: [list(pair) for pair in getattr(self, name)] for name in ("curve", "ema_curve")}

    def restore(self, facts: Mapping[str, Any]) -> None:
        self.curve = [(int(epoch), float(top1)) for epoch, top1 in facts["curve"]]
        self.ema_curve = [(int(epoch), float(top1)) for epoch, top1 in facts["ema_curve"]]

    def _accuracy(self, network: nn.Module) -> Accuracy:
        """Measure on the test images, in the first rank."""
        return self.team.first(lambda: accuracy_of(network, self.test, use_bfloat16=self.use_bfloat16))


def student_loss(
    config: EvaluateConfig,
    student_logits: Tensor,
    soft_logits: Tensor | None,
    labels: Tensor,
    partner_labels: Tensor,
    share: float | Tensor,
) -> Tensor:
    """Return the loss of one batch, float32; gradients go to the student alone.

    Args:
        config: which loss, its temperature and weights.
        student_logits: (B, K).
        soft_logits: (B, K) what the teacher says of the same mixed images; None for hard labels.
        labels: int64 (B,), the class of each image.
        partner_labels: int64 (B,), the class of the image it is mixed with.
        share: how much of each mixed image is its own, in [0, 1].

    Raises:
        ConfigError: the loss needs soft labels and there are none.
    """
    student = student_logits.float()
    if config.loss == "ce":
        return mixed_cross_entropy(student, labels, partner_labels, share, config.label_smoothing)
    if soft_logits is None:
        raise ConfigError(f"loss: {config.loss!r} given, but it needs soft labels; hard labels go with 'ce'.")
    soft = soft_logits.detach().float()
    if config.loss == "mse-ce":
        cross_entropy = mixed_cross_entropy(student, labels, partner_labels, share, config.label_smoothing)
        return functional.mse_loss(student, soft) + config.cross_entropy_weight * cross_entropy
    log_student = functional.log_softmax(student / config.temperature, dim=1)
    log_teacher = functional.log_softmax(soft / config.temperature, dim=1)
    if smoothing := config.label_smoothing:
        equal = log_teacher.new_tensor(math.log(smoothing / soft.shape[1]))
        log_teacher = torch.logaddexp(log_teacher + math.log1p(-smoothing), equal)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return divergence * config.temperature**2 if config.loss == "kl-t2" else divergence


def mixed_cross_entropy(
    logits: Tensor, labels: Tensor, partner_labels: Tensor, share: float | Tensor, smoothing: float = 0.0
) -> Tensor:
    """Return the mean cross-entropy with both classes of a mixed image, each by its share.

    ``smoothing`` is the share of the label that is spread over all classes.

    Source: Yun et al., "CutMix" Eq. 1.
    """
    log_probs = functional.log_softmax(logits, dim=1)
    own = log_probs.gather(1, labels[:, None])
    other = log_probs.gather(1, partner_labels[:, None])
    loss = -(torch.as_tensor(share, device=logits.device) * own + (1 - share) * other).mean()
    return (1 - smoothing) * loss - smoothing * log_probs.mean() if smoothing else loss
