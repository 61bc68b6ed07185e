"""The state of a student after an epoch, as flat tensors for a safetensors file and plain facts for a JSON one.

Names of tensors: ``network/<name>``, ``ema/<name>`` and ``optimizer/<parameter's number>/<name>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from delt_engine.errors import CheckpointError
from delt_engine.models.checkpoints import differences, fit_state


@dataclass(frozen=True, eq=False)
class StudentState:
    """Everything a student needs to go on after an epoch to the same bits on the same device.

    Attributes:
        tensors: name to contiguous tensor on the CPU: weights, optimiser and averaged weights.
        facts: plain JSON values: ``seed``, ``epoch`` (done), ``settings``, ``curve``, ``ema_curve``, ``seconds``.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def flat_tensors(networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies on the CPU of all weights, by network, and of the optimiser's memory."""
    tensors = {
        f"{part}/{key}": _copy(value) for part, net in networks.items() for key, value in net.state_dict().items()
    }
    for number, memory in optimizer.state_dict()["state"].items():
        for key, value in memory.items():
            if value is not None:  # SGD keeps no momentum before its first step
                tensors[f"optimizer/{number}/{key}"] = _copy(torch.as_tensor(value))
    return tensors


def fill(tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
    """Put back what :func:`flat_tensors` returned.

    Raises:
        CheckpointError: weights that are not these networks'.
    """
    for part, network in networks.items():
        prefix = f"{part}/"
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if differences(network, own):
            raise CheckpointError("state: it is of another network, so this student cannot go on from it.")
        fit_state(network, own, part)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    memory: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        if part == "optimizer":
            number, _, key = rest.partition("/")
            memory.setdefault(int(number), {})[key] = _laid_out_as(weights[int(number)], value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": memory})


def check_facts(state: StudentState, seed: int, settings: str) -> None:
    """Refuse the state of another training.

    Raises:
        CheckpointError: it has another seed or other settings.
    """
    if state.facts["seed"] != seed:
        raise CheckpointError(f"state: it is of seed {state.facts['seed']}, but the student has seed {seed}.")
    if state.facts["settings"] != settings:
        raise CheckpointError("state: it is of a training with other settings, so this one cannot go on from it.")


def _copy(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True).contiguous()


def _laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return ``value`` with the memory layout of ``weight``: fused optimisers take both in the order of memory."""
    return torch.empty_like(weight, device=value.device).copy_(value) if value.shape == weight.shape else value
