"""A squeeze that goes on from the state after an epoch: the same bits as one that never stopped, and refusals."""

import itertools
import json
from dataclasses import asdict, replace

import pytest
import torch
from tiny_data import tiny_dataset

import delt_engine.training.squeeze as module
from delt_engine.config import SqueezeConfig
from delt_engine.errors import CheckpointError
from delt_engine.training.squeeze import SqueezedEpoch, SqueezeProgress, SqueezeRecord, SqueezeResult, squeeze
from delt_engine.training.state import TrainingState

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = SqueezeConfig(network="convnet-3", width=0.1, epochs=4, batch_size=16, learning_rate=0.02)
DATA = tiny_dataset(train=12)  # 36 images: 2 steps of 16, and 4 that wait for another epoch


def trained(config: SqueezeConfig, **more) -> tuple[list[SqueezeRecord], list[TrainingState]]:
    """Return all records and the state after every epoch, as a file would keep it."""
    records, states = [], []
    for record in squeeze(DATA, config, **{"seed": 3, "device": "cpu", **more}):
        records.append(record)
        if isinstance(record, SqueezedEpoch):
            state = record.state
            states.append(TrainingState(state.tensors, json.loads(json.dumps(state.facts))))
    return records, states


def told(records: list[SqueezeRecord]) -> list:
    """Everything that records say but seconds; of the result the card and all weights."""
    found = []
    for record in records:
        if isinstance(record, SqueezeResult):
            weights = {name: value.tolist() for name, value in record.network.state_dict().items()}
            found.append((record.card, weights))
        else:
            found.append({**asdict(record), "seconds": 0})
    return found


def same(first: TrainingState, second: TrainingState) -> bool:
    facts = [{**state.facts, "seconds": 0} for state in (first, second)]
    equal = all(torch.equal(value, second.tensors[name]) for name, value in first.tensors.items())
    return first.tensors.keys() == second.tensors.keys() and equal and facts[0] == facts[1]


@pytest.mark.parametrize(
    ("optimizer", "schedule", "precision"),
    list(itertools.product(["sgd", "adamw"], ["one-cycle", "cosine"], ["float32", "bfloat16"])),
)
def test_going_on_after_any_epoch_gives_the_same_bits(optimizer, schedule, precision) -> None:
    config = QUICK.replace(optimizer=optimizer, schedule=schedule, precision=precision)
    records, states = trained(config)
    ends = [place for place, record in enumerate(records) if isinstance(record, SqueezedEpoch)]
    for epoch, end in enumerate(ends, 1):
        assert states[epoch - 1].facts["epoch"] == epoch
        later, later_states = trained(config, state=states[epoch - 1])
        assert told(later) == told(records[end + 1 :])
        assert all(map(same, later_states, states[epoch:]))
        assert len(later_states) == config.epochs - epoch


@pytest.mark.parametrize(
    "changes", [{"network": "mobilenet_v3_small", "epochs": 2}, {"network": "resnet18", "width": 0.0625, "epochs": 2}]
)
def test_dropout_and_other_layers_go_on_to_the_same_bits(changes) -> None:
    config = QUICK.replace(**changes)
    records, states = trained(config)
    torch.rand(3)  # the global generator stands elsewhere
    later, _ = trained(config, state=states[0])
    assert told(later) == told(records[-len(later) :])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (replace(DATA, fingerprint="other"), "a training on another dataset, so this one cannot go on from it."),
        (tiny_dataset(classes=2), "another network, so this training cannot go on from it."),
    ],
)
def test_a_state_of_another_training_is_refused(dataset, message) -> None:
    *_, state = trained(QUICK)[1]
    with pytest.raises(CheckpointError, match=f"^state: it is of {message}$"):
        next(squeeze(dataset, QUICK, seed=3, device="cpu", state=state))


def test_a_long_test_can_be_stopped_between_its_parts(monkeypatch) -> None:
    config = QUICK.replace(epochs=1)
    whole = list(squeeze(tiny_dataset(), config, seed=3, device="cpu"))
    monkeypatch.setattr(module, "_TESTED_AT_ONCE", 10)  # 36 test images: parts of 10, 10, 10 and 6
    parts = list(squeeze(tiny_dataset(), config, seed=3, device="cpu"))
    steps = [record for record in parts if isinstance(record, SqueezeProgress)]
    assert steps[:4] == [record for record in whole if isinstance(record, SqueezeProgress)]
    assert steps[4:] == [steps[3]] * 3
    assert told(parts[-2:]) == told(whole[-2:])
