"""Figures of one image hold the numbers they were given."""

import pytest

from delt_engine.errors import ShapeError
from delt_engine.plots.recovery import prediction_curves


def test_each_class_is_a_line_and_the_own_one_stands_out() -> None:
    figure = prediction_curves([0, 150, 200], {"cat": [0.2, 0.6, 0.9], "dog": [0.7, None, 0.05]}, joins_at=100)
    own, other = figure.data
    assert (own.name, list(own.x), list(own.y)) == ("cat", [0, 150, 200], [0.2, 0.6, 0.9])
    assert (other.name, list(other.y)) == ("dog", [0.7, None, 0.05])
    assert own.line.width > other.line.width
    assert own.line.dash == "solid"
    assert other.line.dash == "dash"
    assert figure.layout.shapes[0].x0 == 100
    assert figure.layout.annotations[0].text == "joins"


def test_lines_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="1 given for cat"):
        prediction_curves([0, 10], {"cat": [0.2]})
