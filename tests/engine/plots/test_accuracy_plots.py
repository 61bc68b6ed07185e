"""Figures of accuracy: bars stand in their group, spreads and references are the right ones, orders are sorted."""

import pytest

from delt_engine.plots.accuracy import (
    LEAST_COSINE,
    LEAST_POINTS,
    CostPoint,
    Curve,
    MiCurve,
    PublishedMark,
    Score,
    accuracy_bars,
    accuracy_curves,
    accuracy_over_mi,
    against_published,
    class_differences,
    cost_scatter,
    mean_curve,
)
from delt_engine.plots.style import METHOD_COLOURS, NEUTRAL

SCORES = [
    Score("SRe²L", "sre2l", 10, 45.0, 1.5, 3),
    Score("DELT", "delt", 10, 61.0, 0.9, 3),
    Score("DELT", "delt", 1, 31.0, 0.4, 3),
]


def bars(figure):
    return {trace.name: trace for trace in figure.data if trace.type == "bar"}


def words_of(figure):
    """What stands below the axis, by place."""
    return sorted((note.x, note.text) for note in figure.layout.annotations)


def whiskers(figure):
    return [list(trace.error_y.array) for trace in figure.data if trace.error_y.array is not None]


def lines(figure, name):
    return [trace for trace in figure.data if trace.type == "scatter" and trace.name == name]


def test_each_method_is_a_bar_in_the_group_of_its_ipc() -> None:
    figure = accuracy_bars(SCORES)
    found = bars(figure)
    assert [round(x) for x in found["DELT"].x] == [1, 0]  # IPC 1 is the first group
    assert list(found["DELT"].y) == [61.0, 31.0]
    assert found["DELT"].x[1] == 0  # alone in its group, so in the middle
    assert found["SRe²L"].x[0] < 1 < found["DELT"].x[0]
    assert found["DELT"].marker.color == METHOD_COLOURS["delt"]
    assert figure.layout.yaxis.range[0] == 0
    assert [0.9, 0.4] in whiskers(figure)


def test_one_student_has_no_spread_and_says_so() -> None:
    figure = accuracy_bars([Score("DELT", "delt", 10, 61.0, 5.0, 1), SCORES[0]])
    assert whiskers(figure) == [[1.5], [1.5]]  # dark within light, of the other one
    assert bars(figure)["DELT"].hovertext[0] == "DELT, IPC 10: 61.0 % (1 student)"
    texts = [text for _, text in words_of(figure)]
    assert texts == [
        "DELT<br><b>61.0</b><br>n = 1",
        "<b>10 images per class</b>",
        "SRe²L<br><b>45.0</b><br>± 1.5<br>n = 3",
    ]
    many = [Score(f"run {number}", "delt", 10, 50.0) for number in range(20)]
    assert "50.0" in dict(words_of(accuracy_bars(many))).values()  # of many bars the values alone


def test_references_are_lines_over_what_they_are_for() -> None:
    figure = accuracy_bars(SCORES, random={1: 24.0, 10: 49.0}, real=94.0, chance=10.0)
    first, second = lines(figure, "Random real images")
    assert (list(first.y), list(second.y)) == ([24.0, 24.0], [49.0, 49.0])
    assert first.x[1] < second.x[0]
    assert [trace.showlegend for trace in (first, second)] == [True, False]
    for name, value in (("Whole real set", 94.0), ("Chance", 10.0)):
        (line,) = lines(figure, name)
        assert list(line.x) == [-0.5, 1.5]
        assert list(line.y) == [value, value]


def test_mean_is_taken_where_all_seeds_were_tested() -> None:
    seeds = {0: [(1, 10.0), (5, 20.0), (10, 40.0)], 1: [(1, 30.0), (10, 50.0)]}
    assert mean_curve(seeds) == [(1, 20.0), (10, 45.0)]
    figure = accuracy_curves([Curve("DELT", "delt", seeds), Curve("CDA", "cda", {0: [(1, 5.0)]})])
    names = [trace.name for trace in figure.data]
    assert names == ["DELT, seed 0", "DELT, seed 1", "DELT", "CDA"]
    assert [trace.line.width for trace in figure.data] == [1, 1, 3, 3]
    assert [figure.data[at].marker.symbol for at in (2, 3)] == ["circle", "square"]
    assert list(figure.data[2].y) == [20.0, 45.0]


