"""The recovery loop as the papers have it, plain and slow: what the fast loop must agree with.

Every image of the batch is a parameter of one torch.optim.Adam; those that have joined are stacked by index, cropped,
and shown to the teacher, whose BatchNorm layers have one hook each. With ``adam_counters="shared"`` images that wait
are given a zero gradient, so they stay put while Adam's count goes on; with ``"per-image"`` they are given none, so
their count starts when they join.

Source: DELT Eq. 6-8, CDA Algorithm 1; recover/recover.py and BNFeatureHook.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.data.pixels import value_bounds
from delt_engine.models.bn_layers import bn_layers
from delt_engine.recovery.augment import apply_crop
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.curriculum import learning_rate_at
from delt_engine.recovery.folding import PreparedTeacher


@dataclass(frozen=True, eq=False)
class ReferenceStep:
    """Losses of one iteration, and all images after it, ``(N, 3, H, W)``."""

    iteration: int
    ce_loss: float
    bn_loss: float
    total_loss: float
    images: Tensor


class _BNHook:
    """Keeps the distance of a layer's batch statistics to its running ones at the last forward pass."""

    def __init__(self, layer: Any) -> None:
        self.distance = torch.zeros(())
        self.handle = layer.register_forward_hook(self._measure)

    def _measure(self, layer: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        channels = inputs[0].transpose(0, 1).flatten(1)  # (N, C, ...) -> (C, n)
        mean, variance = channels.mean(dim=1), channels.var(dim=1, correction=0)
        self.distance = (mean - layer.running_mean).norm(2) + (variance - layer.running_var).norm(2)


def recover_plainly(
    images: Tensor,
    labels: Tensor,
    teacher: PreparedTeacher,
    plan: BatchPlan,
    config: RecoverConfig,
    crop_rows: Tensor,
) -> Iterator[ReferenceStep]:
    """Optimise the images of one batch; the arguments are those of :func:`delt_engine.recovery.loop.recover`.

    The teacher is frozen and in eval mode already; ``crop_rows`` are int64 ``(MI, 7)``.
    """
    low, high = (bound[0].to(images) for bound in value_bounds(teacher.mean, teacher.std))
    synthetic = [nn.Parameter(image.clone()) for image in images]
    optimizer = torch.optim.Adam(synthetic, lr=config.learning_rate, betas=(config.beta1, config.beta2), eps=1e-8)
    hooks = [_BNHook(layer) for layer in bn_layers(teacher.network)]
    try:
        for iteration in range(config.iterations):
            round_number = iteration // config.round_iterations + 1
            joined = [i for i, slot in enumerate(plan.slots) if slot.start_round <= round_number]
            if not joined:
                continue
            since, period = iteration, config.iterations
            if config.restart_rounds:
                since, period = iteration - (round_number - 1) * config.round_iterations, config.round_iterations
            optimizer.param_groups[0]["lr"] = learning_rate_at(since, period, config.learning_rate)

            optimizer.zero_grad(set_to_none=True)
            batch = torch.stack([synthetic[i] for i in joined])
            logits = teacher.network(apply_crop(batch, crop_rows[iteration]))
            ce_loss = F.cross_entropy(logits, labels[joined])
            bn_loss = config.first_bn_multiplier * hooks[0].distance + sum(hook.distance for hook in hooks[1:])
            total_loss = ce_loss + config.r_bn * bn_loss
            total_loss.backward()
            if config.adam_counters == "shared":
                for image in synthetic:
                    image.grad = torch.zeros_like(image) if image.grad is None else image.grad
            optimizer.step()
            with torch.no_grad():
                for i in joined:
                    synthetic[i].clamp_(low, high)
                now = torch.stack([*map(torch.Tensor.detach, synthetic)])
            yield ReferenceStep(iteration, ce_loss.item(), bn_loss.item(), total_loss.item(), now)
    finally:
        for hook in hooks:
            hook.handle.remove()
