from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.checkpoints import weights_fingerprint
from delt_engine.training import image_table
from delt_engine.training.augmentation import augmented
from delt_engine.training.draws import draw_epoch
from delt_engine.training.relabel import (
    RelabelProgress,
    StoredLabels,
    TeacherLabels,
    begin_store,
    relabel,
    table_fingerprint,
    write_epochs,
)
from delt_engine.training.soft_labels import MANIFEST, LabelStore
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
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, len(TRAIN.class_names)),
        )
    return network.train()


def written(out: Path, config: EvaluateConfig = CONFIG, settings: RelabelConfig = EXACT, **values) -> list:
    given = {"seed": 5, "device": "cpu", "out": out, **values}
    return list(relabel(TRAIN, teacher(), config, settings, **given))


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
            images = images.contiguous(memory_format=torch.channels_last)
            asked = live.soft_logits(epoch, number, images, one)
            assert torch.equal(stored.soft_logits(epoch, number, images, other), asked)
            assert torch.equal(stored.soft_logits(epoch, number, images[2:5], other, slice(2, 5)), asked[2:5])


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


def test_progress_counts_batches_and_bytes_and_ends_in_the_store(tmp_path):
    *progress, store = written(tmp_path)
    steps = -(-len(TRAIN) // 8)
    assert all(isinstance(each, RelabelProgress) for each in progress)
    assert [(each.epoch, each.step) for each in progress] == [(e, s) for e in (1, 2, 3) for s in range(1, steps + 1)]
    assert progress[-1].bytes_written == progress[-1].bytes_total
    assert progress[-1].bytes_total == sum(f.stat().st_size for f in tmp_path.iterdir() if f.name != MANIFEST)
    assert isinstance(store, LabelStore)
    assert store.is_complete


def test_an_interrupted_store_goes_on_and_ends_in_the_same_bytes(tmp_path):
    written(tmp_path / "whole")
    run = relabel(TRAIN, teacher(), CONFIG, EXACT, seed=5, device="cpu", out=tmp_path / "cut")
    for progress in run:
        if progress.epoch == 2:
            break
    run.close()
    with pytest.raises(DataError, match=r"epoch 2 is not in .*; run the same `delt relabel` again"):
        opened(tmp_path / "cut")
    first = (tmp_path / "cut" / "epoch-0001.safetensors").stat().st_mtime_ns
    rest = written(tmp_path / "cut")
    assert {each.epoch for each in rest[:-1]} == {2, 3}
    assert (tmp_path / "cut" / "epoch-0001.safetensors").stat().st_mtime_ns == first
    names = sorted(file.name for file in (tmp_path / "whole").iterdir())
    assert names == sorted(file.name for file in (tmp_path / "cut").iterdir())
    assert all((tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes() for name in names)


def test_epochs_may_be_written_in_any_order_and_end_in_the_same_bytes(tmp_path):
    *progress, whole = written(tmp_path / "whole")
    store = begin_store(TRAIN, teacher(), CONFIG, EXACT, seed=5, device="cpu", out=tmp_path / "parts")
    assert store.missing == [1, 2, 3]
    told = list(write_epochs(store, [3, 1], TRAIN, teacher(), CONFIG, device="cpu"))
    assert [each.epoch for each in told] == [3] * (len(told) // 2) + [1] * (len(told) // 2)
    assert told[-1].bytes_written == 2 * told[-1].bytes_total // 3
    assert store.missing == [2]
    list(write_epochs(store, store.missing, TRAIN, teacher(), CONFIG, device="cpu"))
    assert store.is_complete
    for path in whole.path.iterdir():
        assert (store.path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("form", ["float32", "uint8"])
def test_labels_reduced_to_all_directions_are_the_teachers_and_go_on_after_a_stop(tmp_path, form):
    settings = RelabelConfig(form=form, directions=3)
    exact, _ = written(tmp_path / "exact")[-1], written(tmp_path / "reduced", settings=settings)
    found, wanted = opened(tmp_path / "reduced"), StoredLabels(exact)
    draws = found.draws(3).batch(0, 8)
    logits = [source.soft_logits(3, 0, torch.zeros(1), draws) for source in (found, wanted)]
    assert (logits[0] - logits[1]).abs().max() < (1e-5 if form == "float32" else 2e-3)
    kept = {path.name: path.read_bytes() for path in (tmp_path / "reduced").iterdir()}
    (tmp_path / "reduced" / "epoch-0002.safetensors").unlink()
    written(tmp_path / "reduced", settings=settings)
    assert {path.name: path.read_bytes() for path in (tmp_path / "reduced").iterdir()} == kept


def test_the_teacher_is_asked_in_eval_mode_and_left_as_it_was(tmp_path):
    network = teacher()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    list(relabel(TRAIN, network, CONFIG, EXACT, seed=5, device="cpu", out=tmp_path))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not TeacherLabels(network).soft_logits(1, 0, torch.zeros(2, 3, 8, 8), None).requires_grad


def test_other_images_another_seed_and_settings_left_open_are_refused(tmp_path):
    written(tmp_path)
    with pytest.raises(DataError, match="has labels of .*, not of these images"):
        opened(tmp_path, train=TRAIN.with_labels(TRAIN.labels[::-1]))
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
        TRAIN.with_labels(TRAIN.labels[::-1]),
        *(
            image_table.replace(TRAIN, **change)
            for change in ({"image_u8": pixel}, {"mean": (0.1, 0.2, 0.3)}, {"mosaic": 2})
        ),
    ]
    prints = {table_fingerprint(table) for table in [TRAIN, *changed]}
    assert len(prints) == 5
    assert table_fingerprint(TRAIN) == table_fingerprint(image_table.replace(TRAIN, title="other"))
