import pytest

from delt_engine.errors import ShapeError
from delt_engine.plots.lab import EARLY_COLOUR, LATE_COLOUR, likeness_curves, likeness_pairs


def test_both_halves_are_drawn_over_the_iterations() -> None:
    figure = likeness_curves((0, 50), (0.9, 0.8), (0.7, 0.6))
    assert [(list(trace.x), list(trace.y)) for trace in figure.data] == [([0, 50], [0.9, 0.8]), ([0, 50], [0.7, 0.6])]
    assert [trace.line.color for trace in figure.data] == [EARLY_COLOUR, LATE_COLOUR]
    assert len({trace.line.dash for trace in figure.data}) == 2
    with pytest.raises(ShapeError, match="3 iterations"):
        likeness_curves((0, 50, 100), (0.9, 0.8), (0.7, 0.6))


def test_classes_stand_by_the_gap_between_their_halves() -> None:
    figure = likeness_pairs({"cat": (0.7, 0.9), "temple": (0.9, 0.8), "coffee": (0.8, 0.8)})
    early, late = figure.data[-2:]
    assert list(early.y) == ["cat", "coffee", "temple"]  # the last one is drawn on top
    assert (list(early.x), list(late.x)) == ([0.7, 0.8, 0.9], [0.9, 0.8, 0.8])
    assert {trace.mode for trace in figure.data[:-2]} == {"lines"}
