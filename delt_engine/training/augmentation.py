"""What a teacher and a student are shown of 8-bit images: every image by its own draw, a batch at once on its device.

Sets of images lie on the device as 8-bit numbers: small ones as a whole, larger ones batch by batch.

A teacher's images are painted over (cutout), go through RandAugment, and are cropped and mirrored. A student's go, as
published, through cutout and RandAugment on the 8-bit picture, tiles of a mosaic shuffled, a random crop resized to the
image's size, flip, normalise, CutMix or mixup. Cutout and RandAugment are off unless the settings ask for them.

Shapes: N images in a set, B in a batch, C channels, S side in pixels, m tiles along a side.

Source: torchvision's RandomResizedCrop (area share, aspect ratio 3/4 to 4/3) and RandomHorizontalFlip; DELT
evaluation/validation/main.py (the order above), RDED validation (tiles shuffled before the crop), ImageNet-21K-P's
data_loader.py (cutout before RandAugment).
Differs: a crop is resized bilinearly. It is never larger than the image, so resizing never shrinks it, and
torchvision's antialiasing, which widens the filter of a resize that shrinks, changes nothing. A side of a teacher's
crop that would leave the image is cut to it in place of ten new tries. Tiles come in any order, where RDED's code
shuffles whole columns and then whole rows of them. The partner of a mixed image is always the image as it was before
mixing: code that writes boxes into the batch while it reads partners from it mixes from halves that are mixed already,
and its labels say nothing of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from delt_engine.config.students import EvaluateConfig
from delt_engine.data.dataset import ImageSet
from delt_engine.errors import ShapeError
from delt_engine.training.draws import BatchDraws, ImageDraws
from delt_engine.training.image_table import ImageTable
from delt_engine.training.rand_augment import rand_augmented, read_policy

_ASPECT = math.log(4 / 3)  # crops are between 3:4 and 4:3, torchvision's default

_ON_DEVICE_BYTES = {"cuda": 2**34, "mps": 2**31, "cpu": 2**62}
"""What of a table may stay on a device; on a CPU the tensor is the table's own memory."""
_READ_BYTES = 2**31
"""Sets of files up to this size are read at once, larger ones batch by batch."""


