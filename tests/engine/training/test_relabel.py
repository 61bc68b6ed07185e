from dataclasses import replace
from pathlib import Path

import pytest
import tiny_networks
import torch
from torch import nn

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.checkpoints import weights_fingerprint
from delt_engine.training import image_table
from delt_engine.training.augmentation import augmented
from delt_engine.training.draws import draw_epoch
from delt_engine.training.relabel import StoredLabels, TeacherLabels, store_facts, table_fingerprint, write_epochs
from delt_engine.training.soft_labels import LabelStore
from delt_engine.training.students import TrainedEpoch, evaluate
from tests.tiny_data import tiny_dataset

TRAIN = image_table.real(tiny_dataset(train=7))
TEST = image_table.test_table(tiny_dataset(test=4), TRAIN)
CONFIG = EvaluateConfig(
    epochs=3,
    student="convnet-3",
    student_width=0.0625,
    student_stem="stock",
    batch_size=8,
    learning_rate=0.02,
    rand_augment="m5-n4-mstd1",
    precision="float32",
)
EXACT = RelabelConfig(form="float32")


def teacher(seed: int = 0) -> nn.Module:
    return tiny_networks.teacher(tiny_networks.conv_net(), seed).train().requires_grad_()


def begun(out: Path, config: EvaluateConfig = CONFIG, settings: RelabelConfig = EXACT) -> LabelStore:
    return LabelStore.create(out, store_facts(TRAIN, teacher(), config, settings, seed=5))


def written(out: Path, config: EvaluateConfig = CONFIG, settings: RelabelConfig = EXACT) -> LabelStore:
    store = begun(out, config, settings)
    list(write_epochs(store, store.missing, TRAIN, teacher(), "cpu"))
    return store


def opened(out: Path, config: EvaluateConfig = CONFIG, train=TRAIN, seed: int = 5) -> StoredLabels:
    return StoredLabels.open(out, train, config, seed=seed)


def test_images_and_labels_of_a_replay_are_those_of_the_fly_bit_for_bit(tmp_path):
    written(tmp_path)
    stored, live = opened(tmp_path), TeacherLabels(teacher())
    table = torch.from_numpy(TRAIN.image_u8).permute(0, 3, 1, 2)
    for epoch in (2, 1, 3):
        drawn = draw_epoch(CONFIG, len(TRAIN), TRAIN.image_size, seed=5, epoch=epoch)
        replayed = stored.draws(epoch)
        for number, (one, other) in enumerate(zip(drawn.batches(8), replayed.batches(8), strict=True)):
            images = augmented(table[one.order], one, CONFIG, TRAIN.mean, TRAIN.std)
            again = augmented(table[other.order], other, CONFIG, TRAIN.mean, TRAIN.std)
            assert torch.equal(images, again)
            asked = live.soft_logits(epoch, number, images)
            assert torch.equal(stored.soft_logits(epoch, number, images), asked)
            assert torch.equal(stored.soft_logits(epoch, number, images[2:5], slice(2, 5)), asked[2:5])


