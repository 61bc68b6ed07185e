"""The batches that a student is shown, in order: drawn, augmented, mixed and labelled.

A batch of small images is too little for a GPU, which is asked for dozens of operations to augment it. So there the
images of several batches are augmented together, which may be of several epochs; each batch is then mixed and labelled
by itself. What is random is drawn an epoch at a time, so an image is the same however many stand beside it, but by
rounding where a batch by itself happens to be of whole images alone and is not resampled.

Shapes: N images in the table, B in a batch, S side in pixels.

Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from delt_engine.config.students import EvaluateConfig
from delt_engine.seeding import generator
from delt_engine.training.augmentation import DeviceImages, mixed, unmixed
from delt_engine.training.distributed import Team
from delt_engine.training.draws import BatchDraws, EpochDraws, ImageDraws, draw_epoch
from delt_engine.training.image_table import ImageTable
from delt_engine.training.relabel import LabelSource
from delt_engine.training.trainer import Batch

AHEAD_PIXELS = 2**21
"""Pixels of the images that a GPU augments together."""


def images_ahead(device: torch.device, image_size: int) -> int:
    """Return how many images are augmented together, in whole batches: on a CPU those of one.

    >>> images_ahead(torch.device("cuda"), 32), images_ahead(torch.device("cpu"), 32)
    (2048, 1)
    """
    return max(1, AHEAD_PIXELS // image_size**2) if device.type == "cuda" else 1


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A batch that is to be shown: its epoch (from 1), its number (from 0), and what is random in it."""

    epoch: int
    number: int
    draws: BatchDraws
    dropout_seed: int


class ShownBatches:
    """The batches of one training.

    Args:
        train: what is learned from.
        images: those of ``train``, on the device.
        config: resolved.
        seed: of the student.
        labels: where soft labels come from; None for hard ones.
        team: the ranks that train together; each takes its rows of every batch.
        layout: order in memory that the network takes.
    """

    def __init__(
        self,
        train: ImageTable,
        images: DeviceImages,
        config: EvaluateConfig,
        seed: int,
        labels: LabelSource | None,
        team: Team,
        layout: torch.memory_format,
    ) -> None:
        assert config.batch_size is not None  # settings are resolved
        self._train, self._images, self._config, self._seed = train, images, config, seed
        self._labels, self._team, self._layout = labels, team, layout
        self._batch_size = config.batch_size
        self._ahead = images_ahead(images.device, train.image_size)

    def from_epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches from an epoch (from 1) on, to those of the last."""
        waiting, images = list[_Drawn](), 0
        for each in range(epoch, self._config.epochs + 1):
            stored = self._labels.draws(each) if self._labels else None
            for drawn in self._drawn(each, stored):
                waiting.append(drawn)
                images += len(drawn.draws)
                if images >= self._ahead:
                    yield from self._shown(waiting)
                    waiting, images = [], 0
            if waiting and (stored is not None or each == self._config.epochs):  # a store is read an epoch at a time
                yield from self._shown(waiting)
                waiting, images = [], 0

    def _drawn(self, epoch: int, draws: EpochDraws | None) -> Iterator[_Drawn]:
        config, train = self._config, self._train
        if draws is None:
            draws = draw_epoch(config, len(train), train.image_size, mosaic=train.mosaic, seed=self._seed, epoch=epoch)
        dropout = generator(self._seed, "student-dropout", epoch)
        seeds = torch.randint(2**62, (len(draws.share),), generator=dropout).tolist()
        for number, batch in enumerate(draws.batches(self._batch_size)):
            yield _Drawn(epoch, number, batch, seeds[number])

    def _shown(self, group: Sequence[_Drawn]) -> Iterator[Batch]:
        """Yield batches whose images are augmented together."""
        config, train, labels = self._config, self._train, self._labels
        image_u8, all_classes = self._images.batch(torch.cat([one.draws.order for one in group]))
        pixels = unmixed(image_u8, ImageDraws.joined([one.draws for one in group]), config, train.mean, train.std)
        sizes = [len(one.draws) for one in group]
        for one, images, classes in zip(group, pixels.split(sizes), all_classes.split(sizes), strict=True):
            draws, count = one.draws, len(classes)
            partner, rows = draws.partner.to(images.device, non_blocking=True), self._team.rows(count)
            shown = mixed(images, config.mix, draws.share, draws.box, partner)
            shown = shown.contiguous(memory_format=self._layout)[rows]
            soft = labels.soft_logits(one.epoch, one.number, shown, rows) if labels else None
            target = (soft, classes[rows], classes[partner][rows], draws.share)
            yield Batch(shown, target, count, one.dropout_seed)
