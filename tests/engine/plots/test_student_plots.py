"""Figures of students at work and of published numbers: a line a student, and nothing printed looks measured."""

from __future__ import annotations

from events_of_runs import student_epoch, student_step

from delt_engine.plots.accuracy import Score
from delt_engine.plots.recovery import METHOD_COLOURS
from delt_engine.plots.students import HEIGHT, PublishedMark, against_published, student_curves


def epoch(student, number, top1, loss=1.0, ema=None):
    return student_epoch(student=student, epoch=number, loss=loss, top1=top1, top1_ema=ema)


def test_each_student_has_its_tests_and_its_losses() -> None:
    events = [
        epoch(0, 1, 10.0, 2.0),
        epoch(0, 2, None, 1.5),
        epoch(0, 3, 30.0, 1.0),
        epoch(1, 1, 12.0, 2.1),
        student_step(student=1, loss=9.0),
    ]
    traces = {trace.name: trace for trace in student_curves(events, epochs=3, method="delt").data}
    assert set(traces) == {"Student 1", "Student 1, loss", "Student 2", "Student 2, loss"}
    assert list(traces["Student 1"].x) == [1, 3]
    assert list(traces["Student 1"].y) == [10.0, 30.0]
    assert list(traces["Student 1, loss"].y) == [2.0, 1.5, 1.0]
    assert traces["Student 1"].line.color == METHOD_COLOURS["delt"]
    assert traces["Student 1"].line.dash != traces["Student 2"].line.dash


def test_an_epoch_that_was_told_twice_is_drawn_once() -> None:
    events = [
        epoch(0, 1, 10.0, 2.0),
        epoch(0, 2, 20.0, 1.5),
        epoch(1, 1, 12.0, 2.1),
        epoch(1, 2, 22.0, 1.6),
        epoch(1, 2, 23.0, 1.4),
        epoch(1, 3, 33.0, 1.0),
    ]
    traces = {trace.name: trace for trace in student_curves(events, epochs=3).data}
    assert (list(traces["Student 1"].x), list(traces["Student 1"].y)) == ([1, 2], [10.0, 20.0])
    assert (list(traces["Student 2"].x), list(traces["Student 2"].y)) == ([1, 2, 3], [12.0, 23.0, 33.0])
    assert list(traces["Student 2, loss"].y) == [2.1, 1.4, 1.0]


def test_averaged_weights_have_a_line_of_their_own() -> None:
    names = [trace.name for trace in student_curves([epoch(0, 1, 10.0, ema=14.0)], epochs=2).data]
    assert "Student 1, EMA" in names


def test_empty_and_full_figure_have_the_same_height() -> None:
    empty, full = (student_curves(events, epochs=5) for events in ([], [epoch(0, 1, 10.0)]))
    assert empty.layout.height == full.layout.height == HEIGHT
    assert empty.layout.annotations[0].text == "No epoch yet"
    assert list(empty.layout.xaxis.range) == [0, 5]


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
