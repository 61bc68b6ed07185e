"""What no recovery loop can pass: the rate of a teacher's convolutions alone, forward and backward to their input."""

from __future__ import annotations

import copy
import time
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from delt_engine.models.device import memory_format, wait_for

TIMES = 3


def convolution_rate(network: nn.Module, images: Tensor, precision: str) -> float:
    """Return the image-iterations a second that the convolutions of a frozen network reach with nothing between them.

    Each is called with inputs of the size and memory order it has in the network, and its gradient towards
    the input is taken. Calls that are alike in layer and size are timed once and count as often as there are. The best
    of three times is told: the first prepares the kernels.

    Args:
        network: the teacher; not changed.
        images: ``(N, 3, S, S)``.
        precision: ``float32``, ``bfloat16`` or ``float16``, of weights and features.
    """
    dtype = getattr(torch, precision)
    alike: dict[tuple[str, torch.Size], list[nn.Conv2d]] = {}
    for layer, shape in _calls(network, images):
        alike.setdefault((repr(layer), shape), []).append(layer)
    order, total = memory_format(network, images.device), 0.0
    for (_, shape), layers in alike.items():
        features = torch.rand(shape, device=images.device, dtype=dtype)
        leaf = features.to(memory_format=order).requires_grad_()
        layer = _frozen(layers[0], dtype, order)
        with torch.no_grad():
            grad = torch.ones_like(layer(leaf))
        total += len(layers) * min(_seconds(layer, leaf, grad) for _ in range(TIMES))
    return len(images) / total


def _seconds(layer: nn.Module, leaf: Tensor, grad: Tensor) -> float:
    wait_for(leaf.device)
    began = time.perf_counter()
    torch.autograd.grad(layer(leaf), leaf, grad)
    wait_for(leaf.device)
    return time.perf_counter() - began


def _calls(network: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, torch.Size]]:
    """Return every call of a convolution in one forward pass, with the shape of its input."""
    found: list[tuple[nn.Conv2d, torch.Size]] = []
    with ExitStack() as hooks, torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                handle = layer.register_forward_hook(lambda at, given, _out: found.append((at, given[0].shape)))
                hooks.callback(handle.remove)
        network(images)
    return found


def _frozen(layer: nn.Conv2d, dtype: torch.dtype, order: torch.memory_format) -> nn.Module:
    twin = copy.deepcopy(layer).to(dtype=dtype, memory_format=order)
    return twin.requires_grad_(requires_grad=False)
