"""Prune a trained network with a set of images in place of its training data: a generator of records, without files.

Three steps: train on the images with an L1 penalty on the BatchNorm scales, cut the smallest channels of the whole
network, train again on the images without the penalty. The network's own training data is never looked at; the labels
are soft ones of the images' teacher, as students get them, and accuracy is measured on the real test images.

Source: Liu et al., "Network Slimming" (2017), Sec. 3; DELT Sec. 4.6 and Table 7 (slimming of a VGG11-BN at 50 % with a
distilled set), which leave open the dataset, the penalty, the epochs, the learning rate and the labels.
Differs: both trainings go by an evaluation recipe (DELT's: AdamW, soft labels, CutMix), where slimming on real data
takes SGD and hard labels; the penalty is a term of the loss, whose gradient is the published sign of each scale.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from delt_engine.applications.slimming import Size, chain, check_chain, kept_channels, scale_norm, size_of_network, slim
from delt_engine.config.pruning import PruneConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.training.accuracy import accuracy_of
from delt_engine.training.augmentation import DeviceImages
from delt_engine.training.image_table import ImageTable
from delt_engine.training.records import StudentResult, StudentStep
from delt_engine.training.students import evaluate


@dataclass(frozen=True)
class PruneStep:
    """How far a pruning is: ``sparsity`` or ``finetune``, and steps done of that training."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class LayerChannels:
    """Channels of a layer before and after."""

    name: str
    channels: int
    kept: int


@dataclass(frozen=True, eq=False)
class PruneResult:
    """One pruning. Accuracies are top-1 in percent on the real test images.

    Attributes:
        before: of the network as it came.
        sparse: after the sparsity training; ``before`` where there was none.
        pruned: right after the cut.
        finetuned: after the last epoch of the fine-tuning; ``finetuned_best`` is of its best tested epoch.
        size_before, size_after: parameters and multiply-accumulates.
        layers: from the image on.
        kept: which channels stayed, bool (C,) a layer.
        network: the pruned one, in eval mode.
    """

    seed: int
    before: float
    sparse: float
    pruned: float
    finetuned: float
    finetuned_best: float
    size_before: Size
    size_after: Size
    layers: tuple[LayerChannels, ...]
    kept: tuple[Tensor, ...]
    network: nn.Module
    seconds: float

    @property
    def kept_percent(self) -> float:
        """Channels that stayed, in percent of all."""
        return 100.0 * sum(each.kept for each in self.layers) / sum(each.channels for each in self.layers)


def prune(
    network: nn.Module,
    train: ImageTable,
    test: ImageTable,
    teacher: nn.Module | None,
    config: PruneConfig,
    training: EvaluateConfig,
    *,
    seed: int,
    device: torch.device,
) -> Iterator[PruneStep | PruneResult]:
    """Prune a network.

    Args:
        network: trained, with the classes of the images in their order; changed in place.
        train: the images that stand for its training data.
        test: the real test images.
        teacher: gives the labels, see :func:`delt_engine.training.students.evaluate`; None for hard ones.
        config: how much is cut, the penalty and the epochs.
        training: of both trainings, resolved; its epochs do not count.
        seed: of everything that is drawn.
        device: of the network and the work.

    Yields:
        PruneStep after every training step, PruneResult at the end.

    Raises:
        ConfigError: the network is no chain, or a loss is not finite any more.
        DataError: classes of train and test differ.
    """
    size = train.image_size
    check_chain(network, size)
    network = network.to(device).requires_grad_(requires_grad=True)
    pictures = DeviceImages(test, device)
    before = accuracy_of(network, pictures).top1
    size_before, names = size_of_network(network, size), [link.name for link in chain(network)]
    sparse, seconds = before, 0.0
    how: dict[str, Any] = {"seed": seed, "device": device}
    if config.epochs_before:
        settings = training.replace(epochs=config.epochs_before)
        records = evaluate(
            train,
            test,
            teacher,
            settings,
            network=network,
            penalty=lambda one: config.sparsity * scale_norm(one),
            **how,
        )
        trained = yield from _steps("sparsity", records)
        sparse, seconds = trained.top1_last, trained.seconds
    kept = kept_channels(network, config.percent, config.least_percent)
    slimmed = slim(network, kept)
    pruned = accuracy_of(slimmed, pictures).top1
    records = evaluate(train, test, teacher, training.replace(epochs=config.epochs), network=slimmed, **how)
    trained = yield from _steps("finetune", records)
    yield PruneResult(
        seed=seed,
        before=before,
        sparse=sparse,
        pruned=pruned,
        finetuned=trained.top1_last,
        finetuned_best=trained.top1_best,
        size_before=size_before,
        size_after=size_of_network(slimmed, size),
        layers=tuple(LayerChannels(name, len(mask), int(mask.sum())) for name, mask in zip(names, kept, strict=True)),
        kept=kept,
        network=slimmed.eval(),
        seconds=seconds + trained.seconds,
    )


def _steps(phase: str, records: Iterator[Any]) -> Generator[PruneStep, None, StudentResult]:
    """Yield how far a training is, and return its result."""
    for record in records:
        if isinstance(record, StudentResult):
            return record
        if isinstance(record, StudentStep):
            yield PruneStep(phase, (record.epoch - 1) * record.steps + record.step, record.epochs * record.steps)
    raise AssertionError("the last record of a training is its result")
