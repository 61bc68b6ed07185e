import itertools
import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from tiny_data import tiny_dataset

import delt_engine.training.squeeze as module
from delt_engine.config import SqueezeConfig
from delt_engine.errors import CheckpointError, ConfigError, DataError
from delt_engine.models.card import read_card
from delt_engine.models.checkpoints import save_teacher, weights_fingerprint
from delt_engine.models.teachers import load_teacher
from delt_engine.training.squeeze import (
    SqueezedEpoch,
    SqueezeEpoch,
    SqueezeProgress,
    SqueezeRecord,
    SqueezeResult,
    squeeze,
)
from delt_engine.training.state import TrainingState

QUICK = SqueezeConfig(network="convnet-3", width=0.1, epochs=3, batch_size=16, learning_rate=0.05)


def test_records_come_in_order_and_the_loss_falls():
    records = list(squeeze(tiny_dataset(), QUICK, seed=1, device="cpu"))
    kinds = [type(record) for record in records]
    assert kinds == ([SqueezeProgress] * 4 + [SqueezedEpoch]) * 3 + [SqueezeResult]  # 72 images: 4 steps of 16
    epochs = [record for record in records if isinstance(record, SqueezeEpoch)]
    assert epochs[-1].loss < 0.5 * epochs[0].loss
    assert epochs[-1].test_accuracy > 90
    steps = [(record.epoch, record.step) for record in records if isinstance(record, SqueezeProgress)]
    assert steps == [(epoch, step) for epoch in (1, 2, 3) for step in (1, 2, 3, 4)]


def test_result_is_a_frozen_teacher_that_loads_again(tmp_path):
    dataset = tiny_dataset()
    *_, last, result = squeeze(dataset, QUICK, seed=1, device="cpu")
    assert not result.network.training
    assert not any(weight.requires_grad for weight in result.network.parameters())
    card = result.card
    assert (card.network, card.width, card.stem, card.image_size) == ("convnet-3", 0.1, "stock", 8)
    assert (card.class_names, card.dataset, card.dataset_fingerprint) == (("red", "green", "blue"), "colours", "tiny")
    assert (card.accuracy, card.epochs) == (last.test_accuracy, 3)
    assert card.fingerprint == weights_fingerprint(result.network.state_dict())
    path = save_teacher(tmp_path / "mine.safetensors", result.network, card)
    assert read_card(path) == replace(card, name="mine")
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(load_teacher(str(path), dataset=dataset).network(images), result.network(images))


@pytest.mark.parametrize("name", ["convnet-3", "mobilenet_v3_small"])  # the second one has dropout
def test_same_seed_same_weights_and_no_global_generator_moves(name):
    config = QUICK.replace(network=name, width=0.1, epochs=1)

    def train(seed):
        torch.rand(3)  # the global generator stands elsewhere each time
        before = torch.get_rng_state()
        *_, result = squeeze(tiny_dataset(train=8), config, seed=seed, device="cpu")
        assert torch.equal(before, torch.get_rng_state())
        return result.card.fingerprint

    first = train(5)
    assert train(5) == first
    assert train(6) != first


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_optimiser_and_precision_learns(optimizer, precision):
    config = QUICK.replace(optimizer=optimizer, precision=precision, learning_rate=0.02, schedule="cosine", epochs=4)
    epochs = [r for r in squeeze(tiny_dataset(), config, seed=1, device="cpu") if isinstance(r, SqueezeEpoch)]
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].test_accuracy > 90


def test_cosine_starts_at_the_learning_rate_and_one_cycle_rises_to_it():
    rates = {}
    for schedule in ("cosine", "one-cycle"):
        records = squeeze(tiny_dataset(), QUICK.replace(schedule=schedule), seed=0, device="cpu")
        rates[schedule] = [r.learning_rate for r in records if isinstance(r, SqueezeProgress)]
    for step, rate in enumerate(rates["cosine"]):  # 12 steps
        assert rate == pytest.approx(0.05 * (1 + math.cos(math.pi * step / 12)) / 2)
    assert rates["one-cycle"][0] == pytest.approx(0.05 / 25)
    assert max(rates["one-cycle"]) == pytest.approx(0.05, rel=0.1)
    assert rates["one-cycle"][-1] < 0.001


def test_steps_take_a_factor_of_the_rate_every_so_many_epochs():
    config = QUICK.replace(schedule="steps", step_epochs=2, step_factor=0.5, epochs=5)
    records = squeeze(tiny_dataset(train=8), config, seed=0, device="cpu")
    rates = {record.epoch: record.learning_rate for record in records if isinstance(record, SqueezeProgress)}
    assert rates == pytest.approx({1: 0.05, 2: 0.05, 3: 0.025, 4: 0.025, 5: 0.0125})


def test_a_teacher_sees_each_image_from_both_sides_in_turn(monkeypatch):
    seen, cropped = [], module.cropped_and_mirrored

    def spied(pixels, min_crop, flip, *place):
        shown = cropped(pixels, min_crop, flip, *place)
        seen.append({one.sum().item(): torch.equal(one, other) for one, other in zip(pixels, shown, strict=True)})
        return shown

    monkeypatch.setattr(module, "cropped_and_mirrored", spied)
    config = QUICK.replace(epochs=3, min_crop=1.0, batch_size=24, alternate_flips=True)
    list(squeeze(tiny_dataset(train=8), config, seed=0, device="cpu"))
    first, second, third = seen
    assert first == third != second
    assert all(first[image] != second[image] for image in first)


