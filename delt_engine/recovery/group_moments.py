"""BatchNorm statistics of real images by class, or by class and difficulty: what a class's images are matched with.

Of what BatchNorm layer l is given by the images of a group, mean and biased variance a channel, over images and
positions. In place of the teacher's running statistics, which are those of all classes together, each class's images
of a batch have those of their own class as target: the images of the batch are then G groups, one a class. By
difficulty the training images of a class are split into thirds by the teacher's probability of the class, and a
group's target is that of the thirds which its images start from, each counted by how many do.

D is the number of channels of all layers together.

Source: EDC Sec. 3 (statistics of each class) and PSM, "Precise Statistical Matching by Difficulty".
Differs: EDC mixes both targets half and half; PSM could not be read in code. Moments are those of all training images
as they are, in eval mode; running statistics are those of augmented images, averaged over the last steps of training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from delt_engine.models.bn_layers import bn_layers
from delt_engine.npz import ArrayRecord
from delt_engine.recovery.folding import Targets

THIRDS = 3
"""Parts of equal size into which difficulty splits a class; ours."""


@dataclass(frozen=True, eq=False)
class GroupMoments(ArrayRecord):
    """First and second moments ``(groups, D)`` of what the BatchNorm layers are given by the images of each group.

    ``channels`` are those of each layer, in order; ``images`` are the training images that were shown and ``group``
    their groups, int ``(N,)``. Of a group without images both moments are 0.
    """

    ARRAYS = {"first": np.float64, "second": np.float64, "images": np.int64, "group": np.int64}
    WHAT, NAME, REMEDY = "statistics", "file of BatchNorm statistics", "they are gathered again"

    first: np.ndarray
    second: np.ndarray
    images: np.ndarray
    group: np.ndarray
    channels: tuple[int, ...]

    def targets(self, shares: np.ndarray, device: str | torch.device) -> Targets:
        """Return what G groups of synthetic images are matched with, float32 ``(G, C)`` each.

        Args:
            shares: ``(G, groups)``, how much of each group of real images is in the target; rows sum to 1.
            device: of the network.
        """
        mean = shares @ self.first
        variance = np.maximum(shares @ self.second - mean**2, 0)
        pair = (torch.tensor(each, dtype=torch.float32, device=device) for each in (mean, variance))
        return tuple(zip(*(each.split(self.channels, 1) for each in pair), strict=True))


@torch.no_grad()
def moments_by_group(
    network: nn.Module, batches: Iterable[Tensor], images: np.ndarray, group: np.ndarray, number: int
) -> GroupMoments:
    """Return the moments of what the BatchNorm layers are given, by group of images.

    Args:
        network: in eval mode; each layer is used once.
        batches: normalised images ``(n, 3, S, S)`` on the network's device.
        images: numbers of the training images that the batches hold, in order, int ``(N,)``.
        group: of each, from 0, int ``(N,)``.
        number: of groups.
    """
    layers = bn_layers(network)
    channels = [layer.num_features for layer in layers]
    sums = torch.zeros(2, number, sum(channels), dtype=torch.float64)
    found: dict[nn.Module, Tensor] = {}

    def measure(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        features = inputs[0].float().flatten(2)  # (n, C, positions)
        found[layer] = torch.stack([features.mean(2), features.square().mean(2)])

    hooks = [layer.register_forward_pre_hook(measure) for layer in layers]
    done = 0
    try:
        for shown in batches:
            network(shown)
            own = torch.as_tensor(group[done : done + len(shown)])
            moments = torch.cat([found[layer] for layer in layers], 2)  # (2, n, D)
            sums.index_add_(1, own, moments.double().cpu())
            done += len(shown)
    finally:
        for hook in hooks:
            hook.remove()
    counts = np.bincount(group, minlength=number).clip(1)
    first, second = sums.numpy() / counts[:, None]
    return GroupMoments(first, second, images, group, tuple(channels))


def thirds(labels: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the third of its class in which each image is, from 0 for the hardest: int ``(N,)``.

    Args:
        labels: ``(N,)``.
        probability: of the true class, ``(N,)``; of equal ones the first image counts as the harder.

    >>> thirds(np.array([0, 0, 0, 1, 1, 1]), np.array([0.9, 0.1, 0.5, 0.2, 0.3, 0.4])).tolist()
    [2, 0, 1, 0, 1, 2]
    """
    found = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        order = own[np.argsort(probability[own], kind="stable")]
        found[order] = np.arange(len(own)) * THIRDS // len(own)
    return found
