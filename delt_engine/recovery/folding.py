"""A frozen teacher rewritten for speed: BatchNorm inside the convolutions, its statistics measured on their output.

The teacher's graph is traced by torch.fx; the teacher itself is not changed. A BatchNorm goes into the convolution
before it where the convolution feeds nothing else; a ReLU behind it becomes part of the same operator. Elsewhere, as
in DenseNet's pre-activation, behind a sum, or where a channel's scale is so small that the statistics of the folded
output would lose digits, the layer stays and is measured on its input.

Source: :mod:`delt_engine.recovery.operators` has the formulas.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from delt_engine.models.bn_layers import bn_layers
from delt_engine.models.device import memory_format
from delt_engine.models.teachers import Teacher
from delt_engine.recovery.conv_statistics import ConvStatistics
from delt_engine.recovery.operators import FoldedStatistics, StatisticsDistance

LEAST_SCALE = 1e-2
"""Least standard deviation of a folded channel against its mean; below, float32 would lose over two of its digits."""

Targets = Sequence[tuple[Tensor, Tensor]]
"""Mean and variance, ``(G, C)`` each, that G groups are matched with: one pair a BatchNorm layer, in forward order."""

_RELUS = (F.relu, F.relu_, torch.relu, torch.relu_)
_OUT_OF_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    torch.relu_: torch.relu,
    F.relu_: F.relu,
}


class FoldedNorm(nn.Module):
    """Stands where a folded BatchNorm stood: gives its output, and the distances of its statistics ``(G,)``."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        scale, shift = _scale_and_shift(layer)
        self.register_buffer("shift", shift)
        self.register_buffer("inverse", 1 / scale)
        self.register_buffer("target", layer.running_var * scale.square())
        self.running = layer.running_mean, layer.running_var, scale, shift
        self.rectifies = False
        self.groups = 1

    def set_targets(self, mean: Tensor | None, var: Tensor | None) -> None:
        """Set what x is matched with, ``(G, C)`` each; without them the running statistics."""
        running_mean, running_var, scale, shift = self.running
        self.shift = shift if mean is None else shift + (mean - running_mean) * scale
        self.target = (running_var if var is None else var) * scale.square()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Measure y ``(G * n, C, H, W)`` and pass it, or its ReLU, on."""
        return FoldedStatistics.apply(features, self.shift, self.inverse, self.target, self.groups, self.rectifies)


class MeasuredNorm(nn.Module):
    """A BatchNorm that stays: gives its output, and the distances of its statistics ``(G,)``."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer
        self.groups = 1
        self.set_targets(None, None)

    def set_targets(self, mean: Tensor | None, var: Tensor | None) -> None:
        """Set what x is matched with, ``(G, C)`` each; without them the running statistics."""
        self.mean = self.layer.running_mean if mean is None else mean
        self.var = self.layer.running_var if var is None else var

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Measure x ``(G * n, C, H, W)`` and normalise it."""
        distances = StatisticsDistance.apply(features, self.mean, self.var, self.groups)
        return self.layer(features), distances


@dataclass(frozen=True, eq=False)
class Folding:
    """A rewritten teacher of which ``folded`` of ``layers`` BatchNorm layers went into convolutions.

    Attributes:
        network: in eval mode, sharing what is not replaced with the teacher; maps images to (logits, distances
            ``(L, G)`` of the L layers in forward order).
    """

    network: fx.GraphModule
    folded: int
    layers: int

    @cached_property
    def compiled(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The network through torch.compile."""
        return torch.compile(self.network)

    def set_groups(self, groups: int, targets: Targets | None = None) -> None:
        """Set G, the groups of equal size that a batch is made of, and what they are matched with."""
        norms = (module for module in self.network.modules() if isinstance(module, (FoldedNorm, MeasuredNorm)))
        for norm, (mean, var) in zip(norms, targets or ((None, None),) * self.layers, strict=True):
            norm.groups = groups
            norm.set_targets(mean, var)


