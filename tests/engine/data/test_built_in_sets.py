"""The sets that need no download: their samples, halves and statistics."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from delt_engine.data import built_in as module
from delt_engine.data.built_in import (
    RECIPE,
    checkerboard,
    colour_matrices,
    load_photograph,
    photos_fingerprint,
    render,
    split_rows,
)
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.dataset import Dataset
from delt_engine.errors import DataError

MEANS = [121.6, 116.4, 91.3, 19.1, 161.3, 115.7, 88.7, 62.7, 60.1, 145.4]
"""Mean level of the test images of each class, version 2 of the recipe."""

SMALL = replace(RECIPE, train_per_class=6, test_per_class=3)


@pytest.fixture(scope="module")
def photos() -> Dataset:
    return load_dataset("photos")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


def random(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_sizes_labels_and_names(photos: Dataset) -> None:
    names = "astronaut cat coffee galaxy tissue motorcycle retina rocket flower temple"
    assert photos.spec.class_names == tuple(names.split())
    assert np.bincount(photos.train.labels).tolist() == [500] * 10
    assert np.bincount(photos.test.labels).tolist() == [100] * 10
    assert photos.train.names[12] == "train/astronaut/00012"
    assert photos.test.names[-1] == "test/temple/00099"
    assert photos.train.pixels([0, 4999]).shape == (2, 32, 32, 3)
    assert photos.train.size(0) == (32, 32)
    assert photos.counts == {"used": 6000}


def test_images_are_as_they_were_when_the_teacher_was_trained(photos: Dataset) -> None:
    """The shipped teacher belongs to these samples: a change of the recipe is a new version and a new teacher."""
    means = photos.test.pixels(range(1000)).reshape(10, -1).mean(axis=1)
    np.testing.assert_allclose(means, MEANS, atol=0.5)


def test_sizes_and_names_of_digits(digits: Dataset) -> None:
    spec = digits.spec
    assert (spec.train_size, spec.test_size) == (len(digits.train), len(digits.test)) == (1438, 359)
    assert (digits.counts, spec.class_names) == ({"used": 1797}, tuple("0123456789"))
    assert digits.train.names[3] == f"train/{digits.train.labels[3]}/00003"


@pytest.mark.parametrize("name", ["photos", "digits"])
def test_the_tables_statistics_are_those_of_the_train_images(name: str, request) -> None:
    data = request.getfixturevalue(name)
    pixels = data.train.pixels(range(len(data.train))) / 255
    np.testing.assert_allclose(data.spec.mean, pixels.mean(axis=(0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(data.spec.std, pixels.std(axis=(0, 1, 2)), atol=1e-3)


def test_same_recipe_same_samples_other_seed_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PHOTOGRAPHS", {"cat": "cat", "coffee": "coffee"})
    told: list[tuple[str, int, int]] = []
    first, again = render(8, SMALL, lambda *what: told.append(what)), render(8, SMALL)
    other = render(8, replace(SMALL, seed=1))
    assert told == [("photos", 0, 2), ("photos", 1, 2), ("photos", 2, 2)]
    assert first["train"].shape == (12, 8, 8, 3)
    assert first["test"].shape == (6, 8, 8, 3)
    np.testing.assert_array_equal(first["train"], again["train"])
    assert (first["train"] != other["train"]).any(axis=(1, 2, 3)).all()
    assert (first["train"][:3] != first["test"][:3]).any(axis=(1, 2, 3)).all()


def test_no_pixel_of_one_split_shows_in_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train cells are painted white and test cells black: then so must be all samples."""
    board = np.zeros((240, 330, 3), dtype=np.uint8)
    for top, left, tall, wide in checkerboard(240, 330, RECIPE.rows)["train"]:
        board[top : top + tall, left : left + wide] = 255
    monkeypatch.setattr(module, "load_photograph", lambda name: Image.fromarray(board))
    monkeypatch.setattr(module, "PHOTOGRAPHS", {"board": "board"})
    made = render(16, replace(RECIPE, gain=0, contrast=0, saturation=0, hue=0, train_per_class=200))
    assert made["train"].min() >= 254
    assert made["test"].max() <= 1


def test_colour_changes_by_hand() -> None:
    still = replace(RECIPE, gain=0, contrast=0, saturation=0, hue=0)
    for matrix in colour_matrices(3, random(), still):
        np.testing.assert_allclose(matrix, [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]], atol=1e-9)
    hues = colour_matrices(50, random(), replace(still, hue=90.0))[:, :, :3]
    np.testing.assert_allclose(hues @ [0.5, 0.5, 0.5], 0.5, atol=2e-3)  # grey stays grey
    np.testing.assert_allclose(hues @ [0.9, 0.2, 0.1] @ [0.299, 0.587, 0.114], 0.3979, atol=2e-3)  # as does brightness
    gains = colour_matrices(200, random(), replace(still, gain=0.2))[:, :, :3] @ [0.5, 0.5, 0.5]
    assert 0.4 <= gains.min() < 0.41
    assert 0.59 < gains.max() <= 0.6


def test_fingerprint_follows_recipe_and_size_alone(photos: Dataset) -> None:
    assert photos.fingerprint == photos_fingerprint(32)
    changed = [(64, RECIPE), (32, replace(RECIPE, version=99)), (32, SMALL)]
    assert len({photos.fingerprint, *(photos_fingerprint(*given) for given in changed)}) == 4


def test_a_photograph_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PHOTOGRAPHS", {"cat": "no_such_picture", "temple": "none.jpg"})
    for name, source in module.PHOTOGRAPHS.items():
        with pytest.raises(DataError, match=rf"photos: the photograph '{source}' is missing from the installed scikit"):
            load_photograph(name)


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
