"""G-VBSM's objective: teachers in turn, statistics of BatchNorm and of convolutions, their averages, densification.

``loss = CE(teacher_t(x), y) + r_bn * sum_l w_l sum_s ||T_ls - (A_ls + s_l - sg(s_l))||_2 + r_d * D``: teacher t is
the one whose turn the iteration is; s runs over mean and variance of what BatchNorm layer l is given, with its running
statistics as targets T, and over the four of :mod:`delt_engine.recovery.conv_statistics` for a convolution, with those
of the training images. A_ls is the running average ``a A + (1 - a) s`` over the iterations of this batch in which the
layer was measured, which takes part in the distance while the gradient goes through the iteration's own value alone (sg
stops it). Layers come in the order of registration, and w_l is ``first_bn_multiplier`` for the first of them, which
usually is a convolution. Convolutions are dropped at random, BatchNorm layers never.

D is summed over classes: of the Gram matrix of the images of a class, each as 32 x 32 pixels, the eigenvalues l give
``KL(softmax(l / 4) || softmax(l))``, the first without gradient.

Source: G-VBSM Eq. 4-9, BNFeatureHook, ConvFeatureHook and the loss in its published code.
Differs: averages begin with the first measurement of each batch. Published code begins once a process at zero (its test
for the first one never holds) and carries them from batch to batch, so images would depend on the batches before
theirs; turns begin anew with each batch for the same reason. Eigenvalues are those of a symmetric matrix. A class with
one image in the batch adds nothing to D, as published.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.errors import CheckpointError
from delt_engine.models.bn_layers import bn_layers
from delt_engine.recovery.conv_statistics import conv_layers, conv_statistics
from delt_engine.recovery.folding import PreparedTeacher, Targets
from delt_engine.recovery.objective import Losses, frozen, measuring, objective
from delt_engine.recovery.operators import plain_statistics
from delt_engine.recovery.speed import FastPath

DENSE_SIDE = 32
"""Side in pixels of the images whose likeness is measured."""

DENSE_TEMPERATURE = 4.0

Averages = Mapping[str, Tensor]
Turn = Callable[[int, Averages, Tensor, Tensor], tuple[Losses, Averages]]
"""From iteration, averages so far, augmented images ``(N, C, H, W)`` and labels ``(N,)`` to losses and the averages
that the iteration changed. Of the losses ``bn`` is the sum over all layers, and ``total`` may have D in it."""


def drop_plan(config: RecoverConfig, teacher: PreparedTeacher, generator: torch.Generator) -> Tensor | None:
    """Draw which convolutions each iteration passes over, with a generator on the CPU, keyed by seed and batch.

    Returns:
        bool ``(MI, L)`` for the L convolutions of the deepest teacher; None where none is dropped.
    """
    if not (config.conv_statistics and config.layer_drop):
        return None
    most = max(len(conv_layers(member.network)) for member in teacher.members)
    return torch.rand(config.iterations, most, generator=generator, dtype=torch.float64) < config.layer_drop


@contextlib.contextmanager
def in_turn(
    teacher: PreparedTeacher,
    config: RecoverConfig,
    fast: FastPath | None = None,
    groups: int = 1,
    dropped: Tensor | None = None,
    targets: Sequence[Targets] = (),
) -> Iterator[Turn]:
    """Open the objective of a recovery: that of one teacher, or of several, one an iteration.

    Args:
        teacher: with those that take turns with it; all are frozen inside, and put back at the end.
        fast: how it is computed, see :func:`delt_engine.recovery.objective.objective`.
        groups: batches packed into one; 1 where more than BatchNorm is matched.
        dropped: of :func:`drop_plan`.
        targets: of each teacher, what the groups are matched with; the running statistics where there are none.

    Raises:
        CheckpointError: a teacher without BatchNorm layers, or with a layer that is used twice.
    """
    with contextlib.ExitStack() as opened:
        if config.matches_generally:
            fast = fast or FastPath()
            turns = [
                opened.enter_context(_matching(member, number, config, fast, dropped))
                for number, member in enumerate(teacher.members)
            ]
        else:
            turns = [
                _plainly(opened.enter_context(objective(one, config, fast, groups, own)))
                for one, own in zip(teacher.members, targets or (None,) * len(teacher.members), strict=True)
            ]
        yield lambda iteration, *rest: turns[iteration % len(turns)](iteration, *rest)


def _plainly(losses_of: Callable[[Tensor, Tensor], Losses]) -> Turn:
    return lambda _iteration, _averages, images, labels: (losses_of(images, labels), {})


@contextlib.contextmanager
def _matching(
    teacher: PreparedTeacher, number: int, config: RecoverConfig, fast: FastPath, dropped: Tensor | None
) -> Iterator[Turn]:
    """Open the generalized objective of one teacher, the ``number``-th of its committee."""
    targets = _targets(teacher, config)
    places = {layer: place for place, layer in enumerate(conv_layers(teacher.network))}
    passed_over: set[nn.Module] = set()
    with frozen(teacher.network), _measured(teacher.network, targets, config.patch_side, passed_over) as found:

        def losses(iteration: int, averages: Averages, images: Tensor, labels: Tensor) -> tuple[Losses, Averages]:
            passed_over.clear()
            if dropped is not None:
                passed_over.update(layer for layer, place in places.items() if bool(dropped[iteration, place]))
            with (
                _memory(fast, images),
                torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=fast.precision == "bfloat16"),
            ):
                logits = teacher.network(images)
            logits = logits if logits.dtype == images.dtype else logits.to(images.dtype)
            ce_loss = F.cross_entropy(logits, labels)
            now: dict[str, Tensor] = {}
            distances = []
            for place, (layer, wanted) in enumerate(targets.items()):
                if layer not in found:
                    continue
                weight = config.first_bn_multiplier if place == 0 else 1.0
                for which, (target, value) in enumerate(zip(wanted, found[layer], strict=True)):
                    name = f"{number}.{place}.{which}"
                    now[name] = average = _average(averages.get(name), value.detach(), config.statistics_ema)
                    gap = target - (average + value - value.detach())
                    distances.append(weight * torch.linalg.vector_norm(gap))
            matched = torch.stack(distances).sum() if distances else ce_loss.new_zeros(())
            total = ce_loss + config.r_bn * matched
            if config.densification:
                total = total + config.densification * densification(images, labels)
            return Losses(ce_loss, matched, total, logits.detach()), now if config.statistics_ema else {}

        yield losses


def _memory(fast: FastPath, images: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Let features wait in the computer's memory where the device's does not suffice."""
    if not fast.low_memory:
        return contextlib.nullcontext()
    return torch.autograd.graph.save_on_cpu(pin_memory=images.device.type == "cuda")


