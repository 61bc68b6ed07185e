"""Figures of teachers and students in training: a line each, and an epoch that was reported twice drawn once."""

import events_of_runs
from events_of_runs import squeeze_epoch

from delt_engine.plots.style import METHOD_COLOURS
from delt_engine.plots.training import student_curves, training_curves
from delt_engine.runs.events import SqueezeEpochEvent


def test_training_curves_leave_out_a_test_accuracy_that_is_not_there() -> None:
    epochs = [
        squeeze_epoch(epoch=1, loss=2.0, train_accuracy=20.0, test_accuracy=None),
        squeeze_epoch(epoch=2, loss=1.0, train_accuracy=60.0, test_accuracy=55.0),
    ]
    loss, train, test = training_curves(epochs, 5).data
    assert (list(loss.x), list(loss.y)) == ([1, 2], [2.0, 1.0])
    assert list(train.y) == [20.0, 60.0]
    assert (list(test.x), list(test.y)) == ([2], [55.0])
    assert training_curves([], 5).layout.annotations[0].text == "No epoch is<br>finished yet"
    assert (training_curves([], 1).layout.xaxis.dtick, training_curves([], 90).layout.xaxis.dtick) == (1, None)


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


def student_epoch(student, number, top1, loss=1.0, ema=None):
    return events_of_runs.student_epoch(student=student, epoch=number, loss=loss, top1=top1, top1_ema=ema)


def test_each_student_has_its_tests_and_its_losses() -> None:
    events = [
        student_epoch(0, 1, 10.0, 2.0),
        student_epoch(0, 2, None, 1.5),
        student_epoch(0, 3, 30.0, 1.0),
        student_epoch(1, 1, 12.0, 2.1),
        events_of_runs.student_step(student=1, loss=9.0),
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
        student_epoch(0, 1, 10.0, 2.0),
        student_epoch(0, 2, 20.0, 1.5),
        student_epoch(1, 1, 12.0, 2.1),
        student_epoch(1, 2, 22.0, 1.6),
        student_epoch(1, 2, 23.0, 1.4),
        student_epoch(1, 3, 33.0, 1.0),
    ]
    traces = {trace.name: trace for trace in student_curves(events, epochs=3).data}
    assert (list(traces["Student 1"].x), list(traces["Student 1"].y)) == ([1, 2], [10.0, 20.0])
    assert (list(traces["Student 2"].x), list(traces["Student 2"].y)) == ([1, 2, 3], [12.0, 23.0, 33.0])
    assert list(traces["Student 2, loss"].y) == [2.1, 1.4, 1.0]
