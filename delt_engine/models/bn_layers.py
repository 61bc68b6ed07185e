"""The BatchNorm layers of a teacher, whose running statistics recovery matches.

Order matters: the first layer has a weight of its own (DELT's code: 10), so layers come as the forward pass meets
them. In every family of the catalogue that is the order of registration, which is what published code takes.

Source: recover/recover.py of DELT and CDA, ``for module in model.modules()``; DELT Eq. 7-8.
"""

from __future__ import annotations

from torch import nn

from delt_engine.errors import CheckpointError

BatchNorm = nn.BatchNorm2d | nn.SyncBatchNorm


def bn_layers(network: nn.Module) -> tuple[BatchNorm, ...]:
    """Return the BatchNorm layers with running statistics, in forward order.

    Raises:
        CheckpointError: there are none.

    >>> [layer.num_features for layer in bn_layers(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))]
    [4]
    """
    layers = tuple(
        module
        for module in network.modules()
        if isinstance(module, (nn.BatchNorm2d, nn.SyncBatchNorm)) and module.running_mean is not None
    )
    if not layers:
        raise CheckpointError(
            f"network: {type(network).__name__} has no BatchNorm layers, so there are no statistics to match; "
            f"take a teacher such as resnet18."
        )
    return layers
