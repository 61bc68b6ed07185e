"""The training loop of teachers and students: the same steps on other batches, towards another loss.

A subclass says what a batch is, what its loss is and what is said of it; steps, reading the loss, several ranks and
the state to go on from are here. Losses stay on the device and are read now and then, since each reading waits for it.
Several ranks train one network as :mod:`delt_engine.training.distributed` says: each draws what is random for the
whole batch and takes its rows of it.

Shapes: B images in a batch, n of them in this rank, S side in pixels, K classes.

Source of the learning rates: DELT evaluation/validation (half-cosine: the factor is half of 1 + cos(pi * epoch /
epochs / 2), so it ends at half its start; other papers call that slowed down by 2); SRe2L's IN-1K training (cosine);
EDC's CIFAR-10 training (a tenth at epochs 800, 900 and 950 of 1,000); Smith and Topin, "Super-Convergence" (one
cycle); CDA Table 16a (steps of a teacher).
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, StepLR
from torch.optim.swa_utils import AveragedModel

from delt_engine.config import SqueezeConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.models.device import memory_format
from delt_engine.models.networks import build_network
from delt_engine.seeding import seeded
from delt_engine.training.distributed import Team
from delt_engine.training.replayed import ReplayedSteps, can_replay
from delt_engine.training.state import TrainingState, check_facts, fill, flat_tensors

READS_PER_EPOCH = 20
_STEPS = (16, 18, 19)  # twentieths of the epochs: 80, 90 and 95 %

_Config = TypeVar("_Config", SqueezeConfig, EvaluateConfig)


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's images, as far as they are this rank's.

    Attributes:
        images: float (n, 3, S, S), augmented and normalised.
        target: what the loss compares the logits with.
        count: B, of all ranks.
        dropout_seed: of the step.
    """

    images: Tensor
    target: Any
    count: int
    dropout_seed: int


