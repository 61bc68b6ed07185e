"""Crops drawn without torch are those that a recovery draws."""

import numpy as np
import pytest
import torch

from delt_engine.papers import crop_distribution
from delt_engine.papers.crop_distribution import BOUNDS, crop_distributions
from delt_engine.plots.crop_distribution import SHOWN, crop_figure
from delt_engine.recovery import augment


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("size", [32, 224])
def test_boxes_are_those_of_the_recovery(bounds, size) -> None:
    draws = np.random.default_rng(1).random((200, augment.CROP_DRAWS))
    here = crop_distribution.crop_boxes(draws, *bounds, size)
    assert here.tolist() == augment.crop_boxes(torch.from_numpy(draws), *bounds, size).tolist()


def test_easier_bounds_show_more_and_stay_in_the_middle() -> None:
    found = crop_distributions(400)
    areas, spreads = [one.mean_area for one in found], [one.centre_spread for one in found]
    assert areas == sorted(areas)
    assert spreads == sorted(spreads, reverse=True)
    assert areas[0] == pytest.approx(0.08, abs=0.005)
    assert all((one.boxes[:, :2] + one.boxes[:, 2:] <= 224).all() for one in found)


def test_the_figure_has_a_column_for_each_pair_of_bounds() -> None:
    figure = crop_figure(crop_distributions(50))
    assert [note.text for note in figure.layout.annotations] == [f"{low:g} to {high:g}" for low, high in BOUNDS]
    assert len(figure.layout.shapes) == len(BOUNDS) * sum(SHOWN)
