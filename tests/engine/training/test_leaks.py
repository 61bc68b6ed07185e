"""No road leads from the test labels to a student: with labels that mean nothing every recipe is at chance.

Three colours are learned in a moment; with shuffled labels a student that is right more often than a die of three sides
would know something it must not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from delt_engine.config.students import RECIPES, EvaluateConfig
from delt_engine.training import image_table
from delt_engine.training.image_table import ImageTable
from delt_engine.training.records import StudentEpoch, StudentResult
from delt_engine.training.students import evaluate
from tests.tiny_data import tiny_dataset

DATASET = tiny_dataset(train=16, test=100)
TRAIN = image_table.real(DATASET)
TEST = image_table.test_table(DATASET, TRAIN)


class ColourTeacher(nn.Module):
    """Knows the colours: the logit of a class is the mean of its channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * images.mean(dim=(2, 3))


def shuffled(table: ImageTable, seed: int) -> ImageTable:
    """Return the table with its labels in a random order; every class keeps its number of images."""
    return replace(table, labels=np.random.default_rng(seed).permutation(table.labels))


def at_most_by_chance(count: int, classes: int, risk: float = 1e-4) -> float:
    """Return the accuracy in percent that ``count`` guesses reach with a probability below ``risk``."""
    odds, left, hits = 1 / (classes - 1), 1.0, 0
    chance = (1 - 1 / classes) ** count  # of no hit
    while left > risk:
        left -= chance
        chance *= odds * (count - hits) / (hits + 1)
        hits += 1
    return 100.0 * hits / count


CHANCE_BOUND = at_most_by_chance(len(TEST), 3)


def records(recipe: str, train: ImageTable, test: ImageTable) -> Iterator:
    config = EvaluateConfig.for_recipe(
        recipe,
        epochs=6,
        student="convnet-3",
        student_width=0.0625,
        student_stem="stock",
        batch_size=8,
        learning_rate=0.02,
        rand_augment="none",
        min_crop=0.5,
        ema_decay=0.5 if recipe == "edc" else 0.0,
    )
    return evaluate(train, test, ColourTeacher(), config, seed=0, device="cpu")


def trained(recipe: str, train: ImageTable, test: ImageTable) -> StudentResult:
    *_, result = records(recipe, train, test)
    return result


def test_the_bound_is_that_of_a_binomial():
    assert at_most_by_chance(10, 2, risk=0.02) == 90.0  # 9 or 10 of 10: 11 / 1024; 8 or more: 56 / 1024
    assert 40 < CHANCE_BOUND < 46  # 300 images at one in three: 3.7 standard deviations of 2.7 points


@pytest.mark.parametrize("recipe", RECIPES)
def test_with_true_labels_every_recipe_is_far_above_chance(recipe):
    result = trained(recipe, TRAIN, TEST)
    assert result.top1_last > CHANCE_BOUND + 20
    assert result.top1_ema is None or result.top1_ema > CHANCE_BOUND + 20


@pytest.mark.parametrize("recipe", RECIPES)
def test_with_the_test_labels_shuffled_every_recipe_is_at_chance(recipe):
    result = trained(recipe, TRAIN, shuffled(TEST, seed=1))
    assert result.top1_best < CHANCE_BOUND
    assert result.top1_ema_best is None or result.top1_ema_best < CHANCE_BOUND


def test_with_the_labels_of_the_images_shuffled_hard_labels_are_at_chance():
    # images of one colour get one answer, so each class of each student is one guess, whatever the number of images
    results = [trained("hard", shuffled(TRAIN, seed), TEST).top1_last for seed in range(20)]
    bound = at_most_by_chance(20 * 3, 3)
    assert np.mean(results) < bound < 60
    assert trained("hard", TRAIN, TEST).top1_last > bound + 20


def test_what_a_student_becomes_does_not_depend_on_the_test_labels():
    other = replace(TEST, labels=1 - TEST.labels % 2)
    runs = [[each for each in records("delt", TRAIN, test) if isinstance(each, StudentEpoch)] for test in (TEST, other)]
    assert [epoch.loss for epoch in runs[0]] == [epoch.loss for epoch in runs[1]]
    assert runs[0][-1].top1 != runs[1][-1].top1