class Training(ABC, Generic[_Config]):
    """A network, its optimiser, and how far its training is.

    Args:
        config: of it are taken the number of epochs, the precision and the learning rate.
        network: with its initial weights, the same ones in every rank.
        seed: what everything random follows from.
        team: the ranks that train it together.
        dataset: fingerprint of what it learns, where states are bound to that.
    """

    optimizer: torch.optim.Optimizer
    steps: int
    """Batches of an epoch."""
    fewest_steps_between = 1
    """An epoch of few steps may be read only at its end."""
    reads_at_end = False
    """Whether losses are read at the end of an epoch alone, since others use the device in between."""
    is_deterministic = False
    """Whether cuDNN is held to kernels that give the same bits each time."""

    def __init__(
        self,
        config: _Config,
        network: nn.Module,
        seed: int,
        device: torch.device,
        team: Team,
        dataset: str | None = None,
    ) -> None:
        self.config: _Config = config
        self.seed, self.device, self.team, self.dataset = seed, device, team, dataset
        network = team.synchronised(network, device)
        self.layout = memory_format(network, device)
        self.network = network.to(device).to(memory_format=self.layout)
        self.forward = team.parallel(self.network)
        self.averaged: AveragedModel | None = None
        self.use_bfloat16 = uses_bfloat16(config, device)
        self.replayed: ReplayedSteps | None = None
        self.done = 0
        self.rate = math.nan
        self.loss = math.nan
        """Of the epoch as last read; NaN before the first reading."""
        self._began = time.perf_counter()

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch (from 1), with ``rate`` and the optimiser's rates set for each."""

    @abstractmethod
    def measured(self, logits: Tensor, target: Any) -> tuple[Tensor, ...]:
        """Return the mean loss over this rank's images, and of how many of them something else holds."""

    @abstractmethod
    def read(self, sums: Tensor, step: int) -> None:
        """Set ``loss``, and what else is said of an epoch, from the sums of what was measured in ``step`` steps."""

    @abstractmethod
    def step_record(self, epoch: int, step: int) -> Any:
        """Return the record of a step."""

    @abstractmethod
    def tested(self, epoch: int) -> Iterator[None]:
        """Test after an epoch where it is its turn; yield now and then when that takes long."""

    @abstractmethod
    def epoch_record(self, epoch: int) -> Any:
        """Return the record of an epoch and its test."""

    @abstractmethod
    def result(self) -> Any:
        """Return the last record."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return plain values that going on needs besides weights, seed and settings."""

    @abstractmethod
    def restore(self, facts: Mapping[str, Any]) -> None:
        """Take them back."""

    def records(self, state: TrainingState | None) -> Iterator[Any]:
        """Train to the end; yield a record a step, a record an epoch, and the result.

        Args:
            state: after an epoch of this training, to go on from.

        Raises:
            ConfigError: the loss is not finite any more.
            CheckpointError: a state of another training.
            RanksLost: another rank of the team is gone.
        """
        for record in self._records(state):
            shown = time.perf_counter()
            yield record
            self._began += time.perf_counter() - shown  # what is done with a record, or by others, is no training

    def _records(self, state: TrainingState | None) -> Iterator[Any]:
        if state is not None:
            check_facts(state, seed=self.seed, settings=self.config, dataset=self.dataset)
            fill(state.tensors, self.networks, self.optimizer)
            self.done = int(state.facts["epoch"])
            self._began = time.perf_counter() - float(state.facts["seconds"])
            self.restore(state.facts)
        for epoch in range(self.done + 1, self.config.epochs + 1):
            record = None
            for record in self._epoch(epoch):
                yield record
            for _ in self.tested(epoch):
                yield record
            yield self.epoch_record(epoch)
        yield self.result()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before it went on included, those of others in between left out."""
        return time.perf_counter() - self._began

    @property
    def networks(self) -> dict[str, nn.Module]:
        """What the state has the weights of."""
        return {"network": self.network} | ({"ema": self.averaged} if self.averaged is not None else {})

    def state(self) -> TrainingState:
        """Return a copy of everything that going on needs."""
        facts = {
            "seed": self.seed,
            "epoch": self.done,
            "settings": self.config.model_dump_json(),
            "seconds": self.seconds,
            **({} if self.dataset is None else {"dataset": self.dataset}),
            **self.facts(),
        }
        return TrainingState(flat_tensors(self.networks, self.optimizer), facts)

    def _epoch(self, epoch: int) -> Iterator[Any]:
        self.network.train()
        sums, every = torch.zeros((), device=self.device), max(self.fewest_steps_between, self.steps // READS_PER_EPOCH)
        every = self.steps if self.reads_at_end else every
        for step, batch in enumerate(self.batches(epoch), start=1):
            sums = sums + self._step(batch)
            if math.isnan(self.loss) or step % every == 0 or step == self.steps:
                self.read(self.team.total(sums), step)
                if not math.isfinite(self.loss):
                    raise ConfigError(
                        f"learning_rate: {self.config.learning_rate:g} given, but the loss is not finite any more in "
                        f"step {step} of epoch {epoch}; it must be lower."
                    )
            yield self.step_record(epoch, step)
        self.team.average_statistics(*self.networks.values())
        self.done = epoch

    def replays(self, image_size: int) -> None:
        """Replay steps as a CUDA graph, where that can be done; with the optimiser in place."""
        if self.team.size == 1 and can_replay(self.network, self.device, image_size):
            self.replayed = ReplayedSteps(self._moved, self.optimizer)

    def _step(self, batch: Batch) -> Tensor:
        """Train on one batch; return what was measured, on the device; of several ranks their sum is the batch's."""
        measured = self.replayed.take(batch) if self.replayed else self._moved(batch)
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)
        return measured

    def _moved(self, batch: Batch) -> Tensor:
        deterministic = torch.backends.cudnn.flags(enabled=True, deterministic=True)  # left out, enabled would be off
        with deterministic if self.is_deterministic else nullcontext():
            is_captured = self.device.type == "cuda" and torch.cuda.is_current_stream_capturing()
            with (
                # a graph has nothing random in it, and seeds cannot be set while it is captured
                nullcontext() if is_captured else seeded(batch.dropout_seed + self.team.number, self.device),
                torch.autocast(self.device.type, torch.bfloat16, self.use_bfloat16),
            ):
                logits = self.forward(batch.images.contiguous(memory_format=self.layout))
            mean, *counts = self.measured(logits, batch.target)
            loss = self.team.weighted(mean, batch.count)
            self.optimizer.zero_grad(set_to_none=True)
            self.team.backward(loss)
        self.optimizer.step()
        return torch.stack([loss.detach(), *(self.team.counted(each, batch.count) for each in counts)])


