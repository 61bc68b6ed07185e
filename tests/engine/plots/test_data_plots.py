"""Figures about data: what is drawn, checked against the numbers that came in."""

import numpy as np
import pytest

from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ShapeError
from delt_engine.plots.data import class_counts, patch_figure
from delt_engine.plots.style import round_colour

SCHEDULE = EarlyLateSchedule(2, 4000, 500)  # eight rounds, but the last image joins in the second
PROBABILITIES = np.linspace(0.05, 0.95, 10)


def test_bars_count_all_patches_and_each_is_a_dot_with_its_rank() -> None:
    bars, dots = patch_figure(PROBABILITIES, {5: 1, 6: 2}, SCHEDULE, bins=10).data
    assert list(bars.y) == [1] * 10
    assert list(dots.customdata) == list(range(10))
    assert list(dots.x) == list(PROBABILITIES)
    assert dots.marker.color[5:7] == (round_colour(1, 2), round_colour(2, 2))


def test_texts_say_round_iterations_and_what_the_reader_did() -> None:
    four = EarlyLateSchedule(2, 2000, 500)
    dots = patch_figure(PROBABILITIES, {5: 2}, four, iterations={5: 1500}, pinned=[5], dropped=[0]).data[1]
    assert dots.hovertext[5] == "probability 0.5500, rank 6 of 10<br>joins in round 2 of 4, 1,500 iterations<br>pinned"
    assert (dots.marker.symbol[0], dots.marker.symbol[1], dots.marker.symbol[5]) == ("x", "circle", "diamond")


def test_what_lies_outside_the_band_is_shaded() -> None:
    def shaded(window):
        shapes = patch_figure(PROBABILITIES, {}, SCHEDULE, window=window).layout.shapes
        return [(shape.x0, shape.x1) for shape in shapes if shape.type == "rect"]

    assert shaded((0.0, 1.0)) == []
    assert shaded((0.2, 1.0)) == [(-0.01, 0.2)]
    assert shaded((0.2, 0.7)) == [(-0.01, 0.2), (0.7, 1.01)]


def test_of_a_large_class_some_dots_are_drawn_but_every_chosen_one() -> None:
    dots = patch_figure(np.linspace(0, 1, 10_001), {3: 1, 7778: 1}, SCHEDULE, pinned=[5]).data[1]
    assert len(dots.x) < 5000
    assert {3, 5, 7778} <= set(dots.customdata)


def test_positions_that_are_no_ranks_are_refused_and_nothing_draws_too() -> None:
    with pytest.raises(ShapeError, match="not ascending"):
        patch_figure(PROBABILITIES[::-1], {}, SCHEDULE)
    assert len(patch_figure(np.array([]), {}, SCHEDULE).data[1].x) == 0


def test_class_counts_stand_side_by_side() -> None:
    train, test = class_counts(["a", "b"], [5, 3], [1, 2]).data
    assert (list(train.y), list(test.y)) == ([5, 3], [1, 2])
    with pytest.raises(ShapeError, match="there are 2 classes"):
        class_counts(["a", "b"], [5], [1, 2])