class DeviceImages:
    """The images and labels of a table or of a dataset's split, by index.

    Args:
        device: where batches go.
    """

    def __init__(self, source: ImageTable | ImageSet, device: torch.device) -> None:
        self.source, self.device = source, device
        self.labels = torch.from_numpy(np.array(source.labels)).to(device)
        self._images: Tensor | None = None
        if isinstance(source, ImageTable):
            image_u8, most = source.image_u8, _ON_DEVICE_BYTES.get(device.type, 2**31)
        elif len(source) * source.image_size**2 * 3 <= _READ_BYTES:
            image_u8, most = source.pixels(np.arange(len(source))), _READ_BYTES
        else:
            return
        host = _image_tensor(image_u8 if image_u8.flags.writeable else np.array(image_u8))
        self._images = host.to(device) if host.numel() <= most else host

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return uint8 images ``(B, 3, S, S)`` and labels ``(B,)`` on the device.

        Args:
            indices: int64 (B,) on the CPU.
        """
        on_device = indices.to(self.device, non_blocking=True)
        if self._images is None:
            assert isinstance(self.source, ImageSet)  # a table is always read
            images = _image_tensor(self.source.pixels(indices.numpy()))
        else:
            images = self._images[on_device if self._images.device == self.labels.device else indices]
        return images.to(self.device, non_blocking=True), self.labels[on_device]


def _image_tensor(image_u8: np.ndarray) -> Tensor:
    return torch.from_numpy(image_u8).permute(0, 3, 1, 2)  # (N, S, S, 3) -> (N, 3, S, S), channels-last in memory


def cropped_and_mirrored(
    pixels: Tensor,
    min_crop: float,
    flip: bool | Tensor,
    draws: torch.Generator,
    rows: slice = slice(None),
    count: int | None = None,
) -> Tensor:
    """Return what a teacher is shown: a crop of every image, resized back, and half of them mirrored.

    Args:
        pixels: float ``(B, C, S, S)``.
        min_crop: smallest area share of a crop; 1 turns crops off.
        flip: mirror half of the images, or those of a bool ``(B,)``.
        draws: generator of the CPU, so that all devices draw the same.
        rows: which images of a larger batch these are; they are shown as they would be among all of them.
        count: how many images that batch has; B when not given.
    """
    size, device = pixels.shape[-1], pixels.device
    chances = torch.rand(5, len(pixels) if count is None else count, generator=draws)
    area, ratio, across, down, side = chances[:, rows]  # each (B,)
    is_mirrored = flip if isinstance(flip, Tensor) else (side < 0.5) & flip
    mirror = torch.where(is_mirrored, -1.0, 1.0)
    if min_crop == 1.0:
        return torch.where(mirror.to(device, non_blocking=True)[:, None, None, None] < 0, pixels.flip(3), pixels)
    area = min_crop + (1.0 - min_crop) * area
    root = torch.exp((2.0 * ratio - 1.0) * _ASPECT / 2.0)
    width, height = (area.sqrt() * root).clamp(max=1.0), (area.sqrt() / root).clamp(max=1.0)
    centres = torch.linspace(-1, 1, size) * (size - 1) / size
    x = (width * mirror)[:, None] * centres + ((1.0 - width) * (2.0 * across - 1.0))[:, None]
    y = height[:, None] * centres + ((1.0 - height) * (2.0 * down - 1.0))[:, None]
    inside = 1.0 - 1.0 / size  # centres of the outer pixels: repeats the border, which MPS cannot do itself
    x, y = (place.clamp_(-inside, inside).to(device, non_blocking=True) for place in (x, y))
    return _resampled(pixels, x, y)


def augmented(
    image_u8: Tensor, draws: BatchDraws, config: EvaluateConfig, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Return what a student is shown of a batch: float32 (B, 3, S, S), normalised and mixed.

    ``config`` says the kind of mix; for the others, and what is raised, see :func:`unmixed`.
    """
    images = unmixed(image_u8, draws, config, mean, std)
    return mixed(images, config.mix, draws.share, draws.box, draws.partner.to(images.device, non_blocking=True))


def unmixed(
    image_u8: Tensor, draws: ImageDraws, config: EvaluateConfig, mean: Sequence[float], std: Sequence[float]
) -> Tensor:
    """Return images before they are mixed: float32 (B, 3, S, S), each by itself, normalised.

    Args:
        image_u8: uint8 (B, 3, S, S) or (B, S, S, 3), in the order of ``draws``.
        draws: what happens to each image; on the CPU.
        config: RandAugment.
        mean: per channel of pixels in [0, 1].
        std: likewise.

    Raises:
        ShapeError: the images are not uint8 of one of these shapes, or not as many as were drawn.
    """
    images = _channels_first(image_u8, len(draws.order))
    device = images.device
    if draws.cutout is not None:
        images = cut_out(images, draws.cutout)
    images = rand_augmented(images, draws.ops, draws.magnitudes, read_policy(config.rand_augment), fill_of(mean))
    if draws.tiles is not None:
        images = tiles_shuffled(images, draws.tiles.to(device, non_blocking=True))
    pixels = cropped(images.float(), draws.crop, draws.flip)
    scale = torch.tensor([1 / (255 * value) for value in std]).to(device, non_blocking=True)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)]).to(device, non_blocking=True)
    return pixels * scale[:, None, None] + shift[:, None, None]


def fill_of(mean: Sequence[float]) -> list[int]:
    """Return the 8-bit colour of what comes from outside an image: the mean, per channel of pixels in [0, 1]."""
    return [min(255, round(255 * value)) for value in mean]


def cut_out(images: Tensor, boxes: Tensor) -> Tensor:
    """Return images with a box of one colour painted over each.

    Args:
        images: uint8 (B, 3, S, S); they are left as they are.
        boxes: int64 (B, 7), as :func:`delt_engine.training.draws.draw_cutouts` returns them.
    """
    boxes = boxes.to(images.device, non_blocking=True)
    place = torch.arange(images.shape[-1], device=images.device)
    rows, columns = ((place >= boxes[:, [at]]) & (place <= boxes[:, [at + 2]]) for at in (0, 1))  # each (B, S)
    is_painted = rows[:, None, :, None] & columns[:, None, None, :]  # (B, 1, S, S)
    return torch.where(is_painted, boxes[:, 4:, None, None].to(images.dtype), images)


