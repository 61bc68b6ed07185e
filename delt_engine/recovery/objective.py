"""What the images are optimised for: the teacher's cross-entropy plus distance to its BatchNorm statistics.

``loss = CE(teacher(x), y) + r_bn * sum_l w_l (||mu_l - RM_l||_2 + ||var_l - RV_l||_2)``, with mu_l and var_l the mean
and the biased variance of what BatchNorm layer l is given, over images and positions; RM_l and RV_l its running
statistics; w_l ``first_bn_multiplier`` for the first layer of the forward pass and 1 for the others. Norms are not
squared.

For a device that ran out of memory a step can be computed in less of it, with the same losses and gradients. Packed
batches then go through the teacher one group at a time, and each group's gradient is taken at once. Of a single batch,
whose statistics cannot be taken in parts, what the backward pass needs waits in the computer's memory.

Source: DELT Eq. 7-8, CDA Appendix D; BNFeatureHook and ``first_bn_multiplier`` in the published recovery code.
Differs: one operator a layer in place of seven, with the same value and gradient
(:mod:`delt_engine.recovery.operators`); on two CPU cores the plain form takes as long as the network itself. Less
memory is ours; activation checkpointing would compute the features twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.errors import CheckpointError
from delt_engine.models.bn_layers import bn_layers
from delt_engine.recovery.folding import PreparedTeacher, Targets
from delt_engine.recovery.operators import StatisticsDistance
from delt_engine.recovery.speed import FastPath

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]


class Losses(NamedTuple):
    """The objective and its two parts, 0-dim tensors: ``total = ce + r_bn * bn``; ``logits`` are without gradient."""

    ce: Tensor
    bn: Tensor
    total: Tensor
    logits: Tensor


@contextlib.contextmanager
def objective(
    teacher: PreparedTeacher,
    config: RecoverConfig,
    fast: FastPath | None = None,
    groups: int = 1,
    targets: Targets | None = None,
) -> Iterator[Callable[[Tensor, Tensor], Losses]]:
    """Open DELT Eq. 7-8 of one teacher: a function from images and labels to losses.

    It takes normalised images ``(N, C, H, W)``, as augmented, and labels int64 ``(N,)``. With G groups, equally many
    images of one after those of another, each group has statistics and losses of its own, and the losses are their
    means. One is open for a teacher at a time; inside, the teacher is frozen and in eval mode.

    Args:
        teacher: put back as it was at the end, also after an error.
        fast: how it is computed; as the teacher is, in its own number format, when not given.
        groups: G.
        targets: what the groups are matched with in place of the running statistics.

    Raises:
        CheckpointError: no BatchNorm layer, or, in the forward pass, one that is used twice: its running statistics
            then mix both uses, and neither can be matched.
    """
    fast = fast or FastPath()
    is_in_parts = fast.low_memory and groups > 1 and targets is None
    with _opened(teacher, fast, 1 if is_in_parts else groups, targets) as forward:

        def losses(images: Tensor, labels: Tensor) -> Losses:
            with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=fast.precision == "bfloat16"):
                logits, distances = forward(images)  # distances: (L, G)
            logits = logits if logits.dtype == images.dtype else logits.to(images.dtype)
            ce_loss = F.cross_entropy(logits, labels)  # groups are equally large: the mean over all is that of theirs
            bn_loss = (config.first_bn_multiplier * distances[0] + distances[1:].sum(0)).mean()
            return Losses(ce_loss, bn_loss, ce_loss + config.r_bn * bn_loss, logits.detach())

        def offloaded(images: Tensor, labels: Tensor) -> Losses:  # features wait; on a CPU that helps nothing
            with torch.autograd.graph.save_on_cpu(pin_memory=images.device.type == "cuda"):
                return losses(images, labels)

        if is_in_parts:
            yield partial(_group_by_group, losses, groups)
        else:
            yield offloaded if fast.low_memory else losses


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Keep a network in eval mode and without gradients while the context is open, then put both back."""
    modes = [(module, module.training) for module in network.modules()]
    required = [(parameter, parameter.requires_grad) for parameter in network.parameters()]
    network.eval().requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in required:
            parameter.requires_grad_(requires_grad)


@contextlib.contextmanager
def _opened(teacher: PreparedTeacher, fast: FastPath, groups: int, targets: Targets | None) -> Iterator[Forward]:
    """Yield what maps images to logits and the distances ``(L, G)`` of the layers in forward order."""
    folding = teacher.folding(fast.precision) if fast.fold else None
    if folding is None:
        with frozen(teacher.network), _hooked(teacher.network, groups, targets) as forward:
            yield forward
        return
    folding.set_groups(groups, targets)
    with frozen(teacher.network):
        yield folding.compiled if fast.compile else folding.network


@contextlib.contextmanager
def _hooked(network: nn.Module, groups: int, targets: Targets | None) -> Iterator[Forward]:
    found: dict[nn.Module, Tensor] = {}
    layers = bn_layers(network)
    running = [(layer.running_mean, layer.running_var) for layer in layers]
    matched = dict[Any, Any](zip(layers, targets or running, strict=True))

    def measure(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        if layer in found:
            name = next(name for name, module in network.named_modules() if module is layer)
            raise CheckpointError(
                f"network: BatchNorm layer {name} is used twice in one forward pass, so its running statistics fit "
                f"neither use; take a teacher that has a layer for each."
            )
        found[layer] = StatisticsDistance.apply(inputs[0], *matched[layer], groups)

    def forward(images: Tensor) -> tuple[Tensor, Tensor]:
        logits = network(images)
        return logits, torch.stack(list(found.values()))

    with measuring(network, layers, measure, found):
        yield forward


@contextlib.contextmanager
def measuring(
    network: nn.Module, layers: Iterable[nn.Module], measure: Callable[..., None], found: dict[nn.Module, Any]
) -> Iterator[None]:
    """Call ``measure`` with what each layer is given; ``found`` is emptied before each forward pass."""
    with contextlib.ExitStack() as hooks:
        # also where somebody else asks the teacher between two steps
        hooks.callback(network.register_forward_pre_hook(lambda _network, _inputs: found.clear()).remove)
        for layer in layers:
            hooks.callback(layer.register_forward_pre_hook(measure).remove)
        yield


def _group_by_group(losses: Callable[[Tensor, Tensor], Losses], groups: int, images: Tensor, labels: Tensor) -> Losses:
    """Compute a step with the features of one group in memory at a time."""
    found: list[Losses] = []
    gradients: list[Tensor] = []
    for part, targets in zip(images.detach().chunk(groups), labels.chunk(groups), strict=True):
        leaf = part.requires_grad_()
        one = losses(leaf, targets)
        gradients += torch.autograd.grad(one.total, leaf)
        found.append(Losses(*(value.detach() for value in one)))
    ce_loss, bn_loss, total = torch.stack([torch.stack(one[:3]) for one in found]).mean(0)
    # Losses are means over the groups, and an image has a part in its own group's alone.
    total = _Known.apply(images, torch.cat(gradients) / groups, total)
    return Losses(ce_loss, bn_loss, total, torch.cat([one.logits for one in found]))


class _Known(torch.autograd.Function):
    """A loss whose gradient towards the images is known already."""

    @staticmethod
    def forward(ctx: Any, _images: Tensor, gradient: Tensor, loss: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None, None
