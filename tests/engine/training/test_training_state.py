"""The state of a training: everything comes back, into any layout of memory, and another training's is refused."""

import json

import pytest
import torch
from torch import nn

from delt_engine.config import SqueezeConfig
from delt_engine.errors import CheckpointError
from delt_engine.training.state import TrainingState, check_facts, fill, flat_tensors


def network(seed: int, classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, classes)]
    return nn.Sequential(*layers)


def optimizer_of(model: nn.Module, name: str) -> torch.optim.Optimizer:
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(model.parameters(), lr=0.1, fused=name == "fused")


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batches: torch.Tensor) -> None:
    for images in batches:  # (B, 3, 4, 4)
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", ["sgd", "adamw", "fused"])
def test_what_was_put_back_goes_on_to_the_same_bits(name, layout) -> None:
    batches = torch.randn(4, 5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    first, second = (network(seed).to(memory_format=layout) for seed in (1, 2))
    first_optimizer, second_optimizer = optimizer_of(first, name), optimizer_of(second, name)
    train(first, first_optimizer, batches[:2])
    kept = flat_tensors({"network": first}, first_optimizer)
    before = {key: value.clone() for key, value in kept.items()}
    assert all(value.is_contiguous() for value in kept.values())
    fill(kept, {"network": second}, second_optimizer)
    train(first, first_optimizer, batches[2:])
    train(second, second_optimizer, batches[2:])
    ends = [
        flat_tensors({"network": model}, used) for model, used in ((first, first_optimizer), (second, second_optimizer))
    ]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())
    assert all(torch.equal(kept[key], value) for key, value in before.items())  # what was kept did not move on


SETTINGS = SqueezeConfig(epochs=7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 2}, r"^state: it is of seed 1, but this training has seed 2\.$"),
        ({"settings": SqueezeConfig(epochs=8)}, r"^state: it is of a training with other settings, so this one cannot"),
        ({"dataset": "e"}, r"^state: it is of a training on another dataset, so this one cannot go on from it\.$"),
    ],
)
def test_other_facts_are_refused(changes, message) -> None:
    state = TrainingState({}, {"seed": 1, "settings": SETTINGS.model_dump_json(), "dataset": "d"})
    check_facts(state, seed=1, settings=SETTINGS)
    check_facts(state, seed=1, settings=SETTINGS, dataset="d")
    with pytest.raises(CheckpointError, match=message):
        check_facts(state, **{"seed": 1, "settings": SETTINGS, "dataset": "d", **changes})


def test_settings_that_came_later_count_as_their_defaults_and_unknown_ones_as_others() -> None:
    told = json.loads(SETTINGS.model_dump_json())
    del told["label_smoothing"]
    check_facts(TrainingState({}, {"seed": 1, "settings": json.dumps(told)}), seed=1, settings=SETTINGS)
    for wrong in ({**told, "no_such_setting": 1}, {**told, "epochs": -1}, []):
        state = TrainingState({}, {"seed": 1, "settings": json.dumps(wrong)})
        with pytest.raises(CheckpointError, match="other settings"):
            check_facts(state, seed=1, settings=SETTINGS)