def test_a_teacher_sees_cutout_before_randaugment_and_crops_stay_as_they_were(monkeypatch):
    seen = []
    cropped = module.cropped_and_mirrored

    def spied(pixels, min_crop, flip, draws, *place):
        seen.append((pixels.clone(), draws.get_state()))
        return cropped(pixels, min_crop, flip, draws, *place)

    monkeypatch.setattr(module, "cropped_and_mirrored", spied)

    def first_batch(**changes):
        seen.clear()
        next(squeeze(tiny_dataset(), QUICK.replace(**changes), seed=2, device="cpu"))
        return seen[0]

    plain, state = first_batch()
    painted, painted_state = first_batch(cutout=0.5)
    inverted, inverted_state = first_batch(cutout=0.5, rand_augment="m9-n1-p1")
    assert torch.equal(state, painted_state)
    assert torch.equal(state, inverted_state)
    is_changed = (painted != plain).any(1)  # (B, S, S)
    # of 8 px a square of 2 on either side of its centre and the centre: 5 x 5, cut at the border
    assert all(9 <= count <= 25 for count in is_changed.sum((1, 2)).tolist())
    assert (inverted != painted).any()
    with pytest.raises(ConfigError, match="rand_augment: 'much' given, but 'much' is none of m, n, mstd"):
        next(squeeze(tiny_dataset(), QUICK.replace(rand_augment="much"), seed=2, device="cpu"))


def test_label_smoothing_keeps_the_loss_up():
    losses = []
    for smoothing in (0.0, 0.3):
        *_, last, _ = squeeze(tiny_dataset(), QUICK.replace(label_smoothing=smoothing), seed=1, device="cpu")
        losses.append(last.loss)
    # least loss with smoothing 0.3 over 3 classes: the entropy of (0.8, 0.1, 0.1)
    assert losses[1] > 0.639 > losses[0]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"classes": 1}, "dataset: colours has one class, but a teacher needs at least 2"),
        ({"train": 0}, "dataset: colours has 0 training images in 0 classes, but a teacher needs at least 2 images"),
    ],
)
def test_data_that_cannot_teach_is_one_sentence(sizes, message):
    with pytest.raises(DataError, match=message):
        next(squeeze(tiny_dataset(**sizes), QUICK, seed=0, device="cpu"))


def test_no_test_images_means_no_accuracy():
    *_, last, result = squeeze(tiny_dataset(test=0), QUICK.replace(epochs=1), seed=0, device="cpu")
    assert last.test_accuracy is None
    assert result.card.accuracy is None


def test_a_loss_that_explodes_names_the_learning_rate():
    config = QUICK.replace(learning_rate=10.0, optimizer="sgd", schedule="cosine", weight_decay=1.0, epochs=200)
    with pytest.raises(ConfigError, match=r"learning_rate: 10 given, but the loss is not finite any more in step"):
        list(squeeze(tiny_dataset(), config, seed=0, device="cpu"))


def test_card_says_how_to_train_the_teacher_again():
    config = QUICK.replace(epochs=1, flip=False, label_smoothing=0.1)
    *_, result = squeeze(tiny_dataset(train=8), config, seed=4, device="cpu")
    assert result.card.source == (
        "delt squeeze --dataset colours --image-size 8 --network convnet-3 --width 0.1 --epochs 1 --batch-size 16 "
        "--learning-rate 0.05 --label-smoothing 0.1 --no-flip --seed 4"
    )


pytestmark = pytest.mark.usefixtures("one_thread")
CONFIG = SqueezeConfig(network="convnet-3", width=0.1, epochs=4, batch_size=16, learning_rate=0.02)
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
    ("optimizer", "schedule", "precision", "changes"),
    [
        *((*row, {}) for row in itertools.product(["sgd", "adamw"], ["one-cycle", "cosine"], ["float32", "bfloat16"])),
        ("adam", "steps", "float32", {"step_epochs": 3, "cutout": 0.5, "rand_augment": "m5-n2-mstd1"}),
    ],
)
def test_going_on_after_any_epoch_gives_the_same_bits(optimizer, schedule, precision, changes) -> None:
    config = CONFIG.replace(optimizer=optimizer, schedule=schedule, precision=precision, **changes)
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
    config = CONFIG.replace(**changes)
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
    *_, state = trained(CONFIG)[1]
    with pytest.raises(CheckpointError, match=f"^state: it is of {message}$"):
        next(squeeze(dataset, CONFIG, seed=3, device="cpu", state=state))


def test_a_long_test_can_be_stopped_between_its_parts(monkeypatch) -> None:
    config = CONFIG.replace(epochs=1)
    whole = list(squeeze(tiny_dataset(), config, seed=3, device="cpu"))
    monkeypatch.setattr(module, "_TESTED_AT_ONCE", 10)  # 36 test images: parts of 10, 10, 10 and 6
    parts = list(squeeze(tiny_dataset(), config, seed=3, device="cpu"))
    steps = [record for record in parts if isinstance(record, SqueezeProgress)]
    assert steps[:4] == [record for record in whole if isinstance(record, SqueezeProgress)]
    assert steps[4:] == [steps[3]] * 3
    assert told(parts[-2:]) == told(whole[-2:])