@dataclass(frozen=True, eq=False)
class PreparedTeacher:
    """A teacher as recovery uses it: folded once, however many batches there are.

    Its weights must not change any more; ``mean`` and ``std`` are per channel of pixels in [0, 1]. ``statistics`` are
    those of its convolutions over the training images, in order, where they are matched; ``others`` are the teachers
    that take their turns after it.
    """

    network: nn.Module
    mean: Sequence[float]
    std: Sequence[float]
    statistics: tuple[ConvStatistics, ...] = ()
    others: tuple[PreparedTeacher, ...] = ()
    _foldings: dict[str, Folding | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, teacher: Teacher) -> PreparedTeacher:
        """Return a loaded teacher as recovery uses it."""
        return cls(teacher.network, teacher.card.mean, teacher.card.std)

    @property
    def members(self) -> tuple[PreparedTeacher, ...]:
        """All teachers in the order of their turns, each without the others."""
        return (replace(self, others=()), *self.others) if self.others else (self,)

    def folding(self, precision: str = "float32") -> Folding | None:
        """Return the network folded, for work in a number format; None where nothing can be folded."""
        if precision not in self._foldings:
            self._foldings[precision] = fold(self.network, precision)
        return self._foldings[precision]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, (nn.BatchNorm2d, nn.SyncBatchNorm)) or super().is_leaf_module(module, name)


def fold(network: nn.Module, precision: str = "float32") -> Folding | None:
    """Rewrite a teacher; None where its graph cannot be traced or no layer can be folded.

    Args:
        network: any; not changed.
        precision: number format of the convolutions; ``float32`` leaves it as it is.

    Raises:
        CheckpointError: no BatchNorm layers.
    """
    bn_layers(network)
    network = _twin(network, {}).eval()
    try:
        traced = fx.GraphModule(network, _Tracer().trace(network))
    except Exception:  # noqa: BLE001  any code may stand in a network, and tracing runs it with stand-ins
        return None
    folding = _rewritten(traced)
    if folding is None:
        return None
    order = memory_format(traced, next(traced.parameters()).device)
    for module in traced.modules():
        if isinstance(module, nn.Conv2d):  # its weights in the memory order and the number format they are used in
            for name, weight in list(module.named_parameters(recurse=False)):
                value = weight.detach().bfloat16() if precision == "bfloat16" else weight.detach()
                if name == "weight":
                    value = value.contiguous(memory_format=order)
                setattr(module, name, nn.Parameter(value, requires_grad=False))
    return folding


def _twin(module: nn.Module, known: dict[nn.Module, nn.Module]) -> nn.Module:
    """Return a module of the same parts and parameters without the hooks: what is replaced in it stays as it was."""
    if module in known:
        return known[module]
    twin = known[module] = copy.copy(module)
    for name, value in vars(module).items():
        if isinstance(value, dict):
            vars(twin)[name] = type(value)() if name.endswith("_hooks") else copy.copy(value)
    for name, part in module._modules.items():
        twin._modules[name] = part if part is None else _twin(part, known)
    return twin


def _rewritten(traced: fx.GraphModule) -> Folding | None:
    modules, layers = dict[Any, Any](traced.named_modules()), set(bn_layers(traced))
    nodes = [node for node in traced.graph.nodes if node.op == "call_module" and modules[node.target] in layers]
    if len({node.target for node in nodes}) < len(nodes):
        return None  # a layer used twice has statistics that fit neither use
    folded, distances = 0, []
    for node in nodes:
        convolution, layer = _foldable(node, modules), modules[node.target]
        if convolution is not None:
            # torch.nn.utils.fusion.fuse_conv_bn_weights multiplies the bias in another order: another last digit
            scale, shift = _scale_and_shift(layer)
            bias = -layer.running_mean if convolution.bias is None else convolution.bias.detach() - layer.running_mean
            weight = convolution.weight.detach() * scale.view(-1, 1, 1, 1)
            convolution.weight = nn.Parameter(weight, requires_grad=False)
            convolution.bias = nn.Parameter(bias * scale + shift, requires_grad=False)
            folded += 1
        distances.append(_replace(traced, node, layer, is_folded=convolution is not None))
    if not folded:
        return None
    _keep_outputs(traced)
    output = next(node for node in traced.graph.nodes if node.op == "output")
    with traced.graph.inserting_before(output):
        stacked = traced.graph.call_function(torch.stack, (distances,))
    output.args = ((output.args[0], stacked),)
    traced.graph.lint()
    traced.recompile()
    return Folding(traced, folded, len(nodes))


