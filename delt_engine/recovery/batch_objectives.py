"""What batch-to-batch methods minimise: how far one class's synthetic images are from a batch of real ones.

Both are seen by a random ConvNet without a teacher. DM compares the means of their features, DC the gradients that the
two give to the network's weights. ``real`` are ``(R, C, S, S)``, ``synthetic`` ``(n, C, S, S)``, normalised, all of one
class; distances are 0-dim tensors, with the gradient towards ``synthetic``.

Source: DELT Eq. 1-2; DM: Zhao and Bilen 2023, Eq. 4, main_DM.py; DC: Zhao et al. 2021, Eq. 9-10, match_loss and
distance_wb in utils.py of DatasetCondensation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from delt_engine.models.convnet import ConvNet

EPS = 1e-6
"""Added to the product of the norms. Source: distance_wb."""


def feature_distance(network: ConvNet, real: Tensor, synthetic: Tensor) -> Tensor:
    """Return DM's distance: the squared one between the mean features of real and synthetic images."""
    with torch.no_grad():
        wanted = network.features(real).flatten(1).mean(0)
    return (wanted - network.features(synthetic).flatten(1).mean(0)).square().sum()


def gradient_distance(network: ConvNet, real: Tensor, synthetic: Tensor, label: int) -> Tensor:
    """Return DC's distance: between the gradients of the cross-entropy of real and synthetic images, layer by layer.

    ``label`` is the index of their class among the network's outputs.
    """
    wanted = _weight_gradients(network, real, label, keeps_graph=False)
    return layerwise_cosine(_weight_gradients(network, synthetic, label, keeps_graph=True), wanted)


def layerwise_cosine(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """Return the sum over layers and output channels of 1 - cosine; vectors (biases and norms) count for nothing."""
    total = first[0].new_zeros(())
    for one, other in zip(first, second, strict=True):
        if one.dim() > 1:
            one, other = one.flatten(1), other.flatten(1)
            norms = torch.linalg.vector_norm(one, dim=1) * torch.linalg.vector_norm(other, dim=1)
            total = total + (1 - (one * other).sum(1) / (norms + EPS)).sum()
    return total


def _weight_gradients(network: ConvNet, images: Tensor, label: int, *, keeps_graph: bool) -> tuple[Tensor, ...]:
    logits = network(images)
    loss = F.cross_entropy(logits, torch.full((len(images),), label, device=logits.device))
    return torch.autograd.grad(loss, tuple(network.parameters()), create_graph=keeps_graph)