@pytest.mark.parametrize("recipe", ["delt", "rded", "edc"])
def test_a_student_of_stored_labels_equals_one_of_labels_on_the_fly_bit_for_bit(tmp_path, recipe):
    values = {name: getattr(CONFIG, name) for name in ("epochs", "student", "student_width", "student_stem")}
    more = {"batch_size": 8, "learning_rate": 0.02, "precision": "float32"}
    augment = {"rand_augment": "m5-n4-mstd1"} if recipe == "delt" else {}
    live = EvaluateConfig.for_recipe(recipe, **values, **more, **augment).at_size(TRAIN.image_size)
    written(tmp_path, live)
    replayed = live.replace(labels="stored", label_store=str(tmp_path))

    def last(config: EvaluateConfig, **source) -> dict[str, torch.Tensor]:
        steps = evaluate(TRAIN, TEST, teacher(), config, seed=5, device="cpu", **source)
        return [step.state.tensors for step in steps if isinstance(step, TrainedEpoch)][-1]

    first, second = last(live), last(replayed, labels=opened(tmp_path, replayed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_fewer_label_epochs_are_used_in_turn(tmp_path):
    store = written(tmp_path, settings=RelabelConfig(form="float32", label_epochs=2))
    assert (store.facts.epochs, store.facts.label_epochs, store.epoch_path(3).exists()) == (3, 2, False)
    config = CONFIG.replace(labels="stored", label_store=str(tmp_path))
    stored, shown = opened(tmp_path, config), torch.zeros(8, 3, 8, 8)
    assert stored.draws(3).checksum == store.facts.draw(1).checksum != stored.draws(2).checksum
    assert torch.equal(stored.soft_logits(3, 1, shown), stored.soft_logits(1, 1, shown))
    *_, result = evaluate(TRAIN, TEST, None, config, seed=5, device="cpu", labels=stored)
    assert result.curve[-1][0] == 3
    with pytest.raises(DataError, match="has labels of epochs 3, but 4 is asked for"):
        opened(tmp_path, config.replace(epochs=4))
    with pytest.raises(ConfigError, match="label_epochs: 4 given, but the training has 3 epochs"):
        begun(tmp_path / "other", settings=RelabelConfig(label_epochs=4))


def test_epochs_may_be_written_in_any_order_and_end_in_the_same_bytes(tmp_path):
    whole, store = written(tmp_path / "whole"), begun(tmp_path / "parts")
    progress = [(each.epoch, each.step) for each in write_epochs(store, [3, 1], TRAIN, teacher(), "cpu")]
    steps = -(-len(TRAIN) // 8)
    assert progress == [(epoch, step) for epoch in (3, 1) for step in range(1, steps + 1)]
    assert store.missing == [2]
    with pytest.raises(DataError, match=r"epoch 2 is not in .*; run the same `delt relabel` again"):
        opened(store.path)
    half = write_epochs(store, [2], TRAIN, teacher(), "cpu")
    next(half)
    half.close()  # stopped within an epoch, of which nothing is kept
    assert store.missing == [2]
    written(store.path)
    names = [sorted(path.name for path in each.path.iterdir()) for each in (whole, store)]
    assert names[0] == names[1]
    assert all((whole.path / name).read_bytes() == (store.path / name).read_bytes() for name in names[0])


def test_other_images_another_seed_and_settings_left_open_are_refused(tmp_path):
    written(tmp_path)
    with pytest.raises(DataError, match="has labels of .*, not of these images"):
        opened(tmp_path, train=replace(TRAIN, labels=TRAIN.labels[::-1].copy()))
    with pytest.raises(DataError, match="has labels of seed 5, but 6 is asked for"):
        opened(tmp_path, seed=6)
    with pytest.raises(DataError, match="has labels of batch size 8, but 16 is asked for"):
        opened(tmp_path, CONFIG.replace(batch_size=16))
    with pytest.raises(ConfigError, match="batch_size: it is left open"):
        written(tmp_path / "other", CONFIG.replace(batch_size=None))


def test_a_student_is_not_trained_on_labels_of_another_teacher(tmp_path):
    written(tmp_path)
    config = CONFIG.replace(labels="stored", label_store=str(tmp_path))
    made_with, other = (weights_fingerprint(teacher(seed).state_dict()) for seed in (0, 1))
    training = evaluate(TRAIN, TEST, teacher(1), config, seed=5, device="cpu", labels=opened(tmp_path))
    with pytest.raises(DataError, match=f"has labels of teacher {made_with}, but {other} is asked for"):
        next(training)
    next(evaluate(TRAIN, TEST, None, config, seed=5, device="cpu", labels=opened(tmp_path)))  # none is needed


def test_the_fingerprint_of_images_follows_every_part():
    pixel = TRAIN.image_u8.copy()
    pixel[3, 1, 1, 1] ^= 1
    changed = [
        replace(TRAIN, labels=TRAIN.labels[::-1].copy()),
        *(replace(TRAIN, **change) for change in ({"image_u8": pixel}, {"mean": (0.1, 0.2, 0.3)}, {"mosaic": 2})),
    ]
    prints = {table_fingerprint(table) for table in [TRAIN, *changed]}
    assert len(prints) == 5
    assert table_fingerprint(TRAIN) == table_fingerprint(replace(TRAIN, title="other"))
