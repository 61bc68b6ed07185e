"""Everything random of an epoch of student training, drawn before the epoch begins, on the CPU.

Order, RandAugment, tiles, crops, flips and mixes each have a generator of their own, keyed by seed and epoch, so that
turning one of them off changes none of the others, and an epoch is the same whatever was trained before it: stored
labels say which seed they were drawn from, and an epoch is drawn again for its replay.

Shapes: N images, B in a batch, n operations an image, m tiles along each side of an image, S side in pixels.

Source: DELT evaluation/validation/main.py and utils.py (order of the augmentations, one box a batch); torchvision's
RandomResizedCrop.get_params (crops); Yun et al., "CutMix" (area of the box, centre anywhere in the image, clipped);
ImageNet-21K-P's augmentations.py (cutout).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.recovery.augment import CROP_DRAWS, crop_boxes
from delt_engine.seeding import generator
from delt_engine.training.rand_augment import draw_operations, read_policy


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageDraws:
    """What happens to each of some images by itself; see :class:`EpochDraws`."""

    order: Tensor
    crop: Tensor
    flip: Tensor
    tiles: Tensor | None
    ops: Tensor
    magnitudes: Tensor
    cutout: Tensor | None = None

    def __len__(self) -> int:
        return len(self.order)

    @staticmethod
    def joined(parts: Sequence[ImageDraws]) -> ImageDraws:
        """Return the draws of several batches of one training as those of one."""
        columns: dict[str, Any] = {}
        for name in ImageDraws.__dataclass_fields__:
            values = [getattr(part, name) for part in parts]
            columns[name] = None if values[0] is None else torch.cat(values)
        return ImageDraws(**columns)


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchDraws(ImageDraws):
    """What happens to the images of one batch; see :class:`EpochDraws`.

    ``share`` is a float and ``box`` has four integers, for a batch has one mix.
    """

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
        cutout: int64 (N, 7), what is painted over, see :func:`draw_cutouts`; None where nothing is.
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
    cutout: Tensor | None = None

    def __len__(self) -> int:
        return len(self.order)

    def batch(self, number: int, batch_size: int) -> BatchDraws:
        """Return what happens to the images of one batch, counted from 0."""
        begin, end = batch_bounds(len(self), batch_size)[number]
        rows: dict[str, Any] = {
            name: value if value is None else value[begin:end] for name, value in vars(self).items()
        }
        return BatchDraws(**{**rows, "share": float(self.share[number]), "box": tuple(self.box[number].tolist())})

    @property
    def checksum(self) -> str:
        """16 hexadecimal digits that change with any of it."""
        digest = hashlib.blake2b(digest_size=8)
        for name, value in vars(self).items():
            if value is not None:
                digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
                # the last digit of a level differs between processors with and without AVX2
                digest.update((value.sign() if name == "magnitudes" else value).contiguous().numpy().data)
        return digest.hexdigest()

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
        count: N.
        image_size: S.
        mosaic: m.
        seed: of the student.
        epoch: from 1.

    Raises:
        ConfigError: batch size or crops are left open, RandAugment's settings cannot be read, or the tiles of a mosaic
            that is to be shuffled are not of one size.
    """
    if config.batch_size is None or config.min_crop is None:
        left = "batch_size" if config.batch_size is None else "min_crop"
        raise ConfigError(f"{left}: it is left open, but an epoch is drawn with resolved settings.")

    def own(part: str) -> torch.Generator:
        return generator(seed, "student-draws", epoch, part)

    ops, magnitudes = draw_operations(read_policy(config.rand_augment), count, own("rand-augment"))
    sizes = [end - begin for begin, end in batch_bounds(count, config.batch_size)]
    share, box, partner = draw_mixes(config.mix, config.mix_alpha, sizes, image_size, own("mix"))
    chances = torch.rand(count, CROP_DRAWS, generator=own("crop"), dtype=torch.float64)
    order = torch.randperm(count, generator=own("order"))
    flip = (torch.rand(count, generator=own("flip")) < 0.5) & config.flip
    if config.flip and config.alternate_flips:
        flip = alternating_flips(count, epoch, generator(seed, "student-draws", "sides"))[order]
    return EpochDraws(
        order=order,
        crop=crop_boxes(chances, config.min_crop, 1.0, image_size),
        flip=flip,
        tiles=_tiles(config, count, image_size, mosaic, own("tiles")),
        ops=ops,
        magnitudes=magnitudes,
        share=share,
        box=box,
        partner=partner,
        cutout=draw_cutouts(config.cutout, count, image_size, own("cutout")) if config.cutout else None,
    )


