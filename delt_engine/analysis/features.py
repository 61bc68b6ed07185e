"""What a teacher makes of images: the features it decides on, and its probabilities.

Source: DELT Fig. 2, left, compares images of a class by the features of a trained ResNet-18. Here they are those of
the run's own teacher: what its last linear layer is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from delt_engine.errors import CheckpointError


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network makes of n images: ``features`` float (n, d), ``probabilities`` float (n, K)."""

    features: Tensor
    probabilities: Tensor


def last_layer(network: nn.Module) -> nn.Linear:
    """Return the linear layer that decides.

    Raises:
        CheckpointError: the network has none.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise CheckpointError("network: it has no linear layer, so there are no features before one.")
    return layers[-1]


@torch.no_grad()
def look(network: nn.Module, images: Tensor, batch_size: int = 256) -> Seen:
    """Return features and probabilities of normalised images (n, 3, S, S), on the CPU.

    Args:
        network: in eval mode, on the device of the images.
        images: normalised float (n, 3, S, S).
        batch_size: images at once.

    Raises:
        CheckpointError: the network has no linear layer.
    """
    given: list[Tensor] = []
    hook = last_layer(network).register_forward_pre_hook(lambda _layer, inputs: given.append(inputs[0].flatten(1)))
    try:
        logits = [network(part) for part in images.split(batch_size)]
    finally:
        hook.remove()
    return Seen(torch.cat(given).float().cpu(), torch.cat(logits).float().softmax(dim=1).cpu())
