"""A store of soft labels: its size to the byte, what it is bound to, stores of version 0.1.0, and what is damaged."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import DataError
from delt_engine.training.draws import draw_epoch
from delt_engine.training.soft_labels import AUGMENTATION, MANIFEST, LabelStore, StoreFacts, check_fits, is_complete

CONFIG = EvaluateConfig(batch_size=8, rand_augment="m5-n4-mstd1", epochs=2)


def facts(config: EvaluateConfig = CONFIG, **values) -> StoreFacts:
    settings = {
        "images": 21,
        "num_classes": 12,
        "image_size": 32,
        "mosaic": 2,
        "epochs": config.epochs,
        "label_epochs": config.epochs,
        "seed": 0,
        "form": "float16",
        "image_fingerprint": "abc",
        "teacher_fingerprint": "def",
        "augmentation": {name: getattr(config, name) for name in AUGMENTATION},
        "title": "run-1",
    }
    return StoreFacts(**{**settings, **values})


def logits(of: StoreFacts, epoch: int) -> torch.Tensor:
    return 9 * torch.randn(of.images, of.num_classes, generator=torch.Generator().manual_seed(epoch))


def written(path: Path, of: StoreFacts) -> LabelStore:
    store = LabelStore.create(path, of)
    for epoch in range(1, of.label_epochs + 1):
        store.write_epoch(epoch, of.draw(epoch), logits(of, epoch))
    return store


KINDS = {
    "delt": CONFIG,
    "rded": CONFIG.replace(rand_augment="none", shuffle_patches=True),
    "mixup": CONFIG.replace(mix="mixup", rand_augment="m9-n2-mstd101-inc1", flip=False),
    "plain": CONFIG.replace(mix="none", min_crop=1.0, rand_augment="none"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_comes_back_with_what_happens_to_its_images(tmp_path, kind):
    of = facts(KINDS[kind], form="float32")
    store = LabelStore.open(written(tmp_path / "labels", of).path)
    assert store.facts == of
    for epoch in (1, 2):
        draws, labels = store.read_epoch(epoch)
        assert draws.checksum == draw_epoch(KINDS[kind], 21, 32, mosaic=2, seed=0, epoch=epoch).checksum
        assert torch.equal(labels, logits(of, epoch))


def test_float16_rounds_each_logit_and_stays_finite(tmp_path):
    of = facts()
    store = LabelStore.create(tmp_path / "labels", of)
    given = logits(of, 1)
    given[0, :2] = torch.tensor([1e6, -1e6])
    store.write_epoch(1, of.draw(1), given)
    labels = store.read_epoch(1)[1]
    assert labels.dtype == torch.float16
    assert labels[0, :2].tolist() == [65504, -65504]
    assert torch.equal(labels[1:], given[1:].half())


@pytest.mark.parametrize(
    ("images", "classes", "form", "label_epochs"),
    [(100, 10, "float16", 2), (67, 100, "float32", 2), (7, 1000, "float16", 1), (12345, 2, "float32", 1)],
)
def test_the_size_is_known_to_the_byte(tmp_path, images, classes, form, label_epochs):
    of = facts(images=images, num_classes=classes, form=form, label_epochs=label_epochs)
    written(tmp_path / "labels", of)
    on_disk = sum(file.stat().st_size for file in (tmp_path / "labels").iterdir() if file.name != MANIFEST)
    assert of.size.total == on_disk
    assert of.size.labels == images * classes * label_epochs * np.dtype(form).itemsize


def of_version_1(path: Path, of: StoreFacts, **changes) -> LabelStore:
    """Write a store as version 0.1.0 did: what happens to the images beside the labels."""
    path.mkdir()
    manifest = {**vars(of), "format": 1, "top_k": 0, "directions": 0, "temperature": 20.0, **changes}
    del manifest["label_epochs"]
    (path / MANIFEST).write_text(json.dumps(manifest))
    for epoch in range(1, of.epochs + 1):
        draws = {name: value.numpy() for name, value in vars(of.draw(epoch)).items() if value is not None}
        draws |= {
            "flip": np.packbits(draws["flip"]),
            "magnitudes": np.rint(draws["magnitudes"] * 1000).astype(np.int16),
        }
        arrays = {**draws, "label.logits": logits(of, epoch).numpy().astype(of.form)}
        save_file(arrays, path / f"epoch-{epoch:04d}.safetensors")
    return LabelStore.open(path)


def test_stores_of_version_1_open_go_on_and_are_held_to_what_they_recorded(tmp_path):
    of = facts(CONFIG.replace(shuffle_patches=True), form="float32")
    store = of_version_1(tmp_path / "labels", of)
    draws, labels = store.read_epoch(2)
    assert draws.checksum == of.draw(2).checksum
    assert torch.equal(labels, logits(of, 2))
    store.epoch_path(1).unlink()
    again = LabelStore.create(store.path, of)
    assert again.missing == [1]
    again.write_epoch(1, of.draw(1), logits(of, 1))
    assert torch.equal(again.read_epoch(1)[1], logits(of, 1))
    other = of_version_1(tmp_path / "other", of, seed=1)  # draws of another seed than it says
    with pytest.raises(DataError, match=r"epoch 1 of .* was drawn otherwise than PyTorch .* relabel again"):
        other.read_epoch(1)


@pytest.mark.parametrize("changes", [{"form": "uint8"}, {"top_k": 3}, {"directions": 16}])
def test_reduced_labels_of_version_1_are_refused_in_one_sentence(tmp_path, changes):
    with pytest.raises(DataError, match=r"in 8 bits, or of some classes or directions only, .* relabel again, with"):
        of_version_1(tmp_path / "labels", facts(), **changes)


def test_a_store_goes_on_where_it_stopped_and_no_other_takes_its_folder(tmp_path):
    of = facts()
    store = written(tmp_path / "labels", of)
    assert not store.missing
    store.epoch_path(2).unlink()
    again = LabelStore.create(tmp_path / "labels", of)
    assert again.missing == [2]
    with pytest.raises(DataError, match="holds labels of seed 0, but 1 is asked for"):
        LabelStore.create(tmp_path / "labels", facts(seed=1))
    with pytest.raises(DataError, match=r"holds labels of teacher fingerprint 'def', but 'xyz' is asked for"):
        LabelStore.create(tmp_path / "labels", facts(teacher_fingerprint="xyz"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(DataError, match="out: .* must be a new folder, an empty one, or labels to go on with"):
        LabelStore.create(tmp_path / "other", of)


@pytest.mark.parametrize("name", AUGMENTATION)
def test_another_augmentation_is_refused(name):
    others = {"rand_augment": "none", "shuffle_patches": True, "flip": False, "mix": "none", "batch_size": 16}
    other = {**others, "alternate_flips": True}.get(name, 0.5)
    with pytest.raises(DataError, match=f"has labels of {name.replace('_', ' ')} .*, but {other!r} is asked for"):
        check_fits(facts(), facts(CONFIG.replace(**{name: other})), Path("labels"))
    free = {"epochs": 1, "label_epochs": 1, "title": "copy", "form": "float32", "teacher_fingerprint": ""}
    check_fits(facts(), facts(**free), Path("labels"))


def test_no_store_a_missing_epoch_and_a_damaged_file_are_told(tmp_path):
    with pytest.raises(DataError, match="holds no labels that `delt relabel` wrote"):
        LabelStore.open(tmp_path)
    store = written(tmp_path / "labels", facts())
    path = store.epoch_path(1)
    for damage in (
        path.read_bytes()[:-7],
        b"",
        store.epoch_path(2).read_bytes().replace(b"logits", b"other!"),
    ):
        path.write_bytes(damage)
        with pytest.raises(DataError, match="is damaged; remove it and relabel again"):
            store.read_epoch(1)
    path.unlink()
    with pytest.raises(DataError, match="epoch 1 is not in"):
        store.read_epoch(1)
    values = json.loads((store.path / MANIFEST).read_text())
    (store.path / MANIFEST).write_text(json.dumps({**values, "format": 99}))
    with pytest.raises(DataError, match="has format 99, but this version reads formats 1 and 2"):
        LabelStore.open(store.path)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, 1))
    with pytest.raises(DataError, match="out: the labels take .* GiB are free at .*; store fewer epochs"):
        LabelStore.create(tmp_path / "labels", facts())
    assert not (tmp_path / "labels").exists()


def test_what_a_killed_writer_left_is_no_other_content_and_can_be_removed(tmp_path):
    (tmp_path / ".manifest.json.a1b2.tmp").write_bytes(b"{")
    store = written(tmp_path, facts())
    assert (store.missing, is_complete(tmp_path)) == ([], True)
    (tmp_path / ".epoch-0002.safetensors.c3d4.tmp").write_bytes(b"half")
    (tmp_path / ".notes").write_bytes(b"mine")
    store.epoch_path(2).unlink()
    assert (store.missing, is_complete(tmp_path)) == ([2], False)
    store.remove_unfinished()
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".notes"]
    assert not is_complete(tmp_path / "nothing")
