"""An iteration with static shapes: the same operations on the same memory each time, which a CUDA graph replays.

What changes from one iteration to the next is looked up on the device by a counter that lies there too: the crops, as
matrix products (:mod:`delt_engine.recovery.matrix_crop`), and the learning rate. So within a round, where the number
of joined images stays, the host has nothing to say: the first iteration of a round is captured once, and every
iteration is one replay. Losses lie in the graph's memory and are read when they are asked for; the next iteration
writes over them.

A step is warmed up on copies, on a stream of its own, before it is captured, so a capture that fails has moved
nothing: the loop goes on without a graph, and :attr:`StaticSteps.reason` says why.

Held to the plain step on a CPU, also through torch.compile as one graph without a break. On an H200 images recovered in
bfloat16 are to the byte those of steps without a graph.

Source: ours; :mod:`delt_engine.models.cuda_graphs` captures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.optim.adam import adam

from delt_engine.config import RecoverConfig
from delt_engine.models.cuda_graphs import beside, capture
from delt_engine.models.device import is_out_of_memory, same_bits
from delt_engine.recovery.batches import clock
from delt_engine.recovery.curriculum import learning_rate_at
from delt_engine.recovery.matrix_crop import apply_matrices
from delt_engine.recovery.objective import Losses
from delt_engine.recovery.speed import FastPath

WARM_UPS = 3
ADAM_EPS = 1e-8  # torch.optim.Adam's default, which the published code keeps

LossesOf = Callable[[Tensor, Tensor], Losses]


@dataclass(frozen=True, eq=False)
class Buffers:
    """What a step moves, in place: n joined images with Adam's moments, and the number of completed iterations."""

    images: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    iteration: Tensor  # int64 (1,)

    def copy(self) -> Buffers:
        """Return buffers of the same values that a step may move."""
        return Buffers(*(tensor.clone() for tensor in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Tables:
    """What a step looks up, on the device.

    Attributes:
        rows: int64 ``(MI, G, 7)``, the crop of each group in each iteration.
        rates: float64 ``(MI,)``, the learning rate.
        first: iteration of the first step, int64: ``(1,)`` for all images, or ``(n, 1, 1, 1)``.
        low, high: bounds of valid values, ``(3, 1, 1)``.
        labels: int64 ``(n,)`` in the order of the groups.
        places: which image stands where, group after group; None where they stand so already.
    """

    rows: Tensor
    rates: Tensor
    first: Tensor
    low: Tensor
    high: Tensor
    labels: Tensor
    places: Tensor | None = None


def static_step(
    buffers: Buffers, tables: Tables, losses_of: LossesOf, betas: tuple[float, float], fast: FastPath
) -> Losses:
    """Take one iteration; the losses are those before it, without gradients."""
    leaf = buffers.images.detach().requires_grad_()
    shown = leaf if tables.places is None else leaf.index_select(0, tables.places)
    rows = tables.rows.index_select(0, buffers.iteration)[0]
    crops = apply_matrices(shown, rows)
    if fast.channels_last:
        crops = crops.contiguous(memory_format=torch.channels_last)
    losses = losses_of(crops, tables.labels)
    (gradient,) = torch.autograd.grad(len(rows) * losses.total, leaf)  # each group's images see its loss alone
    rate = tables.rates.index_select(0, buffers.iteration)
    _move(buffers, gradient, rate, tables.first, betas, is_fused=fast.fused_adam)
    buffers.images.clamp_(tables.low, tables.high)
    buffers.iteration.add_(1)
    return Losses(*(value.detach() for value in losses))


def _move(
    buffers: Buffers, gradient: Tensor, rate: Tensor, first: Tensor, betas: tuple[float, float], *, is_fused: bool
) -> None:
    """Move the images by one step of Adam: in one kernel where all have the same step count."""
    beta1, beta2 = betas
    images, exp_avg, exp_avg_sq = buffers.images, buffers.exp_avg, buffers.exp_avg_sq
    done = buffers.iteration - first
    if is_fused and done.dim() == 1:
        if gradient.stride() != images.stride():  # the kernel goes by addresses
            gradient = torch.empty_like(images).copy_(gradient)
        adam(
            *([images], [gradient], [exp_avg], [exp_avg_sq], [], [done[0].float()]),
            fused=True,
            capturable=images.is_cuda,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=rate[0].float(),
            weight_decay=0.0,
            eps=ADAM_EPS,
            maximize=False,
        )
        return
    steps = (done + 1).double()
    step_size, root = rate / (1 - beta1**steps), (1 - beta2**steps).sqrt()
    exp_avg.lerp_(gradient, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    denominator = (exp_avg_sq.sqrt() / root.to(images.dtype)).add_(ADAM_EPS)
    images.sub_(exp_avg / denominator * step_size.to(images.dtype))


def rates(config: RecoverConfig) -> Tensor:
    """Return the learning rate of every iteration, float64 ``(MI,)``."""
    found = [
        learning_rate_at(*clock(iteration, config), config.learning_rate) for iteration in range(config.iterations)
    ]
    return torch.tensor(found, dtype=torch.float64)


class StaticSteps:
    """The iterations of a batch, a round at a time.

    Args:
        tables: of the whole batch; labels and places are given with each round.
        losses_of: of crops and labels.
        fast: a step in less memory leaves the device, so it has no graph.
    """

    def __init__(self, tables: Tables, losses_of: LossesOf, config: RecoverConfig, fast: FastPath) -> None:
        self._tables, self._losses_of, self._fast = tables, losses_of, fast
        self._betas, self._is_captured = (config.beta1, config.beta2), fast.graph and not fast.low_memory
        self._graph: torch.cuda.CUDAGraph | None = None
        self._losses: Losses | None = None
        self.reason = ""
        """Why steps are taken without a graph, where one was asked for."""

    def begin_round(self, buffers: Buffers, labels: Tensor, places: Tensor | None) -> None:
        """Take other buffers, with as many images as have joined, and capture a step on them."""
        first = self._tables.first if self._tables.first.dim() == 1 else self._tables.first[: len(labels)]
        self._round = replace(self._tables, labels=labels, places=places, first=first)
        self._buffers = buffers
        if not self._is_captured:
            return
        try:
            self._capture()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            self._graph, self._is_captured = None, False
            self.reason = f"a step cannot be captured as a CUDA graph: {str(error).splitlines()[0]}"

    def take(self) -> Losses:
        """Take an iteration; its losses are written over by the next one."""
        if self._graph is None:
            return self._step(self._buffers)
        self._graph.replay()
        assert self._losses is not None
        return self._losses

    @same_bits()
    def _step(self, buffers: Buffers) -> Losses:
        return static_step(buffers, self._round, self._losses_of, self._betas, self._fast)

    def _capture(self) -> None:
        self._graph = self._losses = None  # the memory of the round before is free for this one
        device = self._buffers.images.device

        def warm_up() -> None:
            copies = self._buffers.copy()
            for _ in range(WARM_UPS):
                copies.iteration.copy_(self._buffers.iteration)  # also where the run ends sooner
                self._step(copies)

        if device.type == "cuda":
            beside(warm_up, device)
        self._graph, self._losses = capture(lambda: self._step(self._buffers), device)
