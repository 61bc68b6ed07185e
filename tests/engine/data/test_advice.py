"""Advice about a folder: each rule of thumb with numbers on both sides of its limit."""

from __future__ import annotations

import numpy as np
import pytest

from delt_engine.data.advice import advice
from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec


def dataset(train: tuple[int, ...], test: tuple[int, ...] = (20, 20), size: int = 32, native: int = 64) -> Dataset:
    def images(counts: tuple[int, ...]) -> ArrayImages:
        labels = np.repeat(np.arange(len(counts)), counts)
        names = [f"{number}.png" for number in range(len(labels))]
        return ArrayImages(np.zeros((len(labels), native, native, 3), np.uint8), labels, names, size)

    statistics = {
        "mean": (0.5,) * 3,
        "std": (0.2,) * 3,
        "train_size": sum(train),
        "test_size": sum(test),
        "description": "",
    }
    spec = DatasetSpec("mine", "mine", "folder", len(train), ("cat", "dog"), size, **statistics)
    return Dataset(spec, images(train), images(test), "f00d")


@pytest.mark.parametrize(
    ("train", "test", "expected"),
    [
        ((50, 60), (20, 20), []),
        ((9, 60), (20, 20), ["cat has fewer training images (9) than the 10 per class of a run.", "dog has 7 times"]),
        ((8, 9), (20, 20), ["cat and 1 more have fewer training images (8)"]),
        ((49, 60), (20, 20), ["cat has 49 training images; with fewer than 50"]),
        ((300, 50), (20, 19), ["cat has 6 times as many images as dog", "dog has 19 test images"]),
    ],
)
def test_few_and_uneven_classes_are_named(train, test, expected) -> None:
    found = [one.text for one in advice(dataset(train, test), ipc=10)]
    assert len(found) == len(expected)
    assert all(text.startswith(words) for text, words in zip(found, expected, strict=True))


def test_a_large_side_is_advised_against_without_a_gpu() -> None:
    large = dataset((50, 50), size=128, native=200)
    (one,) = advice(large, 10)
    assert (one.image_size, "about 4 times as quick as at 128 px" in one.text) == (64, True)
    assert advice(large, 10, has_gpu=True) == ()
    (one,) = advice(dataset((50, 50), size=128, native=70), 10)
    assert (one.image_size, one.text.startswith("Half of the images are at most 70 px")) == (64, True)
