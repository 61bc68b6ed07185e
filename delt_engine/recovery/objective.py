"""What the images are optimised for: the teacher's cross-entropy plus distance to its BatchNorm statistics.

``loss = CE(teacher(x), y) + r_bn * sum_l w_l (||mu_l - RM_l||_2 + ||var_l - RV_l||_2)``, with mu_l and var_l the mean
and the biased variance of what BatchNorm layer l is given, over images and positions; RM_l and RV_l its running
statistics; w_l ``first_bn_multiplier`` for the first layer of the forward pass and 1 for the others. Norms are not
squared.

Source: DELT Eq. 7-8, CDA Appendix D; BNFeatureHook and ``first_bn_multiplier`` in the published recovery code.
Differs: one operator a layer in place of seven, with the same value and gradient. Its gradient is affine per channel,
``gm + gv * (x - mu)`` with ``gm = (mu - RM) / (n ||mu - RM||)`` and ``gv = 2 (var - RV) / (n ||var - RV||)``, n
values a channel; on two CPU cores the plain form takes as long as the network itself.
"""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.errors import CheckpointError
from delt_engine.models.bn_layers import bn_layers
from delt_engine.recovery.folding import fold
from delt_engine.recovery.operators import StatisticsDistance
from delt_engine.recovery.speed import FastPath


def bn_statistics_loss(features: Tensor, running_mean: Tensor, running_var: Tensor) -> Tensor:
    """Return the distance of one layer's batch statistics to its running ones.

    Args:
        features: ``(N, C, ...)``, what the BatchNorm layer is given; the gradient goes here only.
        running_mean: ``(C,)``.
        running_var: ``(C,)``.

    Returns:
        A 0-dim tensor.

    Source: DELT Eq. 8, one term of the sum.
    """
    return StatisticsDistance.apply(features, running_mean, running_var, 1).squeeze(0)


class Frozen:
    """Keeps a teacher in eval mode and without gradients while the context is open, then puts both back."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __enter__(self) -> Frozen:
        self._modes = [(module, module.training) for module in self._network.modules()]
        self._required = [(parameter, parameter.requires_grad) for parameter in self._network.parameters()]
        self._network.eval().requires_grad_(requires_grad=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for module, training in self._modes:
            module.training = training
        for parameter, requires_grad in self._required:
            parameter.requires_grad_(requires_grad)


class BatchStatistics:
    """Watches the BatchNorm layers of a teacher while the context is open.

    Inside, the teacher is frozen and in eval mode and every layer has a hook; leaving, also by an error, takes the
    hooks off and puts training modes and ``requires_grad`` back as they were. One context a teacher at a time.

    Args:
        network: the teacher.
        first_bn_multiplier: weight of the first layer of the forward pass.
        groups: how many groups of equal size a batch is; each has statistics of its own.

    Raises:
        CheckpointError: no BatchNorm layer, or, in the forward pass, a layer that is used twice: its running
            statistics then mix both uses, and neither can be matched.
    """

    def __init__(self, network: nn.Module, first_bn_multiplier: float = 10.0, groups: int = 1) -> None:
        self._network = network
        self._groups = groups
        self._layers = bn_layers(network)
        self._first_bn_multiplier = first_bn_multiplier
        self._terms: dict[nn.Module, Tensor] = {}
        self._frozen = Frozen(network)

    def __enter__(self) -> BatchStatistics:
        self._frozen.__enter__()
        self._hooks = [self._network.register_forward_pre_hook(self._begin)]
        self._hooks += [layer.register_forward_pre_hook(self._measure) for layer in self._layers]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        self._frozen.__exit__(kind, error, trace)
        self._terms.clear()

    def distances(self) -> Tensor:
        """Return the distances ``(L, G)`` of the layers in forward order and of the groups in the last forward pass."""
        return torch.stack(list(self._terms.values()))

    def bn_loss(self) -> Tensor:
        """Return the weighted sum over the layers of the last forward pass, a 0-dim tensor; the mean of the groups."""
        first, others = self.distances().tensor_split((1,))
        return (self._first_bn_multiplier * first.sum(0) + others.sum(0)).mean()

    def _begin(self, _network: nn.Module, _inputs: tuple[Tensor, ...]) -> None:
        self._terms.clear()

    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer in self._terms:
            name = next(name for name, module in self._network.named_modules() if module is layer)
            raise CheckpointError(
                f"network: BatchNorm layer {name} is used twice in one forward pass, so its running statistics fit "
                f"neither use; take a teacher that has a layer for each."
            )
        self._terms[layer] = StatisticsDistance.apply(inputs[0], layer.running_mean, layer.running_var, self._groups)


class Losses(NamedTuple):
    """The objective and its two parts, 0-dim tensors: ``total = ce + r_bn * bn``."""

    ce: Tensor
    bn: Tensor
    total: Tensor


class Objective:
    """DELT Eq. 7-8 for one teacher; a context, since it watches the teacher's layers.

    With G groups, equally many images of one after those of another, each group has statistics and losses of its own,
    and the losses are their means.

    Args:
        network: the teacher; see :class:`BatchStatistics`.
        config: ``r_bn`` and ``first_bn_multiplier``.
        fast: how it is computed; as the teacher is, in its own number format, when not given.
        groups: G.
    """

    def __init__(
        self, network: nn.Module, config: RecoverConfig, fast: FastPath | None = None, groups: int = 1
    ) -> None:
        self._network = network
        self._config = config
        self._fast = fast or FastPath()
        self._groups = groups
        self._statistics = BatchStatistics(network, config.first_bn_multiplier, groups)
        self._forward = self._hooked
        self.logits: Tensor | None = None
        """What the teacher said in the last call, ``(N, K)`` without gradient; None before the first."""

    def __enter__(self) -> Objective:
        folding = fold(self._network) if self._fast.fold else None
        self._context = self._statistics if folding is None else Frozen(self._network)
        if folding is not None:
            folding.prepare(self._groups, self._fast.precision)
            self._forward = torch.compile(folding.network) if self._fast.compile else folding.network
        self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)
        self._forward = self._hooked

    def __call__(self, images: Tensor, labels: Tensor) -> Losses:
        """Return the losses of a batch.

        Args:
            images: normalised ``(N, C, H, W)``, as augmented, group after group.
            labels: int64 ``(N,)``.
        """
        is_reduced = self._fast.precision == "bfloat16"
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=is_reduced):
            logits, distances = self._forward(images)  # distances: (L, G)
        logits = logits if logits.dtype == images.dtype else logits.to(images.dtype)
        self.logits = logits.detach()
        ce_loss = F.cross_entropy(logits, labels)  # groups are equally large: the mean over all is that of their means
        bn_loss = (self._config.first_bn_multiplier * distances[0] + distances[1:].sum(0)).mean()
        return Losses(ce_loss, bn_loss, ce_loss + self._config.r_bn * bn_loss)

    def _hooked(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self._network(images)
        return logits, self._statistics.distances()