def test_class_differences_are_sorted_and_coloured_by_who_is_better() -> None:
    figure = class_differences(("a", "b", "c"), [50, 40, 90], [60, 35, 30], ("DELT", "CDA"), ("#111111", "#222222"))
    (trace,) = figure.data
    assert list(trace.x) == [60, 5, -10]
    assert list(figure.layout.yaxis.ticktext) == ["c", "b", "a"]
    assert list(trace.marker.color) == ["#111111", "#111111", "#222222"]
    assert trace.hovertext[0] == "c: DELT 90.0 %, CDA 30.0 %"


def test_scatter_colours_by_cosine_and_leaves_unmeasured_ones_grey() -> None:
    points = [CostPoint(SCORES[0], 40_000, 0.85), CostPoint(SCORES[1], 27_000, 0.71), CostPoint(SCORES[2], 0, None)]
    known, unknown = cost_scatter(points, "Image-iterations").data
    assert list(known.x) == [40_000, 27_000]
    assert list(known.marker.color) == [0.85, 0.71]
    assert list(known.marker.line.color) == [METHOD_COLOURS["sre2l"], METHOD_COLOURS["delt"]]
    assert (known.marker.cmin, known.marker.cmax) == pytest.approx((0.696, 0.864))
    assert unknown.marker.color == NEUTRAL
    assert "not measured" in unknown.hovertext[0]


def test_published_numbers_are_open_marks_and_name_their_table() -> None:
    rows = [
        (Score("DELT", "delt", 10, 41.5, 0.5, 3), [PublishedMark(43.0, 0.9, "DELT Table 1")]),
        (Score("RDED", "rded", 10, 37.0, 1.0, 3), [PublishedMark(37.1, None, "DELT Table 1")]),
    ]
    figure = against_published(rows)
    measured, printed = [trace for trace in figure.data if trace.hovertext]
    assert list(measured.x) == [41.5, 37.0]
    assert list(printed.x) == [43.0, 37.1]
    assert (measured.marker.symbol, printed.marker.symbol) == (None, "diamond-open")
    assert printed.hovertext[0] == "DELT, published: 43.0 %<br>DELT Table 1"
    assert list(printed.error_x.array) == [0.9, 0.0]
    assert list(figure.layout.yaxis.ticktext) == ["DELT, IPC 10", "RDED, IPC 10"]
    legend = [trace for trace in figure.data if trace.showlegend is not False]
    assert [trace.name for trace in legend] == ["Measured here", "Published"]


def test_a_small_difference_looks_small_and_labels_keep_apart() -> None:
    close = [Score("RDED", "rded", 10, 73.4, 2.2, 3), Score("Random real", "random", 10, 73.0, 1.0, 3)]
    figure = cost_scatter([CostPoint(close[0], 0, 0.969), CostPoint(close[1], 0, 0.972)], "Image-iterations")
    low, high = figure.layout.yaxis.range
    assert high - low >= LEAST_POINTS
    (trace,) = figure.data
    assert trace.marker.cmax - trace.marker.cmin >= LEAST_COSINE
    assert trace.textposition[0] != trace.textposition[1]


def test_accuracy_over_mi_has_a_line_a_method_its_spread_and_a_logarithmic_axis() -> None:
    scores = {4000: Score("DELT", "delt", 10, 46.0, 1.0, 3), 1000: Score("DELT", "delt", 10, 45.0, 0.5, 3)}
    alone = {1000: Score("CDA", "cda", 10, 30.0, 2.0, 1)}
    figure = accuracy_over_mi([MiCurve("DELT", "delt", scores), MiCurve("CDA", "cda", alone)])
    assert [list(trace.x) for trace in figure.data] == [[4000, 1000], [1000]]
    assert [list(trace.error_y.array) for trace in figure.data] == [[1.0, 0.5], [0.0]]
    assert [trace.line.color for trace in figure.data] == [METHOD_COLOURS["delt"], METHOD_COLOURS["cda"]]
    assert figure.data[0].hovertext[1] == "DELT, MI 1,000: 45.0 ± 0.5 % (3 students)"
    assert (figure.layout.xaxis.type, list(figure.layout.xaxis.tickvals)) == ("log", [1000, 4000])
    assert figure.layout.yaxis.range == (26.5, 50.5)  # 20 points around 30.0 to 47.0, and a tenth more on both sides
