from __future__ import annotations

import numpy as np
import pytest

from delt_engine.data.built_in import split_rows
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.dataset import Dataset


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def test_sizes_and_names(digits: Dataset) -> None:
    spec = digits.spec
    assert (spec.train_size, spec.test_size) == (len(digits.train), len(digits.test)) == (1438, 359)
    assert digits.counts == {"used": 1797}
    assert spec.class_names == tuple("0123456789")
    assert digits.train.pixels([0, 1]).shape == (2, 32, 32, 3)
    assert digits.train.names[3] == f"train/{digits.train.labels[3]}/00003"


def test_the_tables_statistics_are_those_of_the_train_images(digits: Dataset) -> None:
    pixels = digits.train.pixels(range(1438)) / 255
    np.testing.assert_allclose(digits.spec.mean, pixels.mean(axis=(0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(digits.spec.std, pixels.std(axis=(0, 1, 2)), atol=1e-3)


def test_every_class_gives_a_fifth_and_grey_runs_from_black_to_white(digits: Dataset) -> None:
    train, test = np.bincount(digits.train.labels), np.bincount(digits.test.labels)
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.003)
    pixels = digits.test.pixels(range(50))
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_images_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    small = load_dataset("digits", 8)
    _, test = split_rows(source.target)
    assert small.test.labels.tolist() == source.target[test].tolist()
    np.testing.assert_array_equal(small.test.original(7)[..., 1], np.rint(source.images[test[7]] * 255 / 16))
    assert small.fingerprint != load_dataset("digits").fingerprint


def test_no_image_is_in_both_halves() -> None:
    labels = np.random.default_rng(0).integers(0, 4, 100)
    train, test = split_rows(labels)
    assert sorted([*train, *test]) == list(range(100))