def tiles_shuffled(images: Tensor, tiles: Tensor) -> Tensor:
    """Return mosaics with their tiles in another order.

    Args:
        images: (B, C, S, S), S a multiple of m.
        tiles: int64 (B, m*m), which tile, counted row by row, comes to each place.
    """
    count, channels, size, _ = images.shape
    mosaic = round(tiles.shape[1] ** 0.5)
    side = size // mosaic
    grid = images.reshape(count, channels, mosaic, side, mosaic, side)
    parts = grid.permute(0, 2, 4, 1, 3, 5).reshape(count, mosaic**2, channels, side, side)
    parts = parts[torch.arange(count, device=images.device)[:, None], tiles]
    parts = parts.reshape(count, mosaic, mosaic, channels, side, side)
    return parts.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


def cropped(pixels: Tensor, crop: Tensor, flip: Tensor) -> Tensor:
    """Return the crop of each image, resized to the image's size, and mirrored where ``flip`` (B,) says so.

    ``pixels`` is float (B, C, S, S), ``crop`` int64 (B, 4): top, left, height, width.
    """
    size, device = pixels.shape[-1], pixels.device
    flip = flip.to(device, non_blocking=True)
    if bool((crop[:, 2:] == size).all()):
        return torch.where(flip[:, None, None, None], pixels.flip(-1), pixels)
    top, left, height, width = crop.to(device, torch.float32, non_blocking=True).unbind(1)
    x, y = _places(left, width, size), _places(top, height, size)
    return _resampled(pixels, torch.where(flip[:, None], x.flip(1), x), y)


def mixed(images: Tensor, kind: str, share: float, box: Sequence[int], partner: Tensor) -> Tensor:
    """Return a batch with every image mixed with its partner.

    Args:
        images: float (B, 3, S, S); it is left as it is.
        kind: ``cutmix``, ``mixup`` or ``none``.
        share: of the image itself, for mixup.
        box: top, left, height, width, for CutMix.
        partner: int64 (B,), positions within the batch, on the images' device.

    Source: Yun et al., "CutMix" Eq. 1; Zhang et al., "mixup".
    """
    if kind == "none":
        return images
    if kind == "mixup":
        return images * share + images[partner] * (1 - share)
    top, left, height, width = box
    rows, columns = slice(top, top + height), slice(left, left + width)
    out = images.clone()
    out[:, :, rows, columns] = images[:, :, rows, columns][partner]
    return out


def _resampled(pixels: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return images whose columns come from ``x`` and whose rows from ``y``, (B, S), with the image from -1 to 1.

    No place may lie outside the image's outer pixels, so nothing is padded.
    """
    size = pixels.shape[-1]
    grid = torch.stack((x[:, None].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)), dim=3)
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _places(begin: Tensor, length: Tensor, size: int) -> Tensor:
    """Return where the output pixels of one side of a crop come from.

    The outermost pixels of the crop are repeated, as a resize does; its neighbours in the image do not shine in.
    """
    centre = (torch.arange(size, device=begin.device) + 0.5)[None] * (length / size)[:, None] - 0.5  # px of the crop
    centre = torch.minimum(centre.clamp(min=0), (length - 1)[:, None])
    return (2 * (begin[:, None] + centre) + 1) / size - 1


def _channels_first(image_u8: Tensor, count: int) -> Tensor:
    if image_u8.dtype == torch.uint8 and image_u8.ndim == 4 and len(image_u8) == count:
        if image_u8.shape[1] == 3 and image_u8.shape[2] == image_u8.shape[3]:
            return image_u8
        if image_u8.shape[3] == 3 and image_u8.shape[1] == image_u8.shape[2]:
            return image_u8.permute(0, 3, 1, 2)
    raise ShapeError(
        f"image_u8: {str(image_u8.dtype).removeprefix('torch.')} of shape {tuple(image_u8.shape)} given, but uint8 "
        f"({count}, 3, S, S) or ({count}, S, S, 3) is needed."
    )
