"""The limit of convolutions: every call is found with its size, and the rate is that of the work."""

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
