"""No road leads from the test labels to a student: with labels that mean nothing every recipe is at chance.

Three colours are learned in a moment; with shuffled labels a student that is right more often than a die of three sides
would know something it must not know.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

from delt_engine.config.students import RECIPES, EvaluateConfig
from delt_engine.training import image_table
from delt_engine.training.image_table import ImageTable
from delt_engine.training.records import StudentEpoch
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


def chance_bound(count: int) -> float:
    """Return the accuracy in percent that ``count`` guesses among three classes reach once in 10,000 times."""
    return 100 * (binom.isf(1e-4, count, 1 / 3) + 1) / count


BOUND = chance_bound(len(TEST))


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


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_far_above_chance_and_at_chance_with_the_test_labels_shuffled(recipe):
    *_, right = records(recipe, TRAIN, TEST)
    *_, wrong = records(recipe, TRAIN, shuffled(TEST, seed=1))
    assert right.top1_last > BOUND + 20
    assert wrong.top1_best < BOUND
    if recipe == "edc":
        assert right.top1_ema > BOUND + 20
        assert wrong.top1_ema_best < BOUND


def test_with_the_labels_of_the_images_shuffled_hard_labels_are_at_chance():
    # images of one colour get one answer, so each class of each student is one guess, whatever the number of images
    results = [list(records("hard", shuffled(TRAIN, seed), TEST))[-1].top1_last for seed in range(20)]
    assert np.mean(results) < chance_bound(20 * 3) < 60


def test_what_a_student_becomes_does_not_depend_on_the_test_labels():
    other = replace(TEST, labels=1 - TEST.labels % 2)
    runs = [[each for each in records("delt", TRAIN, test) if isinstance(each, StudentEpoch)] for test in (TEST, other)]
    assert [epoch.loss for epoch in runs[0]] == [epoch.loss for epoch in runs[1]]
    assert runs[0][-1].top1 != runs[1][-1].top1
