"""What no recovery loop can pass: the rate of a teacher's convolutions alone, forward and backward to their input."""

from __future__ import annotations

import copy
import time
from contextlib import ExitStack

import torch
from torch import Tensor, nn

PASSES = 2


def convolution_rate(network: nn.Module, images: Tensor, precision: str) -> float:
    """Return the image-iterations a second that the convolutions of a frozen network reach with nothing between them.

    Each is called with inputs of the size it has in the network, in the channels-last order, and its gradient towards
    the input is taken; a layer that is used twice counts twice. The better of two passes is told: the
    first prepares the kernels.

    Args:
        network: the teacher; not changed.
        images: ``(N, 3, S, S)``.
        precision: ``float32``, ``bfloat16`` or ``float16``, of weights and features.
    """
    dtype, device = getattr(torch, precision), images.device
    calls = [(_frozen(layer, dtype), shape) for layer, shape in _calls(network, images)]
    times = []
    for _ in range(PASSES):
        total = 0.0
        for layer, shape in calls:
            features = torch.rand(shape, device=device, dtype=dtype)
            leaf = features.to(memory_format=torch.channels_last).requires_grad_()
            with torch.no_grad():
                grad = torch.ones_like(layer(leaf))
            total += _seconds(layer, leaf, grad)
        times.append(total)
    return len(images) / min(times)


def _seconds(layer: nn.Module, leaf: Tensor, grad: Tensor) -> float:
    wait(leaf.device)
    began = time.perf_counter()
    layer(leaf).backward(grad)
    wait(leaf.device)
    return time.perf_counter() - began


def wait(device: torch.device) -> None:
    """Wait until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


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


def _frozen(layer: nn.Conv2d, dtype: torch.dtype) -> nn.Module:
    twin = copy.deepcopy(layer).to(dtype=dtype, memory_format=torch.channels_last)
    return twin.requires_grad_(requires_grad=False)
