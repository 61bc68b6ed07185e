"""Figures about data and teachers: what is drawn, checked against the numbers that came in."""

from __future__ import annotations

import numpy as np
import pytest
from events_of_runs import squeeze_epoch

from delt_engine.errors import ShapeError
from delt_engine.plots.data import class_counts, patch_figure, training_curves
from delt_engine.plots.recovery import round_colour
from delt_engine.runs.events import SqueezeEpochEvent

PROBABILITIES = np.linspace(0.05, 0.95, 10)


def test_bars_count_all_patches_and_each_is_a_dot_with_its_rank() -> None:
    bars, dots = patch_figure(PROBABILITIES, {5: 1, 6: 2}, 2, bins=10).data
    assert list(bars.y) == [1] * 10
    assert list(dots.customdata) == list(range(10))
    assert list(dots.x) == list(PROBABILITIES)
    assert dots.marker.color[5:7] == (round_colour(1, 2), round_colour(2, 2))


def test_texts_say_round_iterations_and_what_the_reader_did() -> None:
    figure = patch_figure(PROBABILITIES, {5: 2}, 4, iterations={5: 1500}, pinned=[5], dropped=[0])
    texts, symbols = figure.data[1].hovertext, figure.data[1].marker.symbol
    assert texts[5] == "probability 0.5500, rank 6 of 10<br>joins in round 2 of 4, 1,500 iterations<br>pinned"
    assert texts[0].endswith("<br>dropped")
    assert (symbols[0], symbols[1], symbols[5]) == ("x", "circle", "diamond")


def test_what_lies_outside_the_band_is_shaded() -> None:
    def shaded(window):
        shapes = patch_figure(PROBABILITIES, {}, 1, window=window).layout.shapes
        return [(shape.x0, shape.x1) for shape in shapes if shape.type == "rect"]

    assert shaded((0.0, 1.0)) == []
    assert shaded((0.2, 1.0)) == [(-0.01, 0.2)]
    assert shaded((0.2, 0.7)) == [(-0.01, 0.2), (0.7, 1.01)]


def test_of_a_large_class_some_dots_are_drawn_but_every_chosen_one() -> None:
    dots = patch_figure(np.linspace(0, 1, 10_001), {3: 1, 7778: 1}, 1, pinned=[5]).data[1]
    assert len(dots.x) < 5000
    assert {3, 5, 7778} <= set(dots.customdata)


def test_positions_that_are_no_ranks_are_refused_and_nothing_draws_too() -> None:
    with pytest.raises(ShapeError, match="not ascending"):
        patch_figure(PROBABILITIES[::-1], {}, 1)
    assert len(patch_figure(np.array([]), {}, 1).data[1].x) == 0


def test_training_curves_leave_out_a_test_accuracy_that_is_not_there() -> None:
    epochs = [
        squeeze_epoch(epoch=1, loss=2.0, train_accuracy=20.0, test_accuracy=None),
        squeeze_epoch(epoch=2, loss=1.0, train_accuracy=60.0, test_accuracy=55.0),
    ]
    loss, train, test = training_curves(epochs, 5).data
    assert (list(loss.x), list(loss.y)) == ([1, 2], [2.0, 1.0])
    assert list(train.y) == [20.0, 60.0]
    assert (list(test.x), list(test.y)) == ([2], [55.0])
    assert training_curves([], 5).layout.annotations[0].text == "No epoch is finished yet"


def test_training_curves_show_each_epoch_once_and_as_it_was_last_told() -> None:
    def epoch(number: int, loss: float) -> SqueezeEpochEvent:
        return squeeze_epoch(epoch=number, loss=loss, train_accuracy=10 * loss, test_accuracy=11 * loss)

    before = [epoch(1, 5.0), epoch(2, 4.0), epoch(3, 3.0), epoch(4, 2.0)]  # killed; the last checkpoint was of epoch 2
    loss, train, test = training_curves([*before, epoch(3, 3.5), epoch(4, 2.5), epoch(5, 1.0)], 5).data
    assert list(loss.x) == list(train.x) == list(test.x) == [1, 2, 3, 4, 5]
    assert list(loss.y) == [5.0, 4.0, 3.5, 2.5, 1.0]
    assert list(test.y) == [55.0, 44.0, 38.5, 27.5, 11.0]
    begun_again = training_curves([*before, epoch(1, 9.0), epoch(2, 8.0)], 5).data[0]
    assert (list(begun_again.x), list(begun_again.y)) == ([1, 2], [9.0, 8.0])


def test_class_counts_stand_side_by_side() -> None:
    train, test = class_counts(["a", "b"], [5, 3], [1, 2]).data
    assert (list(train.y), list(test.y)) == ([5, 3], [1, 2])
    with pytest.raises(ShapeError, match="there are 2 classes"):
        class_counts(["a", "b"], [5], [1, 2])
