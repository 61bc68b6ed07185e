import math
from dataclasses import replace

import pytest
import torch
from tiny_data import tiny_dataset

from delt_engine.config import SqueezeConfig
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.card import read_card
from delt_engine.models.checkpoints import save_teacher, weights_fingerprint
from delt_engine.models.teachers import load_teacher
from delt_engine.training.squeeze import SqueezedEpoch, SqueezeEpoch, SqueezeProgress, SqueezeResult, squeeze

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
