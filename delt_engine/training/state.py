"""The state of a training after an epoch, as flat tensors for a safetensors file and plain facts for a JSON one.

What a squeeze and a student go on from. Names of tensors: ``<network>/<name>``, such as ``network/`` and ``ema/``, and
``optimizer/<parameter's number>/<name>``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from delt_engine.errors import CheckpointError
from delt_engine.models.checkpoints import differences, fit_state


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Everything a training needs to go on after an epoch as if it had never stopped.

    Attributes:
        tensors: name to contiguous tensor on the CPU: weights and the optimiser's memory.
        facts: plain JSON values: ``seed``, ``epoch`` (done), ``settings``, ``seconds``, and what else the training
            needs.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


class WithState:
    """A record of an epoch with the state after it, which is copied from the device only when it is asked for."""

    _capture: Callable[[], TrainingState]

    def __init__(self, capture: Callable[[], TrainingState], **values: Any) -> None:
        super().__init__(**values)
        object.__setattr__(self, "_capture", capture)  # the record is frozen

    @property
    def state(self) -> TrainingState:
        """The state after this epoch; to be read before the next record is asked for."""
        return self._capture()


def flat_tensors(networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return copies on the CPU of all weights, by network, and of the optimiser's memory."""
    tensors = {f"{part}/{key}": value for part, net in networks.items() for key, value in net.state_dict().items()}
    for number, memory in optimizer.state_dict()["state"].items():
        for key, value in memory.items():
            if value is not None:  # SGD keeps no momentum before its first step
                tensors[f"optimizer/{number}/{key}"] = torch.as_tensor(value)
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}


def fill(tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
    """Put back copies of what :func:`flat_tensors` returned.

    Raises:
        CheckpointError: weights that are not these networks'.
    """
    for part, network in networks.items():
        prefix = f"{part}/"
        own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        if differences(network, own):
            raise CheckpointError("state: it is of another network, so this training cannot go on from it.")
        fit_state(network, own, part)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    memory: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        if part == "optimizer":
            number, _, key = rest.partition("/")
            memory.setdefault(int(number), {})[key] = _laid_out_as(weights[int(number)], value)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": memory})


def check_facts(state: TrainingState, *, seed: int, settings: BaseModel, dataset: str | None = None) -> None:
    """Refuse the state of another training.

    Args:
        state: what is to be resumed.
        seed: of the training.
        settings: of the training; a setting that the state does not name yet counts as its default.
        dataset: fingerprint of the images it learns; not compared where None.

    Raises:
        CheckpointError: it has another seed, other settings or another dataset.
    """
    if state.facts["seed"] != seed:
        raise CheckpointError(f"state: it is of seed {state.facts['seed']}, but this training has seed {seed}.")
    try:
        is_same = type(settings).model_validate_json(state.facts["settings"]) == settings
    except ValueError:  # pydantic's, or ours of settings that do not go together any more
        is_same = False
    if not is_same:
        raise CheckpointError("state: it is of a training with other settings, so this one cannot go on from it.")
    if dataset is not None and state.facts["dataset"] != dataset:
        raise CheckpointError("state: it is of a training on another dataset, so this one cannot go on from it.")


def _laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return a copy with the memory layout of ``weight``: fused optimisers take both in the order of memory."""
    if value.shape != weight.shape:
        return value.clone()  # a count of steps, which the optimiser would otherwise move on in the state itself
    return torch.empty_like(weight, device=value.device).copy_(value)
