"""Everything random of an epoch of student training, drawn before the epoch begins, on the CPU.

Order, RandAugment, tiles, crops, flips and mixes each have a generator of their own, keyed by seed and epoch, so that
turning one of them off changes none of the others, and an epoch is the same whatever was trained before it. All of it
is whole numbers but the shares of mixup, so it can be kept and replayed to the bit.

Shapes: N images, B in a batch, n operations an image, m tiles along each side of an image, S side in pixels.

Source: DELT evaluation/validation/main.py and utils.py (order of the augmentations, one box a batch); torchvision's
RandomResizedCrop.get_params (crops); Yun et al., "CutMix" (area of the box, centre anywhere in the image, clipped).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.recovery.augment import CROP_DRAWS, crop_boxes
from delt_engine.seeding import generator
from delt_engine.training.mix import draw_mixes
from delt_engine.training.rand_augment import draw_operations, read_policy


@dataclass(frozen=True, eq=False)
class BatchDraws:
    """What happens to the images of one batch; see :class:`EpochDraws`.

    ``share`` is a float and ``box`` has four integers, for a batch has one mix.
    """

    order: Tensor
    crop: Tensor
    flip: Tensor
    tiles: Tensor | None
    ops: Tensor
    magnitudes: Tensor
    share: float
    box: tuple[int, int, int, int]
    partner: Tensor


@dataclass(frozen=True, eq=False)
class EpochDraws:
    """What happens to each image of an epoch; row i is the i-th image that is shown. All tensors are on the CPU.

    Attributes:
        order: int64 (N,), which image of the table it is.
        crop: int64 (N, 4), top, left, height, width in pixels.
        flip: bool (N,), mirrored.
        tiles: int64 (N, m*m), which tile of the mosaic stands at each place; None where they stay.
        ops: int64 (N, n), RandAugment's operations, 0 for none; see :data:`~.rand_augment.OPERATIONS`.
        magnitudes: float32 (N, n), level of each operation with its sign, in whole thousandths.
        share: float32 (batches,), how much of a mixed image is its own.
        box: int64 (batches, 4), top, left, height, width of CutMix's box; 0 0 0 0 without one.
        partner: int64 (N,), position within the batch of the image it is mixed with.
    """

    order: Tensor
    crop: Tensor
    flip: Tensor
    tiles: Tensor | None
    ops: Tensor
    magnitudes: Tensor
    share: Tensor
    box: Tensor
    partner: Tensor

    def __len__(self) -> int:
        return len(self.order)

    def batch(self, number: int, batch_size: int) -> BatchDraws:
        """Return what happens to the images of one batch, counted from 0."""
        begin, end = batch_bounds(len(self), batch_size)[number]
        return BatchDraws(
            order=self.order[begin:end],
            crop=self.crop[begin:end],
            flip=self.flip[begin:end],
            tiles=None if self.tiles is None else self.tiles[begin:end],
            ops=self.ops[begin:end],
            magnitudes=self.magnitudes[begin:end],
            share=float(self.share[number]),
            box=tuple(self.box[number].tolist()),
            partner=self.partner[begin:end],
        )

    def batches(self, batch_size: int) -> Iterator[BatchDraws]:
        """Yield what happens to the images of every batch, in order."""
        return (self.batch(number, batch_size) for number in range(len(self.share)))


def batch_bounds(count: int, batch_size: int) -> tuple[tuple[int, int], ...]:
    """Return begin and end of every batch of ``count`` images.

    The last batch may be smaller; a last image alone joins the batch before it, since BatchNorm needs two.

    >>> batch_bounds(10, 4), batch_bounds(9, 4), batch_bounds(1, 4)
    (((0, 4), (4, 8), (8, 10)), ((0, 4), (4, 9)), ((0, 1),))
    """
    begins = list(range(0, count, batch_size))
    if len(begins) > 1 and count - begins[-1] == 1:
        begins.pop()
    return tuple(zip(begins, [*begins[1:], count], strict=True))


def draw_epoch(
    config: EvaluateConfig, count: int, image_size: int, *, mosaic: int = 1, seed: int, epoch: int
) -> EpochDraws:
    """Draw an epoch.

    Args:
        config: resolved: batch size and RandAugment are not left open.
        count: N, number of images.
        image_size: S.
        mosaic: m, tiles along each side of an image.
        seed: of the student.
        epoch: from 1.

    Raises:
        ConfigError: batch size or crops are left open, RandAugment's settings cannot be read, or the tiles of a mosaic
            that is to be shuffled are not of one size.
    """
    left = next((name for name in ("batch_size", "min_crop") if getattr(config, name) is None), None)
    if left is not None:
        raise ConfigError(f"{left}: it is left open, but an epoch is drawn with resolved settings.")

    def own(part: str) -> torch.Generator:
        return generator(seed, "student-draws", epoch, part)

    ops, magnitudes = draw_operations(read_policy(config.rand_augment), count, own("rand-augment"))
    sizes = [end - begin for begin, end in batch_bounds(count, config.batch_size)]
    share, box, partner = draw_mixes(config.mix, config.mix_alpha, sizes, image_size, own("mix"))
    chances = torch.rand(count, CROP_DRAWS, generator=own("crop"), dtype=torch.float64)
    return EpochDraws(
        order=torch.randperm(count, generator=own("order")),
        crop=crop_boxes(chances, config.min_crop, 1.0, image_size),
        flip=(torch.rand(count, generator=own("flip")) < 0.5) & config.flip,
        tiles=_tiles(config, count, image_size, mosaic, own("tiles")),
        ops=ops,
        magnitudes=magnitudes,
        share=share,
        box=box,
        partner=partner,
    )


def _tiles(
    config: EvaluateConfig, count: int, image_size: int, mosaic: int, generator: torch.Generator
) -> Tensor | None:
    if not config.shuffle_patches or mosaic == 1:
        return None
    if image_size % mosaic:
        raise ConfigError(
            f"shuffle_patches: {mosaic} x {mosaic} tiles of {image_size} px images are not of one size, so they cannot "
            "be shuffled."
        )
    return torch.rand(count, mosaic**2, generator=generator).argsort(dim=1)
