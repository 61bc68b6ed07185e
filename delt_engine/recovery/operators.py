"""Operators of the fast path: batch statistics in float32, and folded BatchNorm with its ReLU as one operator.

A frozen BatchNorm is ``y = a x + b`` per channel, so it can be part of the convolution before it, which then gives y
at once. What the loss needs of x follows from y: ``mu_x - RM = (mu_y - beta) / a`` and ``var_x = var_y / a^2``. The
gradient towards y is affine per channel, as that towards x is, and with the ReLU's it takes three passes over the
features where three separate layers take five.

G groups of equal size may stand one after another in a batch; each has statistics of its own. C channels.

Source: DELT Eq. 8; Jacob et al., "Quantization and Training of Neural Networks" Sec. 3.2 folds BatchNorm for
inference. The statistics of the folded output and the gradient are derived here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_SMALLEST_NORM = 1e-12  # a norm that is zero has gradient zero, as torch.linalg.vector_norm has


def channel_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance ``(C,)`` of ``(N, C, ...)``, over images and positions, in float32 at least."""
    mean, variance = grouped_statistics(features, 1)
    return mean[0], variance[0]


def grouped_statistics(features: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return mean and biased variance ``(G, C)`` of ``(G * n, C, ...)``, group after group, in float32 at least.

    On a CPU BatchNorm's own kernel is used: 10 to 30 times as fast as ``torch.var_mean`` on channels-last features,
    relative error about 2e-10 times the values a channel.
    """
    if features.device.type != "cpu":
        return plain_statistics(features, groups)
    if groups == 1:
        mean, variance = _one_group(features)
        return mean[None], variance[None]
    means, variances = zip(*map(_one_group, features.chunk(groups)), strict=True)
    return torch.stack(means), torch.stack(variances)


def _one_group(features: Tensor) -> tuple[Tensor, Tensor]:
    if features.dtype not in (torch.bfloat16, torch.float16):
        return torch.batch_norm_update_stats(features, None, None, 0.0)
    # Given buffers in float32 the kernel gives float32; without them it rounds the statistics to the features' type.
    mean, variance = features.new_zeros((2, features.shape[1]), dtype=torch.float32)
    return torch.batch_norm_update_stats(features, mean, variance, 0.0)


def plain_statistics(features: Tensor, groups: int) -> tuple[Tensor, Tensor]:
    """Return what :func:`grouped_statistics` does, by torch.var_mean: the form for GPUs."""
    split = _by_group(features, groups)
    split = split.float() if features.dtype in (torch.bfloat16, torch.float16) else split
    others = [dim for dim in range(split.dim()) if dim not in (0, 2)]
    variance, mean = torch.var_mean(split, others, correction=0)
    return mean, variance


class StatisticsDistance(torch.autograd.Function):
    """``||mu - RM||_2 + ||var - RV||_2`` of each group, ``(G,)``, with its gradient towards the features."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, running_mean: Tensor, running_var: Tensor, groups: int) -> Tensor:
        """Measure."""
        mean, variance = grouped_statistics(features, groups)
        mean_gap, var_gap = mean - running_mean, variance - running_var
        mean_norm, var_norm = _norms(mean_gap, var_gap)
        ctx.save_for_backward(features, mean, mean_gap, var_gap, mean_norm, var_norm)
        return mean_norm + var_norm

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """Return the gradient towards the features."""
        features, mean, *gaps = ctx.saved_tensors
        offset, slope = _affine(grad, features, mean, *gaps)
        split = _by_group(features, len(grad))
        result = torch.addcmul(_per_channel(offset, split), split, _per_channel(slope, split))
        return result.flatten(0, 1), None, None, None


class FoldedStatistics(torch.autograd.Function):
    """Distance of the statistics of x, given ``y = a x + b``, and y or its ReLU.

    Arguments of ``apply``: ``features`` y ``(G * n, C, ...)``; ``shift`` beta ``(C,)``, the mean of y where x has the
    running one; ``inverse`` 1 / a ``(C,)``; ``target`` a^2 RV ``(C,)``; ``groups`` G; ``rectifies`` whether the ReLU
    comes with it. Gives the features that go on, and the distances ``(G,)``.
    """

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, shift: Tensor, inverse: Tensor, target: Tensor, groups: int, rectifies: bool
    ) -> tuple[Tensor, Tensor]:
        """Measure and pass on."""
        mean, variance = grouped_statistics(features, groups)
        mean_gap, var_gap = (mean - shift) * inverse, (variance - target) * inverse.square()
        mean_norm, var_norm = _norms(mean_gap, var_gap)
        ctx.save_for_backward(features, mean, mean_gap * inverse, var_gap * inverse.square(), mean_norm, var_norm)
        ctx.rectifies = rectifies
        return (features.relu() if rectifies else features), mean_norm + var_norm

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_features: Tensor, grad: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        """Return the gradient towards y: what comes from behind, masked by the ReLU, plus an affine term."""
        features, mean, *gaps = ctx.saved_tensors
        offset, slope = _affine(grad, features, mean, *gaps)
        split = _by_group(features, len(grad))
        offset, slope = _per_channel(offset, split), _per_channel(slope, split)
        if ctx.rectifies:
            result = torch.ops.aten.threshold_backward(grad_features, features, 0)
            _by_group(result, len(grad)).addcmul_(split, slope).add_(offset)
        else:
            result = torch.addcmul(offset, split, slope).flatten(0, 1).add_(grad_features)
        return result, None, None, None, None, None


def _norms(mean_gap: Tensor, var_gap: Tensor) -> tuple[Tensor, Tensor]:
    return torch.linalg.vector_norm(mean_gap, dim=1), torch.linalg.vector_norm(var_gap, dim=1)


def _affine(
    grad: Tensor, features: Tensor, mean: Tensor, mean_gap: Tensor, var_gap: Tensor, mean_norm: Tensor, var_norm: Tensor
) -> tuple[Tensor, Tensor]:
    """Return offset and slope ``(G, C)`` of the gradient, in the type of the features."""
    share = grad[:, None] / (features.numel() // features.shape[1] // len(grad))
    slope = var_gap * (2 * share / var_norm[:, None].clamp_min(_SMALLEST_NORM))
    offset = torch.addcmul(mean_gap * (share / mean_norm[:, None].clamp_min(_SMALLEST_NORM)), slope, mean, value=-1)
    return offset.to(features.dtype), slope.to(features.dtype)


def _by_group(features: Tensor, groups: int) -> Tensor:
    """(G * n, C, ...) -> (G, n, C, ...), a view."""
    return features.unflatten(0, (groups, -1))


def _per_channel(values: Tensor, split: Tensor) -> Tensor:
    """(G, C) -> (G, 1, C, 1, ...) for features (G, n, C, ...)."""
    return values.view(len(values), 1, -1, *(1,) * (split.dim() - 3))
