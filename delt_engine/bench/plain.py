"""The recovery loop as published code runs it: what the fast loop is measured against.

Written for reading, in the way of the published code and in PyTorch's plain words: a hook a BatchNorm layer that
computes its mean and, on a permuted copy, its variance; the joined images gathered by index; one torch.optim.Adam
over the whole batch, in which images that wait have a zero gradient; all images clipped after every step, channel by
channel. The order in memory is PyTorch's own, and BatchNorm is computed as the layer it is. It takes the same crops as
the fast loop, so that both end in the same images.

Source: DELT recover/recover.py and its BNFeatureHook, which is DeepInversion's (Yin et al., Eq. 4).
Differs: crops are those of a plan drawn before, and images that wait are clipped as well, as published; start images
here are valid, so that does not move them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.recovery.augment import apply_crop
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.curriculum import learning_rate_at
from delt_engine.recovery.folding import PreparedTeacher


class BNFeatureHook:
    """The distance of a layer's batch statistics to its running ones, at the last forward pass."""

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        self.handle = layer.register_forward_hook(self.measure)

    def measure(self, layer: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        """Measure what the layer is given, ``(N, C, H, W)``."""
        channels = inputs[0].shape[1]
        mean = inputs[0].mean([0, 2, 3])
        var = inputs[0].permute(1, 0, 2, 3).contiguous().view([channels, -1]).var(1, unbiased=False)
        self.distance = torch.norm(layer.running_var - var, 2) + torch.norm(layer.running_mean - mean, 2)


@dataclass(frozen=True, eq=False)
class PlainStep:
    """One iteration: how many images had joined, the loss before its step, and all images after it (live)."""

    joined: int
    total_loss: Tensor
    images: Tensor


def recover_as_published(
    images: Tensor,
    labels: Tensor,
    teacher: PreparedTeacher,
    plan: BatchPlan,
    config: RecoverConfig,
    crop_rows: Tensor,
) -> Generator[PlainStep, None, None]:
    """Optimise the images of one batch; the arguments are those of :func:`delt_engine.recovery.loop.recover`.

    The teacher is frozen and in eval mode already; ``crop_rows`` are int64 ``(MI, 7)``.
    """
    inputs = images.clone().requires_grad_()
    optimizer = torch.optim.Adam([inputs], lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=1e-8)
    hooks = [BNFeatureHook(module) for module in teacher.network.modules() if isinstance(module, nn.BatchNorm2d)]
    weights = [config.first_bn_multiplier] + [1.0] * (len(hooks) - 1)
    try:
        for iteration in range(config.iterations):
            round_number = iteration // config.round_iterations + 1
            joined = [place for place, start in enumerate(plan.start_rounds) if start <= round_number]
            optimizer.param_groups[0]["lr"] = learning_rate_at(iteration, config.iterations, config.learning_rate)

            optimizer.zero_grad()
            outputs = teacher.network(apply_crop(inputs[joined], crop_rows[iteration]))
            ce_loss = F.cross_entropy(outputs, labels[joined])
            bn_loss = sum(weight * hook.distance for weight, hook in zip(weights, hooks, strict=True))
            total_loss = ce_loss + config.r_bn * bn_loss
            total_loss.backward()
            optimizer.step()
            clip_to_valid(inputs.data, teacher.mean, teacher.std)
            yield PlainStep(len(joined), total_loss.detach(), inputs.detach())
    finally:
        for hook in hooks:
            hook.handle.remove()


def clip_to_valid(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> None:
    """Clip normalised images in place to what pixels in [0, 1] can be."""
    for channel, (m, s) in enumerate(zip(mean, std, strict=True)):
        images[:, channel] = images[:, channel].clamp(-m / s, (1 - m) / s)
