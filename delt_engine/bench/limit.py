"""What no recovery loop can pass: a teacher's convolutions alone, and the rate of matrix products on the device."""

from __future__ import annotations

import copy
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from delt_engine.bench.harness import seconds_of
from delt_engine.models.device import memory_format
from delt_engine.seeding import generator

TIMES = 3
_PEAK_SIZE = 2048
_GPU_TIMES = 4  # how much larger on a GPU, where a product of that size takes less time than starting it


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the measured rate of multiplying two large matrices, floating-point operations a second."""
    size = _PEAK_SIZE * (_GPU_TIMES if device.type == "cuda" else 1)
    left = torch.rand(size, size, generator=generator(0, "bench", "peak")).to(device, dtype)
    return 2 * size**3 / min(seconds_of(lambda: left @ left, device) for _ in range(4))


def operations(network: nn.Module, image: Tensor) -> int:
    """Return the floating-point operations of convolutions and matrices in one image-iteration, ``image`` (1, ...)."""
    from torch.utils.flop_counter import FlopCounterMode

    leaf = image.clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        network(leaf).sum().backward()
    return counter.get_total_flops()


def convolution_rate(network: nn.Module, images: Tensor, precision: str) -> float:
    """Return the image-iterations a second that the convolutions of a frozen network reach with nothing between them.

    Each is called with inputs of the size and memory order it has in the network, and its gradient towards the input is
    taken, with weights and features in ``precision``. Calls that are alike in layer and size are timed once and count
    as often as there are. The best of three times counts: the first prepares the kernels.
    """
    dtype = getattr(torch, precision)
    alike: dict[tuple[str, torch.Size], list[nn.Conv2d]] = {}
    for layer, shape in _calls(network, images):
        alike.setdefault((repr(layer), shape), []).append(layer)
    order, total = memory_format(network, images.device), 0.0
    for (_, shape), layers in alike.items():
        features = torch.rand(shape, device=images.device, dtype=dtype)
        leaf = features.to(memory_format=order).requires_grad_()
        twin: nn.Module = copy.deepcopy(layers[0]).requires_grad_(requires_grad=False)
        twin = twin.to(dtype=dtype).to(memory_format=order)
        with torch.no_grad():
            grad = torch.ones_like(twin(leaf))
        total += len(layers) * min(_seconds(twin, leaf, grad) for _ in range(TIMES))
    return len(images) / total


def _seconds(layer: nn.Module, leaf: Tensor, grad: Tensor) -> float:
    return seconds_of(lambda: torch.autograd.grad(layer(leaf), leaf, grad), leaf.device)


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
