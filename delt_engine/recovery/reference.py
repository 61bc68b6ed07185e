"""The recovery loop as published code runs it, plain and slow: what the fast one must agree with and is timed against.

Written for reading, in PyTorch's plain words: a hook a BatchNorm layer that computes its mean and, on a permuted copy,
its variance; one torch.optim.Adam over the whole batch, in which images that wait have a zero gradient, so they stay
put while Adam's count goes on. With ``adam_counters="per-image"`` the images of each round are a parameter of their own
without a gradient before, so their count starts when they join. The order in memory is PyTorch's own, and BatchNorm is
computed as the layer it is.

Source: DELT Eq. 6-8, CDA Algorithm 1; DELT recover/recover.py and its BNFeatureHook, which is DeepInversion's (Yin et
al., Eq. 4).
Differs: crops are those of a plan drawn before, so that all loops end in the same images; images that wait are not
clipped.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.data.pixels import value_bounds
from delt_engine.models.bn_layers import bn_layers
from delt_engine.recovery.augment import apply_crop
from delt_engine.recovery.batches import BatchPlan, clock
from delt_engine.recovery.curriculum import learning_rate_at
from delt_engine.recovery.folding import PreparedTeacher


@dataclass(frozen=True, eq=False)
class ReferenceStep:
    """Losses before the step of an iteration, 0-dim, and all images after it, ``(N, 3, H, W)``."""

    iteration: int
    joined: int
    ce_loss: Tensor
    bn_loss: Tensor
    total_loss: Tensor
    images: Tensor


class BNFeatureHook:
    """The distance of a layer's batch statistics to its running ones, at the last forward pass."""

    def __init__(self, layer: Any) -> None:
        self.handle = layer.register_forward_hook(self.measure)
        self.distance = torch.zeros(())

    def measure(self, layer: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        """Measure what the layer is given, ``(N, C, H, W)``."""
        mean = inputs[0].mean([0, 2, 3])
        var = inputs[0].permute(1, 0, 2, 3).contiguous().flatten(1).var(1, unbiased=False)
        self.distance = torch.norm(layer.running_var - var, 2) + torch.norm(layer.running_mean - mean, 2)


def recover_plainly(
    images: Tensor,
    labels: Tensor,
    teacher: PreparedTeacher,
    plan: BatchPlan,
    config: RecoverConfig,
    crop_rows: Tensor,
) -> Generator[ReferenceStep, None, None]:
    """Optimise the images of one batch; the arguments are those of :func:`delt_engine.recovery.loop.recover`.

    The teacher is frozen and in eval mode already; ``crop_rows`` are int64 ``(MI, 7)``.
    """
    low, high = (bound.to(images) for bound in value_bounds(teacher.mean, teacher.std))
    sizes = [len(images)]
    if config.adam_counters == "per-image":
        sizes = [plan.start_rounds.count(number) for number in sorted(set(plan.start_rounds))]
    ends = list(accumulate(sizes))
    inputs = [part.clone().requires_grad_() for part in images.split(sizes)]
    optimizer = torch.optim.Adam(inputs, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=1e-8)
    hooks = [BNFeatureHook(layer) for layer in bn_layers(teacher.network)]
    weights = [config.first_bn_multiplier] + [1.0] * (len(hooks) - 1)
    try:
        for iteration in range(config.iterations):
            joined = plan.joined(iteration // config.round_iterations + 1)
            if not joined:
                continue
            optimizer.param_groups[0]["lr"] = learning_rate_at(*clock(iteration, config), config.learning_rate)

            optimizer.zero_grad()
            moving = [part for part, end in zip(inputs, ends, strict=True) if end <= joined or len(inputs) == 1]
            if config.remix and iteration and iteration % config.round_iterations == 0:
                with torch.no_grad():
                    for part, start in zip(moving, images.split(sizes), strict=False):
                        part.copy_((1 - config.remix) * part + config.remix * start)
            outputs = teacher.network(apply_crop(torch.cat(moving)[:joined], crop_rows[iteration]))
            ce_loss = F.cross_entropy(outputs, labels[:joined])
            bn_loss = torch.stack([weight * hook.distance for weight, hook in zip(weights, hooks, strict=True)]).sum()
            total_loss = ce_loss + config.r_bn * bn_loss
            total_loss.backward()
            optimizer.step()
            with torch.no_grad():
                for part in moving:
                    part[:joined].clamp_(low, high)
                now = torch.cat(inputs)
            yield ReferenceStep(iteration, joined, ce_loss.detach(), bn_loss.detach(), total_loss.detach(), now)
    finally:
        for hook in hooks:
            hook.handle.remove()
