"""Labelled images on the device as 8-bit numbers: small sets as a whole, larger ones batch by batch.

Shapes: N images in a set, B in a batch, S side in pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from delt_engine.data.dataset import ImageSet
from delt_engine.training.image_table import ImageTable

_ON_DEVICE_BYTES = {"cuda": 2**34, "mps": 2**31, "cpu": 2**62}
"""What of a table may stay on a device; on a CPU the tensor is the table's own memory."""
_READ_BYTES = 2**31
"""Sets of files up to this size are read at once, larger ones batch by batch."""


class DeviceImages:
    """The images and labels of a table or of a dataset's split, by index.

    Args:
        source: where they come from.
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
        host = _channels_first(image_u8 if image_u8.flags.writeable else np.array(image_u8))
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
            images = _channels_first(self.source.pixels(indices.numpy()))
        else:
            images = self._images[on_device if self._images.device == self.labels.device else indices]
        return images.to(self.device, non_blocking=True), self.labels[on_device]


def _channels_first(image_u8: np.ndarray) -> Tensor:
    return torch.from_numpy(image_u8).permute(0, 3, 1, 2)  # (N, S, S, 3) -> (N, 3, S, S), channels-last in memory
