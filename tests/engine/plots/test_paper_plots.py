"""Figures of the papers' tables: printed and measured numbers stand where they belong, and apart at laptop scale."""

from dataclasses import replace

import pytest

from delt_engine.plots.papers import HERE, PRINTED, Axes, HoursCurve, Mark, hours_over_ipc, series_looks, table_figure
from delt_engine.plots.style import METHOD_COLOURS

MARKS = [
    Mark(("CIFAR-10", "IPC 1"), "DELT", "delt", 24.0, 23.0, 0.8, 0.5, words="one"),
    Mark(("CIFAR-10", "IPC 10"), "DELT", "delt", 43.0, None, 0.9),
    Mark(("CIFAR-10", "IPC 1"), "RDED", "rded", 22.9, 21.0, 0.4, 0.6),
]
LINES = [
    Mark(("0.1",), "Step", "", 45.46, None),
    Mark(("0.2",), "Step", "", 46.08, 52.0),
    Mark(("0.3",), "Step", "", 46.65, 51.0, here_spread=1.5),
    Mark(("0.1",), "Linear", "", 45.39, 50.0),
]


def of(figure, kind, name):
    return [trace for trace in figure.data if trace.type == kind and trace.name == name]


def test_bars_carry_measured_marks_at_the_same_scale() -> None:
    figure = table_figure("bars", MARKS, Axes("", "Top-1, %"))
    (bar,), (mark,) = of(figure, "bar", "DELT"), of(figure, "scatter", "DELT")
    assert list(bar.y) == [24.0, 43.0]
    assert list(mark.y) == [23.0, None]
    assert [list(level) for level in bar.x] == [["CIFAR-10", "CIFAR-10"], ["IPC 1", "IPC 10"]]
    assert list(mark.error_y.array) == [0.5, 0.0]
    assert bar.marker.color == mark.marker.color == METHOD_COLOURS["delt"]
    assert [trace.showlegend for trace in figure.data] == [True, False, True, False]
    assert figure.layout.yaxis.range == (0, pytest.approx(1.08 * 43.9))


def test_numbers_of_a_laptop_have_panels_of_their_own() -> None:
    figure = table_figure("lines", LINES, Axes("Milestone", "Top-1, %", is_one_scale=False))
    assert [note.text for note in figure.layout.annotations] == [PRINTED, HERE]
    printed, here = of(figure, "scatter", "Step")
    assert (list(printed.x), list(printed.y), printed.yaxis) == (["0.1", "0.2", "0.3"], [45.46, 46.08, 46.65], "y")
    assert (list(here.x), list(here.y), here.yaxis) == (["0.2", "0.3"], [52.0, 51.0], "y2")
    assert list(figure.layout.xaxis2.categoryarray) == ["0.1", "0.2", "0.3"]  # also where the first has no number
    low, high = figure.layout.yaxis.range
    assert high - low >= 5.0


def test_panels_along_places_of_their_own_keep_each_its_order() -> None:
    steps = (("5 steps", ("40", "80", "120")), ("10 steps", ("20", "40", "60")))
    marks = [Mark((x,), "CDA", "cda", 50.0, None, panel=panel) for panel, places in steps for x in places]
    figure = table_figure("lines", marks, Axes("Classes", "Top-1, %"))
    assert [list(axis.categoryarray) for axis in figure.select_xaxes()] == [["40", "80", "120"], ["20", "40", "60"]]
    left, right = (axis.domain for axis in figure.select_xaxes())
    assert left[1] < right[0]  # side by side, as CDA Figure 7
    marks[0] = replace(marks[0], here=60.0)
    figure = table_figure("lines", marks, Axes("Classes", "Top-1, %", is_one_scale=False))
    assert [note.text for note in figure.layout.annotations][:2] == [f"5 steps · {PRINTED}", f"5 steps · {HERE}"]
    assert all(axis.showticklabels for axis in figure.select_xaxes())


def test_nothing_measured_leaves_one_panel() -> None:
    marks = [Mark(mark.x, mark.series, "", mark.printed, None) for mark in LINES]
    figure = table_figure("lines", marks, Axes("Milestone", "Top-1, %", is_one_scale=False))
    assert not figure.layout.annotations or not any(note.text for note in figure.layout.annotations)
    assert len(figure.data) == 2


def test_a_heat_map_has_holes_where_nothing_was_measured() -> None:
    marks = [
        Mark(("500",), "1,000", "", 44.87, 50.0),
        Mark(("1,000",), "1,000", "", 43.71, None),
        Mark(("500",), "2,000", "", 45.61, 51.0),
    ]
    printed, here = table_figure("heat", marks, Axes("RI", "Top-1, %", "MI")).data
    assert [list(row) for row in printed.z] == [[44.87, 43.71], [45.61, None]]
    assert [list(row) for row in here.z] == [[50.0, None], [51.0, None]]
    assert list(here.y) == ["1,000", "2,000"]


def test_series_of_one_method_differ_by_their_dashes() -> None:
    names = ("ResNet-18, CDA", "DenseNet-121, CDA", "Step", "Linear")
    looks = series_looks([Mark(("a",), name, "cda" if "CDA" in name else "", 1.0, None) for name in names])
    assert looks["ResNet-18, CDA"].colour == looks["DenseNet-121, CDA"].colour == METHOD_COLOURS["cda"]
    assert looks["ResNet-18, CDA"].dash != looks["DenseNet-121, CDA"].dash
    assert looks["Step"].colour != looks["Linear"].colour


def test_hours_are_lines_with_open_and_filled_points() -> None:
    curve = HoursCurve("DELT, RI 500", "delt", [(1, 0.5), (50, 17.6)], printed=[(50, 17.6)], here=[(10, 2.0)])
    figure = hours_over_ipc([curve])
    line, printed, here = figure.data
    assert figure.layout.yaxis.exponentformat == "none"  # a laptop's 0.02 h is no 20m
    assert (list(line.x), list(line.y)) == ([1, 50], [0.5, 17.6])
    assert (printed.marker.symbol, list(printed.y)) == ("diamond-open", [17.6])
    assert (here.marker.symbol, list(here.x)) == ("circle", [10])