def _average(before: Tensor | None, value: Tensor, share: float) -> Tensor:
    return value if before is None else share * before + (1 - share) * value


def _targets(teacher: PreparedTeacher, config: RecoverConfig) -> dict[nn.Module, tuple[Tensor, ...]]:
    """Return what the statistics of each layer are matched with, in the order of registration."""
    known: dict[nn.Module, Any] = {
        layer: (layer.running_mean, layer.running_var) for layer in bn_layers(teacher.network)
    }
    if config.conv_statistics:
        device = next(teacher.network.parameters()).device
        layers = conv_layers(teacher.network)
        if len(layers) != len(teacher.statistics):
            raise CheckpointError(
                f"network: it has {len(layers)} convolutions, but statistics of {len(teacher.statistics)} are given."
            )
        known |= {
            layer: gathered.to(device).tensors() for layer, gathered in zip(layers, teacher.statistics, strict=True)
        }
    return {module: known[module] for module in teacher.network.modules() if module in known}


@contextlib.contextmanager
def _measured(
    network: nn.Module, layers: Mapping[nn.Module, Any], side: int, passed_over: set[nn.Module]
) -> Iterator[dict[nn.Module, tuple[Tensor, ...]]]:
    """Yield the statistics of what the layers were given at the last forward pass, but of those passed over."""
    found: dict[nn.Module, tuple[Tensor, ...]] = {}

    def measure(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer in passed_over:
            return
        if layer in found:
            name = next(name for name, module in network.named_modules() if module is layer)
            raise CheckpointError(
                f"network: layer {name} is used twice in one forward pass, so its statistics fit neither use; take a "
                "teacher that has a layer for each."
            )
        if isinstance(layer, nn.Conv2d):
            found[layer] = conv_statistics(inputs[0], side).tensors()
        else:
            mean, var = plain_statistics(inputs[0], 1)
            found[layer] = mean[0], var[0]

    with measuring(network, layers, measure, found):
        yield found


def densification(images: Tensor, labels: Tensor) -> Tensor:
    """Return D: how unevenly the likeness of a class's images ``(N, C, H, W)`` is spread, summed over classes.

    Source: G-VBSM Sec. 3.1 and the published code, which calls it the nuclear loss.
    """
    small = F.adaptive_avg_pool2d(images, DENSE_SIDE).flatten(1)
    total = small.new_zeros(())
    for label in labels.unique():
        own = small[labels == label]
        if len(own) > 1:
            values = torch.linalg.eigvalsh(own @ own.T)
            goal = (values / DENSE_TEMPERATURE).softmax(0).detach()
            total = total + F.kl_div(values.log_softmax(0), goal, reduction="sum")
    return total
