"""The limit of convolutions: every call is found with its size, and the rate is that of the work."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from delt_engine.bench import limit


class Twice(nn.Module):
    """Uses one convolution twice, and one more with another stride."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Conv2d(3, 5, 3, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.first(self.first(images).relu())).mean((2, 3))


def test_every_call_is_found_with_the_size_of_its_input() -> None:
    network = Twice()
    found = limit._calls(network, torch.rand(2, 3, 9, 9))
    assert [(layer, tuple(shape)) for layer, shape in found] == [
        (network.first, (2, 3, 9, 9)),
        (network.first, (2, 3, 9, 9)),
        (network.last, (2, 3, 9, 9)),
    ]
    assert not network.first._forward_hooks


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_rate_is_images_by_the_sum_of_the_best_times_of_all_calls(monkeypatch, precision) -> None:
    seen, clock = [], iter([100.0, 9.0, 1.0, 2.0, 5.0, 3.0])

    def seconds(layer, leaf, grad) -> float:
        (found,) = torch.autograd.grad(layer(leaf), leaf, grad)
        seen.append((layer.stride, leaf.dtype, found.shape == leaf.shape, layer.weight.requires_grad))
        return next(clock)

    monkeypatch.setattr(limit, "_seconds", seconds)
    network = Twice()
    assert limit.convolution_rate(network, torch.rand(12, 3, 9, 9), precision) == 12 / (1 + 1 + 2)
    dtype = getattr(torch, precision)
    assert seen == 3 * [((1, 1), dtype, True, False)] + 3 * [((2, 2), dtype, True, False)]
    assert network.first.weight.requires_grad
    assert network.first.weight.dtype == torch.float32


def test_calls_of_other_layers_or_sizes_are_timed_by_themselves(monkeypatch) -> None:
    times = []
    monkeypatch.setattr(limit, "_seconds", lambda layer, leaf, grad: times.append(tuple(leaf.shape)) or 1.0)
    alike = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)))
    assert limit.convolution_rate(alike, torch.rand(2, 3, 8, 8), "float32") == 2 / 4
    assert times == 3 * [(2, 3, 8, 8)]
    times.clear()
    other = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3, bias=False))
    limit.convolution_rate(other, torch.rand(2, 3, 8, 8), "float32")
    assert times[::3] == [(2, 3, 8, 8), (2, 3, 6, 6), (2, 3, 4, 4)]
