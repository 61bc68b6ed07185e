"""What no recovery loop can pass: a teacher's convolutions alone, and the most operations a second of the device.

Both take their turns with the loop that is held to them, so that what else the machine does hits all alike, and the
best of several times counts. A loop that is faster all the same was not measured, and the record says so.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from delt_engine.bench.harness import seconds_of
from delt_engine.models.device import memory_format
from delt_engine.seeding import generator

_PEAK_SIZE = 2048
_PEAK_CHANNELS, _PEAK_SIDE, _PEAK_IMAGES = 512, 8, 64
_GPU_TIMES = 4  # how much larger on a GPU, where a product of that size takes less time than starting it


class Peak:
    """The operations a second of one large matrix product or one large 3x3 convolution, whichever is faster.

    Both, as they are computed by libraries of their own: on some processors a convolution passes the product by a
    third. They take their turns with what is held to them; the best time of each counts.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._times = device, _GPU_TIMES if device.type == "cuda" else 1
        size, images = _PEAK_SIZE * self._times, _PEAK_IMAGES * self._times
        self._matrix = self._random((size, size), dtype)
        self._layer = nn.Conv2d(_PEAK_CHANNELS, _PEAK_CHANNELS, 3, padding=1, bias=False)
        self._layer.to(device, dtype).to(memory_format=torch.channels_last)
        maps = self._random((images, _PEAK_CHANNELS, _PEAK_SIDE, _PEAK_SIDE), dtype)
        self._maps = maps.to(memory_format=torch.channels_last)
        self.rate = 0.0
        """Floating-point operations a second."""

    def _random(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.rand(shape, generator=generator(0, "bench", "peak")).to(self._device, dtype)

    def take_turn(self) -> None:
        """Compute each twice; the first time the processor changes over to it."""
        product = 2 * self._matrix.shape[0] ** 3
        maps = 2 * self._maps.numel() * _PEAK_CHANNELS * 3 * 3
        with torch.no_grad():
            for _ in range(2):
                self._time(product, lambda: self._matrix @ self._matrix)
                self._time(maps, lambda: self._layer(self._maps))

    def _time(self, count: int, compute: Callable[[], Tensor]) -> None:
        self.rate = max(self.rate, count / seconds_of(compute, self._device))


def operations(network: nn.Module, image: Tensor) -> int:
    """Return the floating-point operations of convolutions and matrices in one image-iteration, ``image`` (1, ...)."""
    from torch.utils.flop_counter import FlopCounterMode

    leaf = image.clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        network(leaf).sum().backward()
    return counter.get_total_flops()


class Convolutions:
    """The convolutions of a frozen network with nothing between them, in turns with what is held to them.

    Each is called with inputs of the size and memory order it has in the network, and its gradient towards the input is
    taken, with weights and features in ``precision``. Calls that are alike in layer and size are timed once a turn and
    count as often as there are. The best time of each counts.

    Args:
        images: N of them, as the network is given them.
    """

    def __init__(self, network: nn.Module, images: Tensor, precision: str) -> None:
        dtype = getattr(torch, precision)
        self._order, self._images, self._device = memory_format(network, images.device), len(images), images.device
        self._calls: dict[tuple[str, torch.Size], list[nn.Module]] = {}
        for layer, shape in _calls(network, images):
            twins = self._calls.setdefault((repr(layer), shape), [])
            twin: nn.Module = twins[0] if twins else copy.deepcopy(layer).requires_grad_(requires_grad=False)
            twins.append(twin.to(dtype=dtype).to(memory_format=self._order))
        self._best = dict.fromkeys(self._calls, math.inf)
        self._dtype = dtype

    def take_turn(self) -> None:
        """Time each call once."""
        for (name, shape), (twin, *_) in self._calls.items():
            leaf = self._random(shape).requires_grad_()
            with torch.no_grad():
                grad = self._random(twin(leaf).shape)
            spent = seconds_of(partial(_gradient, twin, leaf, grad), self._device)
            self._best[name, shape] = min(self._best[name, shape], spent)

    def _random(self, shape: Sequence[int]) -> Tensor:
        values = torch.empty(shape, device=self._device, dtype=self._dtype, memory_format=self._order)
        return values.uniform_(generator=torch.Generator(self._device).manual_seed(0))

    @property
    def rate(self) -> float:
        """Image-iterations a second."""
        return self._images / sum(len(layers) * self._best[call] for call, layers in self._calls.items())


def _gradient(layer: nn.Module, leaf: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(layer(leaf), leaf, grad)


def above_limits(rate: float, limit_rate: float, peak_percent: float) -> tuple[str, ...]:
    """Return why a measurement failed: sentences on the limits that it passes, which nothing can; usually none.

    >>> above_limits(43.0, 35.0, 90.0)
    ('43.0 image-iterations/s measured, but the convolutions alone gave 35.0.',)
    """
    failed = []
    if rate > limit_rate:
        failed.append(f"{rate:.1f} image-iterations/s measured, but the convolutions alone gave {limit_rate:.1f}.")
    if peak_percent > 100:
        failed.append(f"{peak_percent:.0f} % of the device's rate measured, where 100 % is the most.")
    return tuple(failed)


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
