"""The sample of CIFAR-10: what is in it, how it is drawn, and what is said of a damaged file."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_pictures import flat

from delt_engine.data import cifar10_mini as module
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.cifar10_mini import draw_sample, sample_path
from delt_engine.data.dataset import statistics_of
from delt_engine.errors import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def test_images_classes_and_size_of_the_sample() -> None:
    dataset = load_dataset("cifar10-mini")
    assert sample_path().stat().st_size < 3e6
    assert dataset.spec.class_names == CLASSES
    assert np.bincount(dataset.train.labels).tolist() == [200] * 10
    assert np.bincount(dataset.test.labels).tolist() == [100] * 10
    assert dataset.train.names[200] == "train/automobile/00000"
    assert dataset.train.size(0) == (32, 32)
    # close to the statistics of all 50,000, which the teacher was trained with
    mean, std = statistics_of(dataset.train)
    np.testing.assert_allclose(mean, dataset.spec.mean, atol=0.01)
    np.testing.assert_allclose(std, dataset.spec.std, atol=0.01)
    twice = load_dataset("cifar10-mini", 64)
    assert twice.train.pixels([0]).shape == (1, 64, 64, 3)
    assert twice.fingerprint != dataset.fingerprint


def test_no_image_is_in_both_splits() -> None:
    dataset = load_dataset("cifar10-mini")
    train = {image.tobytes() for image in dataset.train.pixels(range(2000))}
    assert len(train) == 2000
    assert not train & {image.tobytes() for image in dataset.test.pixels(range(1000))}


def test_a_draw_is_seeded_and_takes_files_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PER_CLASS", {"train": 3, "test": 1})
    for split in ("train", "test"):
        for level, name in enumerate(("cat", "dog")):
            for number in range(6):
                flat(tmp_path / "all" / split / name / f"{number}.jpg", (40 * number, 10 * level, 0))
    drawn = {}
    for out, seed in (("first", 1), ("again", 1), ("other", 2)):
        draw_sample(tmp_path / "all", tmp_path / f"{out}.zip", seed)
        drawn[out] = zipfile.ZipFile(tmp_path / f"{out}.zip").namelist()
    assert drawn["first"] == drawn["again"] != drawn["other"]
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    counts = [sum(name.startswith(start) for name in drawn["first"]) for start in ("train/cat/", "test/dog/")]
    assert counts == [3, 1]
    name = drawn["first"][0]
    assert zipfile.ZipFile(tmp_path / "first.zip").read(name) == (tmp_path / "all" / name).read_bytes()
    monkeypatch.setattr(module, "PER_CLASS", {"train": 7})
    with pytest.raises(DataError, match=r"cat has 6 images, but 7 are to be drawn"):
        draw_sample(tmp_path / "all", tmp_path / "more.zip")


def test_a_damaged_file_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample.zip").write_bytes(sample_path().read_bytes()[:1000])
    monkeypatch.setattr(module, "sample_path", lambda: tmp_path / "sample.zip")
    with pytest.raises(DataError, match=r"cifar10-mini: .*sample.zip is missing or damaged .*; install"):
        load_dataset("cifar10-mini")
