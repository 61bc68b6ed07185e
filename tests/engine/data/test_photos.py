from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from delt_engine.data import built_in as module
from delt_engine.data.built_in import (
    PHOTOGRAPHS,
    RECIPE,
    checkerboard,
    colour_matrices,
    draw_squares,
    load_photograph,
    photos_fingerprint,
    render,
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


def test_the_tables_statistics_are_those_of_the_train_images(photos: Dataset) -> None:
    pixels = photos.train.pixels(range(5000)) / 255
    np.testing.assert_allclose(photos.spec.mean, pixels.mean(axis=(0, 1, 2)), atol=1e-3)
    np.testing.assert_allclose(photos.spec.std, pixels.std(axis=(0, 1, 2)), atol=1e-3)


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


def test_another_size_shows_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PHOTOGRAPHS", {"coffee": "coffee"})
    small, large = render(16, SMALL)["train"], render(32, SMALL)["train"]
    shrunk = large.reshape(6, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    assert np.abs(shrunk - small).mean() < 6


@pytest.mark.parametrize(("height", "width"), [(512, 512), (300, 451), (427, 640)])
def test_cells_cover_the_photograph_once(height: int, width: int) -> None:
    seen = np.zeros((height, width), dtype=int)
    cells = checkerboard(height, width, RECIPE.rows)
    for top, left, tall, wide in itertools.chain(*cells.values()):
        seen[top : top + tall, left : left + wide] += 1
    assert (seen == 1).all()
    assert abs(len(cells["train"]) - len(cells["test"])) <= 1


def corners(square: np.ndarray) -> np.ndarray:
    """Return the four corners (row, column) of a turned square."""
    row, column, side, angle = square
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.array([row, column]) + np.array(list(itertools.product((-0.5, 0.5), repeat=2))) * side @ turn


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("angle", [RECIPE.angle, 45.0])
def test_every_square_lies_in_one_cell_of_its_split(split: str, angle: float) -> None:
    recipe = replace(RECIPE, angle=angle)
    cells = checkerboard(300, 451, recipe.rows)[split]
    squares = draw_squares(300, 451, split, 300, random(), recipe)
    used = set()
    for square in squares:
        (low_row, low_column), (high_row, high_column) = corners(square).min(axis=0), corners(square).max(axis=0)
        inside = [
            index
            for index, (top, left, tall, wide) in enumerate(cells)
            if top - 1e-9 <= low_row
            and left - 1e-9 <= low_column
            and high_row <= top + tall + 1e-9
            and high_column <= left + wide + 1e-9
        ]
        assert len(inside) == 1
        used.add(inside[0])
    assert len(used) > 0.9 * len(cells)
    assert squares[:, 2].max() <= 300 * recipe.max_side


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


def test_photographs_are_the_installed_ones() -> None:
    assert load_photograph("cat").size == (451, 300)
    assert load_photograph("retina").size == (512, 512)
    assert load_photograph("temple").size == (640, 427)
    for name in PHOTOGRAPHS:
        assert load_photograph(name).mode == "RGB"


def test_a_photograph_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PHOTOGRAPHS", {"cat": "no_such_picture", "temple": "none.jpg"})
    for name, source in module.PHOTOGRAPHS.items():
        with pytest.raises(DataError, match=rf"photos: the photograph '{source}' is missing from the installed scikit"):
            load_photograph(name)


def test_second_load_makes_nothing(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECIPE", SMALL)
    first = load_dataset("photos", 8)

    def fail(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(module, "render", fail)
    np.testing.assert_array_equal(load_dataset("photos", 8).train.pixels([3]), first.train.pixels([3]))
