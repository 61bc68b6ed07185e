from __future__ import annotations

import dataclasses
import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import DataError
from delt_engine.training.draws import EpochDraws, draw_epoch
from delt_engine.training.label_codec import Basis
from delt_engine.training.soft_labels import (
    AUGMENTATION,
    MANIFEST,
    LabelStore,
    StoreFacts,
    check_fits,
    is_complete,
    predicted_bytes,
)

CONFIG = EvaluateConfig(batch_size=8, rand_augment="m5-n4-mstd1", epochs=2)


def facts(config: EvaluateConfig = CONFIG, images: int = 21, size: int = 32, classes: int = 12, **values) -> StoreFacts:
    settings = {
        "images": images,
        "num_classes": classes,
        "image_size": size,
        "mosaic": 2,
        "epochs": config.epochs,
        "seed": 0,
        "form": "float16",
        "top_k": 0,
        "directions": 0,
        "temperature": 20.0,
        "image_fingerprint": "abc",
        "teacher_fingerprint": "def",
        "augmentation": {name: getattr(config, name) for name in AUGMENTATION},
        "title": "run-1",
    }
    return StoreFacts(**{**settings, **values})


def written(path: Path, of: StoreFacts, config: EvaluateConfig = CONFIG) -> LabelStore:
    store = LabelStore.create(path, of)
    codec = of.codec
    if of.directions:
        codec = store.write_basis(Basis(torch.zeros(of.num_classes), torch.eye(of.num_classes)[: of.directions]))
    for epoch in range(1, of.epochs + 1):
        labels = torch.randn(of.images, of.num_classes, generator=torch.Generator().manual_seed(epoch))
        store.write_epoch(epoch, drawn(of, config, epoch), codec.encode(labels))
    return store


def drawn(of: StoreFacts, config: EvaluateConfig, epoch: int) -> EpochDraws:
    return draw_epoch(config, of.images, of.image_size, mosaic=of.mosaic, seed=of.seed, epoch=epoch)


def equal(first: EpochDraws, second: EpochDraws) -> bool:
    pairs = [(getattr(first, field.name), getattr(second, field.name)) for field in dataclasses.fields(EpochDraws)]
    return all(
        one is other if one is None else torch.equal(one, other) and one.dtype == other.dtype for one, other in pairs
    )


def on_disk(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir() if file.name != MANIFEST)


KINDS = {
    "delt": CONFIG,
    "rded": CONFIG.replace(rand_augment="none", shuffle_patches=True),
    "mixup": CONFIG.replace(mix="mixup", rand_augment="m9-n2-mstd101-inc1", flip=False),
    "plain": CONFIG.replace(mix="none", min_crop=1.0, rand_augment="none"),
    "one batch": CONFIG.replace(batch_size=300),
}


