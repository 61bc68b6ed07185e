"""Labelled images on the device as 8-bit numbers: small sets as a whole, larger ones batch by batch.

Shapes: N images in a table, B in a batch, S side in pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from delt_engine.training.image_table import ImageTable

_ON_DEVICE_BYTES = {"cuda": 2**34, "mps": 2**31, "cpu": 2**62}
"""What may stay on a device; on a CPU the tensor is the table's own memory."""


class DeviceImages:
    """The images and labels of a table, by index.

    Args:
        table: where they come from.
        device: where batches go.
    """

    def __init__(self, table: ImageTable, device: torch.device) -> None:
        self.table, self.device = table, device
        self.labels = torch.from_numpy(np.array(table.labels)).to(device)
        host = torch.from_numpy(np.array(table.image_u8) if not table.image_u8.flags.writeable else table.image_u8)
        host = host.permute(0, 3, 1, 2)  # (N, S, S, 3) -> (N, 3, S, S), channels-last in memory
        self.images = host.to(device) if host.numel() <= _ON_DEVICE_BYTES.get(device.type, 2**31) else host

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return uint8 images ``(B, 3, S, S)`` and labels ``(B,)`` on the device.

        Args:
            indices: int64 (B,) on the CPU.
        """
        on_device = indices.to(self.device, non_blocking=True)
        images = self.images[on_device if self.images.device == self.labels.device else indices]
        return images.to(self.device, non_blocking=True), self.labels[on_device]