def _foldable(node: Any, modules: dict[Any, Any]) -> nn.Conv2d | None:
    """Return the convolution that a BatchNorm can go into."""
    source, layer = node.args[0], modules[node.target]
    if source.op != "call_module" or len(source.users) > 1 or type(modules[source.target]) is not nn.Conv2d:
        return None
    is_shared = sum(other.target == source.target for other in node.graph.nodes if other.op == "call_module") > 1
    is_plain = type(layer) in (nn.BatchNorm2d, nn.SyncBatchNorm) or _has_activation(layer)
    if is_shared or not is_plain:
        return None
    scale, shift = _scale_and_shift(layer)
    spread = scale.abs() * layer.running_var.sqrt()
    is_safe = (spread > LEAST_SCALE * shift.abs()) & (scale.abs() > torch.finfo(scale.dtype).tiny ** 0.25)
    return modules[source.target] if bool(is_safe.all()) else None


def _has_activation(layer: Any) -> bool:
    """Whether it is timm's BatchNorm with an activation behind it."""
    return type(layer).__name__ == "BatchNormAct2d" and hasattr(layer, "drop") and hasattr(layer, "act")


def _scale_and_shift(layer: Any) -> tuple[Tensor, Tensor]:
    """Return a and beta of ``y = a (x - RM) + beta``."""
    scale = (layer.running_var + layer.eps).rsqrt()
    if layer.weight is None:
        return scale, torch.zeros_like(scale)
    return scale * layer.weight.detach(), layer.bias.detach().clone()


def _replace(traced: fx.GraphModule, node: Any, layer: Any, *, is_folded: bool) -> Any:
    """Put the measuring layer in place of a BatchNorm; return the node of its distances."""
    graph, modules = traced.graph, dict[Any, Any](traced.named_modules())
    norm = FoldedNorm(layer) if is_folded else MeasuredNorm(layer)
    name = node.target.replace(".", "_") + "_measured"
    traced.add_submodule(name, norm)
    with graph.inserting_before(node):
        both = graph.call_module(name, node.args)
        features, distances = (graph.call_function(operator.getitem, (both, number)) for number in (0, 1))
    if is_folded and _has_activation(layer):
        traced.add_submodule(name + "_activation", nn.Sequential(layer.drop, _not_in_place(layer.act)))
        with graph.inserting_before(node):
            features = graph.call_module(name + "_activation", (features,))
    node.replace_all_uses_with(features)
    graph.erase_node(node)
    if isinstance(norm, FoldedNorm) and not _has_activation(layer):
        users = list(features.users)
        norm.rectifies = len(users) == 1 and _is_relu(users[0], modules)
        if norm.rectifies:  # the ReLU behind it, where that is all that follows
            users[0].replace_all_uses_with(features)
            graph.erase_node(users[0])
    return distances


def _is_relu(node: Any, modules: dict[Any, Any]) -> bool:
    if node.op == "call_module":
        return type(modules.get(node.target)) is nn.ReLU
    return (node.op == "call_function" and node.target in _RELUS) or (
        node.op == "call_method" and node.target in ("relu", "relu_")
    )


def _keep_outputs(traced: fx.GraphModule) -> None:
    """Let nothing change a tensor in place but the fresh result of a sum: gradients need what the layers gave."""
    modules = dict[Any, Any](traced.named_modules())
    for node in traced.graph.nodes:
        if node.op == "call_function" and node.target in _OUT_OF_PLACE:
            node.target = _OUT_OF_PLACE[node.target]
    for node in traced.graph.nodes:
        source = node.args[0] if node.args else None
        if not node.args or (isinstance(source, fx.Node) and source.target in (operator.add, torch.add)):
            continue
        if node.op == "call_module":
            _not_in_place(modules[node.target])
        elif node.op == "call_function" and node.kwargs.get("inplace"):
            node.kwargs = {**node.kwargs, "inplace": False}
        elif node.op == "call_method" and node.target.endswith("_"):
            node.target = node.target.removesuffix("_")


def _not_in_place(module: Any) -> Any:
    for part in module.modules():
        if getattr(part, "inplace", False):
            part.inplace = False
    return module