@pytest.mark.parametrize("size", [32, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_replayed_to_the_bit(tmp_path, kind, size):
    of = facts(KINDS[kind], images=290, size=size)
    store = written(tmp_path / "labels", of, KINDS[kind])
    for epoch in (1, 2):
        draws, labels = LabelStore.open(store.path).read_epoch(epoch)
        assert equal(draws, drawn(of, KINDS[kind], epoch))
        assert labels.keys() == {"logits"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("form", "top_k", "directions", "classes"),
    [("float32", 0, 0, 10), ("float16", 3, 0, 100), ("uint8", 5, 0, 300), ("uint8", 0, 7, 100), ("float16", 0, 70, 50)],
)
def test_the_size_is_predicted_to_the_byte(tmp_path, kind, form, top_k, directions, classes):
    relabel = RelabelConfig(form=form, top_k=top_k, directions=directions)
    of = facts(KINDS[kind], images=67, **relabel.model_dump(), classes=classes)
    written(tmp_path / "labels", of, KINDS[kind])
    size = predicted_bytes(67, classes, 2, relabel, KINDS[kind], image_size=32, mosaic=2)
    assert size.total == on_disk(tmp_path / "labels")
    assert size == of.size


@pytest.mark.parametrize("reduced", [{"top_k": 8}, {"directions": 16}])
def test_8_bits_and_few_numbers_are_a_tenth_of_float16(reduced):
    dense, few = RelabelConfig(form="float16"), RelabelConfig(form="uint8", **reduced)
    config = EvaluateConfig(rand_augment="m6-n2-mstd1", batch_size=100, epochs=300)
    thousand = [predicted_bytes(10_000, 1000, 300, form, config, image_size=224) for form in (dense, few)]
    assert thousand[0].total > 10 * thousand[1].total
    config = config.replace(rand_augment="m5-n4-mstd1")
    hundred = [predicted_bytes(1000, 100, 300, form, config, image_size=32) for form in (dense, few)]
    assert hundred[0].labels >= 10 * hundred[1].labels
    assert hundred[0].draws == hundred[1].draws


def test_a_store_goes_on_where_it_stopped_and_no_other_takes_its_folder(tmp_path):
    of = facts()
    store = written(tmp_path / "labels", of)
    assert store.is_complete
    store.epoch_path(2).unlink()
    again = LabelStore.create(tmp_path / "labels", of)
    assert [again.has_epoch(1), again.has_epoch(2), again.is_complete] == [True, False, False]
    with pytest.raises(DataError, match="holds labels of seed 0, but 1 is asked for"):
        LabelStore.create(tmp_path / "labels", facts(seed=1))
    with pytest.raises(DataError, match=r"holds labels of teacher fingerprint 'def', but 'xyz' is asked for"):
        LabelStore.create(tmp_path / "labels", facts(teacher_fingerprint="xyz"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(DataError, match="out: .* must be a new folder, an empty one, or labels to go on with"):
        LabelStore.create(tmp_path / "other", of)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_fingerprint": "xyz"}, "has labels of 'run-1', not of these images"),
        ({"seed": 4}, "has labels of seed 0, but 4 is asked for"),
        ({"epochs": 3}, "has labels of epochs 2, but 3 is asked for"),
    ],
)
def test_labels_of_something_else_are_refused(changes, said):
    with pytest.raises(DataError, match=f"label_store: labels {said}"):
        check_fits(facts(), facts(**changes), Path("labels"))


@pytest.mark.parametrize("name", AUGMENTATION)
def test_another_augmentation_is_refused(name):
    other = {"rand_augment": "none", "shuffle_patches": True, "flip": False, "mix": "none", "batch_size": 16}.get(
        name, 0.5
    )
    with pytest.raises(DataError, match=f"has labels of {name.replace('_', ' ')} .*, but {other!r} is asked for"):
        check_fits(facts(), facts(CONFIG.replace(**{name: other})), Path("labels"))


def test_what_does_not_change_the_labels_is_free():
    check_fits(facts(), facts(epochs=1, title="copy", form="uint8", top_k=3, teacher_fingerprint=""), Path("labels"))
    check_fits(facts(), facts(temperature=4.0), Path("labels"))
    with pytest.raises(DataError, match=r"has labels of temperature 20.0, but 4.0 is asked for"):
        check_fits(facts(top_k=3), facts(temperature=4.0), Path("labels"))


def test_no_store_a_missing_epoch_and_a_damaged_file_are_told(tmp_path):
    with pytest.raises(DataError, match="holds no labels that `delt relabel` wrote"):
        LabelStore.open(tmp_path)
    store = written(tmp_path / "labels", facts())
    path = store.epoch_path(1)
    for damage in (
        path.read_bytes()[:-7],
        b"",
        store.epoch_path(2).read_bytes().replace(b"label.logits", b"label.other!"),
    ):
        path.write_bytes(damage)
        with pytest.raises(DataError, match="is damaged; remove it and relabel again"):
            store.read_epoch(1)
    with pytest.raises(DataError, match=r"basis.safetensors is missing or damaged; relabel into a new folder"):
        LabelStore.create(tmp_path / "reduced", facts(directions=3)).codec()
    path.unlink()
    with pytest.raises(DataError, match="epoch 1 is not in"):
        store.read_epoch(1)
    values = json.loads((store.path / MANIFEST).read_text())
    (store.path / MANIFEST).write_text(json.dumps({**values, "format": 99}))
    with pytest.raises(DataError, match="has format 99, but this version reads format 1"):
        LabelStore.open(store.path)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(DataError, match="out: the labels take .* GiB are free at .*; keep fewer classes"):
        LabelStore.create(tmp_path / "labels", facts())
    assert not (tmp_path / "labels").exists()


def test_what_a_killed_writer_left_is_no_other_content_and_can_be_removed(tmp_path):
    (tmp_path / ".manifest.json-a1b2").write_bytes(b"{")
    store = written(tmp_path, facts())
    assert (store.missing, is_complete(tmp_path)) == ([], True)
    (tmp_path / ".epoch-0002.safetensors-c3d4").write_bytes(b"half")
    (tmp_path / ".notes").write_bytes(b"mine")
    store.epoch_path(2).unlink()
    assert (store.missing, is_complete(tmp_path)) == ([2], False)
    store.remove_unfinished()
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".notes"]
    assert not is_complete(tmp_path / "nothing")