def uses_bfloat16(config: SqueezeConfig | EvaluateConfig, device: torch.device) -> bool:
    """Return whether training steps are computed in bfloat16, which ``auto`` does on a CUDA device."""
    return config.precision == "bfloat16" or (config.precision == "auto" and device.type == "cuda")


def initial_network(
    weights: torch.Generator, network: str, num_classes: int, *, width: float, stem: str, image_size: int
) -> nn.Module:
    """Build a network with the weights that a generator stands for; the global generator is left as it was."""
    with seeded(weights.initial_seed(), torch.device("cpu")):
        return build_network(network, num_classes, width=width, stem=stem, image_size=image_size)


def teacher_optimizer(network: nn.Module, config: SqueezeConfig) -> torch.optim.Optimizer:
    """Return the teacher's optimiser; what decays is said by :func:`_groups`. Fused where a graph may replay it."""
    is_cuda = next(network.parameters()).is_cuda
    return _optimizer(network, config, config.learning_rate, **({"fused": True} if is_cuda else {}))


def student_optimizer(network: nn.Module, config: EvaluateConfig) -> torch.optim.Optimizer:
    """Return the student's optimiser; what decays is said by :func:`_groups`.

    Fused, one kernel moves all weights: measured on a CPU, a quarter of the time of the plain loop.
    """
    assert config.learning_rate is not None  # settings are resolved
    return _optimizer(network, config, config.learning_rate, fused=True)


def _optimizer(
    network: nn.Module, config: SqueezeConfig | EvaluateConfig, learning_rate: float, **how: bool
) -> torch.optim.Optimizer:
    groups = _groups(network, config.weight_decay)
    if config.optimizer == "sgd":
        is_nesterov = config.nesterov and config.momentum > 0  # torch refuses Nesterov's form of no momentum
        return torch.optim.SGD(groups, learning_rate, config.momentum, nesterov=is_nesterov, **how)
    if next(network.parameters()).is_cuda:
        how["capturable"] = True
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=learning_rate, betas=(0.9, 0.999), **how)


def _groups(network: nn.Module, weight_decay: float) -> list[dict]:
    """Let parameters of more than one dimension that are called weights decay: no biases and norms, nor class tokens.

    Those with weight decay come first: states number weights in this order.

    Source: DELT and RDED validation/utils.py ``get_parameters``.
    """
    named = [(name, weight) for name, weight in network.named_parameters() if weight.requires_grad]
    decays = [weight for name, weight in named if "weight" in name and weight.ndim > 1]
    others = [weight for name, weight in named if "weight" not in name or weight.ndim <= 1]
    return [{"params": decays, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def teacher_schedule(optimizer: torch.optim.Optimizer, config: SqueezeConfig, steps: int) -> LRScheduler:
    """Return the learning rate over all steps of a squeeze."""
    if config.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if config.schedule == "steps":
        return StepLR(optimizer, config.step_epochs * (steps // config.epochs), config.step_factor)
    return OneCycleLR(optimizer, config.learning_rate, total_steps=steps, cycle_momentum=False)


def learning_rate_at(config: EvaluateConfig, epoch_index: int, rate: float) -> float:
    """Return the learning rate of an epoch of a student, from 0, which begins at ``rate``.

    >>> config = EvaluateConfig(epochs=300)
    >>> learning_rate_at(config, 0, 0.001), round(learning_rate_at(config, 300, 0.001), 9)
    (0.001, 0.0005)
    """
    if config.lr_schedule == "steps":
        passed = sum(20 * epoch_index >= part * config.epochs for part in _STEPS)
        return rate / 10**passed
    slowed = 2 if config.lr_schedule == "half-cosine" else 1
    return rate * (1 + math.cos(math.pi * epoch_index / config.epochs / slowed)) / 2
