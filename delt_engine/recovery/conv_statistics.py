"""Statistics of what convolutions are given: of channels and of patches, over the training images or over a batch.

Of an input ``(N, C, H, W)``: mean and biased variance of each channel, ``(C,)``, over images and positions; and of each
of the P patches of ``side`` by ``side`` positions that tile it, ``(P,)``, over images, channels and its positions.
Where ``side`` does not divide H or W, the input is first resized bilinearly to the next size that it divides.

Source: G-VBSM Sec. 3.2 and ConvFeatureHook in its published code (patches of 4 for small images, of 16 at 224 px).
Differs: over the training images they are those of all values together, of the images as they are; published code takes
the mean of the variances of random batches, of images cropped at random, which differs from run to run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class ConvStatistics:
    """Of one convolution's input: ``mean`` and ``var`` ``(C,)``, ``patch_mean`` and ``patch_var`` ``(P,)``, float32."""

    mean: Tensor
    var: Tensor
    patch_mean: Tensor
    patch_var: Tensor

    def to(self, device: str | torch.device) -> ConvStatistics:
        """Return them on a device."""
        return ConvStatistics(*(tensor.to(device) for tensor in self.tensors()))

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the four tensors, in order."""
        return self.mean, self.var, self.patch_mean, self.patch_var

    def to_record(self) -> dict[str, list[float]]:
        """Return them as plain numbers."""
        return {part.name: getattr(self, part.name).tolist() for part in fields(self)}

    @classmethod
    def from_record(cls, values: dict[str, list[float]]) -> ConvStatistics:
        """Return what :meth:`to_record` gave; KeyError or TypeError where something is missing."""
        return cls(**{part.name: torch.tensor(values[part.name], dtype=torch.float32) for part in fields(cls)})


def conv_layers(network: nn.Module) -> tuple[nn.Conv2d, ...]:
    """Return the convolutions in the order of registration."""
    return tuple(module for module in network.modules() if isinstance(module, nn.Conv2d))


def conv_statistics(features: Tensor, side: int) -> ConvStatistics:
    """Return the statistics of a convolution's input ``(N, C, H, W)``, with a gradient towards it."""
    features = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
    size = [-(-length // side) * side for length in features.shape[2:]]
    tiled = features
    if size != list(features.shape[2:]):
        tiled = F.interpolate(features, size, mode="bilinear", align_corners=False)
    first, second = _tile_moments(tiled, side)
    patch_mean = first.mean((0, 1)).flatten()
    patch_var = second.mean((0, 1)).flatten() - patch_mean.square()
    if tiled is not features:
        first, second = features, features.square()
    mean = first.mean((0, 2, 3))
    return ConvStatistics(mean, second.mean((0, 2, 3)) - mean.square(), patch_mean, patch_var)


def _tile_moments(features: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return the means of the values and of their squares in each tile of each channel, ``(N, C, rows, columns)``.

    From these few numbers follow both kinds of statistics: on a CPU that is several times as fast as torch.var_mean.
    """
    return F.avg_pool2d(features, side), F.avg_pool2d(features.square(), side)


class _Sum:
    """Sums over batches of first and second moments, in float64."""

    def __init__(self) -> None:
        self.images = 0
        self.first: list[Tensor] = []
        self.second: list[Tensor] = []

    def add(self, images: int, statistics: ConvStatistics) -> None:
        """Add a batch of some images; both moments count by them, for all images are of one size."""
        mean, var, patch_mean, patch_var = (tensor.double() for tensor in statistics.tensors())
        first = [images * mean, images * patch_mean]
        second = [images * (var + mean.square()), images * (patch_var + patch_mean.square())]
        self.images += images
        self.first = [a + b for a, b in zip(self.first, first, strict=True)] if self.first else first
        self.second = [a + b for a, b in zip(self.second, second, strict=True)] if self.second else second

    def result(self) -> ConvStatistics:
        """Return the statistics of all that was added."""
        means = [first / self.images for first in self.first]
        variances = [
            (second / self.images - mean.square()).clamp_min(0) for second, mean in zip(self.second, means, strict=True)
        ]
        parts = means[0], variances[0], means[1], variances[1]
        return ConvStatistics(*(part.float().cpu() for part in parts))


@torch.no_grad()
def gathered(network: nn.Module, batches: Iterable[Tensor], side: int) -> tuple[ConvStatistics, ...]:
    """Return the statistics of each convolution over all images, in the order of :func:`conv_layers`, on the CPU.

    Args:
        network: in eval mode; every convolution is used.
        batches: normalised images ``(n, 3, S, S)`` on the network's device.
        side: of the patches.
    """
    layers = conv_layers(network)
    sums = {layer: _Sum() for layer in layers}

    def add(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        sums[layer].add(len(inputs[0]), conv_statistics(inputs[0], side))

    hooks = [layer.register_forward_pre_hook(add) for layer in layers]
    try:
        for images in batches:
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(sums[layer].result() for layer in layers)
