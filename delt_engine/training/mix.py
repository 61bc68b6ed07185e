"""CutMix and mixup: two images of a batch become one, by one box or one share for the whole batch.

Shapes: B images in a batch, S side in pixels.

Source: Yun et al., "CutMix" Eq. 2 (a box of area 1 - share around a centre drawn uniformly, clipped to the image, the
share then corrected to what is left) and Zhang et al., "mixup"; SRe2L's, RDED's and DELT's evaluation draw one of them
a batch and mix every batch.
Differs: the partner is always the image as it was before mixing. Code that writes boxes into the batch while it reads
partners from it mixes from halves that are mixed already, and its labels say nothing of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def draw_mixes(
    kind: str, alpha: float, batch_sizes: Sequence[int], image_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the mix of every batch of an epoch.

    Args:
        kind: ``cutmix``, ``mixup`` or ``none``.
        alpha: both parameters of the Beta distribution of the share.
        batch_sizes: images in each batch.
        image_size: S.
        generator: on the CPU.

    Returns:
        Share float32 (batches,), box int64 (batches, 4) as top, left, height, width, and for every image the position
        of its partner within the batch, int64 (sum of the sizes,). Without mixing each image is its own partner.
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


def mixed(images: Tensor, kind: str, share: float, box: Sequence[int], partner: Tensor) -> Tensor:
    """Return a batch with every image mixed with its partner.

    Args:
        images: float (B, 3, S, S); it is left as it is.
        kind: ``cutmix``, ``mixup`` or ``none``.
        share: of the image itself, for mixup.
        box: top, left, height, width, for CutMix.
        partner: int64 (B,), positions within the batch, on the images' device.
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