def alternating_flips(count: int, epoch: int, generator: torch.Generator) -> Tensor:
    """Return which of ``count`` images are mirrored in an epoch, bool (N,): those that were not in the one before.

    Chance shows an image the same side twice running in half of the epochs, so some see one side far more often.

    Args:
        generator: draws the side that each image begins with; the same one for all epochs.

    Source: Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (airbench).
    """
    return (torch.rand(count, generator=generator) < 0.5) ^ (epoch % 2 == 0)


def draw_cutouts(share: float, count: int, image_size: int, generator: torch.Generator) -> Tensor:
    """Draw a square to paint over in each of ``count`` images, its side a ``share`` of the image's.

    Returns:
        int64 (N, 7): top, left, bottom and right in pixels, the ends included, and red, green and blue. The centre is
        anywhere in the image; what lies outside is cut off.

    Source: DeVries and Taylor, "Improved Regularization of CNNs with Cutout"; CutoutPIL of ImageNet-21K-P's training
    (one random colour an image, both ends painted), which CDA Table 21 names.
    """
    half = int(share * image_size + 0.5) // 2
    centre = torch.randint(image_size, (count, 2), generator=generator)
    colour = torch.randint(256, (count, 3), generator=generator)
    return torch.cat([(centre - half).clamp(min=0), (centre + half).clamp(max=image_size), colour], dim=1)


def draw_mixes(
    kind: str, alpha: float, batch_sizes: Sequence[int], image_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the mix of every batch of an epoch: ``cutmix``, ``mixup`` or ``none``, shares from Beta(alpha, alpha).

    Returns:
        Share float32 (batches,), box int64 (batches, 4) as top, left, height, width, and for every image the position
        of its partner within the batch, int64 (sum of the sizes,). Without mixing each image is its own partner.

    Source: Yun et al., "CutMix" (one box a batch of area 1 - share, its centre anywhere in the image, clipped, and the
    share then corrected to what is left); SRe2L's, RDED's and DELT's evaluation mix every batch.
    """
    count, total = len(batch_sizes), sum(batch_sizes)
    if kind == "none":
        alone = torch.cat([torch.arange(size) for size in batch_sizes]) if count else torch.zeros(0, dtype=torch.int64)
        return torch.ones(count), torch.zeros(count, 4, dtype=torch.int64), alone
    numbers = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
    shares = numbers.beta(alpha, alpha, size=count)
    centres = numbers.integers(image_size, size=(count, 2))
    partner = torch.empty(total, dtype=torch.int64)
    begin = 0
    for size in batch_sizes:
        partner[begin : begin + size] = torch.randperm(size, generator=generator)
        begin += size
    if kind == "mixup":
        return torch.from_numpy(shares).float(), torch.zeros(count, 4, dtype=torch.int64), partner
    boxes = [cut_box(share, centre, image_size) for share, centre in zip(shares, centres.tolist(), strict=True)]
    box = torch.tensor(boxes, dtype=torch.int64).reshape(count, 4)
    left_over = 1 - (box[:, 2] * box[:, 3]).double() / image_size**2
    return left_over.float(), box, partner


def cut_box(share: float, centre: Sequence[int], image_size: int) -> tuple[int, int, int, int]:
    """Return the box that another image is pasted into: top, left, height, width.

    Args:
        share: what is to be left of the image; a box clipped by the border leaves more.
        centre: row and column.
        image_size: S.

    >>> cut_box(0.75, (4, 7), 8)
    (2, 5, 4, 3)
    """
    half = int(image_size * math.sqrt(1 - share)) // 2
    low = [max(place - half, 0) for place in centre]
    high = [min(place + half, image_size) for place in centre]
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


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
