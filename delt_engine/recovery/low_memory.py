"""The objective of a step in less memory, with the same losses and gradients: for a device that ran out of it.

Packed batches go through the teacher one group at a time; each group's gradient is taken at once, so only one group's
features are in memory. Of a single batch, what the backward pass needs is kept in the memory of the computer instead
of the device's: the statistics are those of the whole batch, so it cannot be taken in parts. On a CPU, where both are
the same, that helps nothing.

Source: ours, with torch.autograd.graph.save_on_cpu. Differs: activation checkpointing would compute the features twice;
here nothing is, so the result is the same to the bit and statistics are measured once. The price is the copying.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from delt_engine.config import RecoverConfig
from delt_engine.recovery.objective import Losses, Objective
from delt_engine.recovery.speed import FastPath


class SparingObjective:
    """Stands for :class:`Objective`; a context as well.

    Args:
        network: the teacher.
        config: ``r_bn`` and ``first_bn_multiplier``.
        fast: how it is computed.
        groups: G, groups of equal size in a batch, one after another.
    """

    def __init__(self, network: nn.Module, config: RecoverConfig, fast: FastPath, groups: int = 1) -> None:
        self._one = Objective(network, config, fast)
        self._groups = groups
        self.logits: Tensor | None = None
        """What the teacher said in the last call, ``(N, K)`` without gradient; None before the first."""

    def __enter__(self) -> SparingObjective:
        self._one.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._one.__exit__(kind, error, trace)

    def __call__(self, images: Tensor, labels: Tensor) -> Losses:
        """Return the losses of a batch, see :class:`Objective`."""
        if self._groups == 1:
            with torch.autograd.graph.save_on_cpu(pin_memory=images.device.type == "cuda"):
                losses = self._one(images, labels)
            self.logits = self._one.logits
            return losses
        groups = zip(images.detach().chunk(self._groups), labels.chunk(self._groups), strict=True)
        found = [self._of_group(part, targets) for part, targets in groups]
        losses, gradients, logits = zip(*found, strict=True)
        self.logits = torch.cat(logits)
        ce_loss, bn_loss, total = torch.stack([torch.stack(each) for each in losses]).mean(0)
        # Losses are means over the groups, and an image has a part in its own group's alone.
        return Losses(ce_loss, bn_loss, _Known.apply(images, torch.cat(gradients) / self._groups, total))

    def _of_group(self, images: Tensor, labels: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
        """Return the losses of one group, the gradient of its total towards its images, and the logits."""
        leaf = images.requires_grad_()
        ce_loss, bn_loss, total = self._one(leaf, labels)
        (gradient,) = torch.autograd.grad(total, leaf)
        return (ce_loss.detach(), bn_loss.detach(), total.detach()), gradient, self._one.logits


class _Known(torch.autograd.Function):
    """A loss whose gradient towards the images is known already."""

    @staticmethod
    def forward(ctx: Any, _images: Tensor, gradient: Tensor, loss: Tensor) -> Tensor:
        """Give the loss."""
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Give the gradient."""
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None


def objective_for(
    network: nn.Module, config: RecoverConfig, fast: FastPath, groups: int
) -> Objective | SparingObjective:
    """Return the objective that a step is computed with: the sparing one where memory ran out."""
    made = SparingObjective if fast.spare else Objective
    return made(network, config, fast, groups)
