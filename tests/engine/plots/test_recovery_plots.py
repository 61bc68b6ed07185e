"""Figures of a recovery: lanes, curves and losses hold the right numbers, and hover texts say them."""

import events_of_runs
import numpy as np
import pytest

from delt_engine.config import RecoverConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.plots.recovery import group_loss_curves, learning_curves, schedule_lanes
from delt_engine.plots.style import ROUND_SCALE, round_colour
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at
from delt_engine.runs.events import StepEvent


def test_lanes_begin_where_images_join_and_end_at_mi():
    schedule = EarlyLateSchedule(10, 4000, 500)
    figure = schedule_lanes(schedule)
    lanes = [
        (image, base, length, trace.marker.color)
        for trace in figure.data
        for image, base, length in zip(trace.y, trace.base, trace.x, strict=True)
    ]
    assert lanes == [
        (index + 1, (start - 1) * 500, iterations, round_colour(start, 8))
        for index, (start, iterations) in enumerate(
            zip(schedule.start_rounds, schedule.image_iterations_each, strict=True)
        )
    ]
    assert figure.data[1].hovertext[0] == "Image 3 joins in round 2 of 8, at iteration 500, and gets 3500 iterations"
    assert figure.layout.yaxis.range == (10.5, 0.5), "image 1 is on top"
    assert [list(trace.y) for trace in schedule_lanes(EarlyLateSchedule(2, 40, 10)).data] == [[1], [2]]
    (together,) = schedule_lanes(EarlyLateSchedule(3, 40, 10, early_late=False)).data
    assert list(together.x) == [40, 40, 40]


@pytest.mark.parametrize("ipc", [61, 100, 1000])
def test_many_lanes_are_one_bar_a_round_and_cover_every_image_once(ipc):
    figure = schedule_lanes(EarlyLateSchedule(ipc, 4000, 500))
    assert len(figure.data) == 8
    covered = []
    for trace in figure.data:
        middle, height = trace.y[0], trace.width
        covered += np.arange(middle - height / 2 + 0.5, middle + height / 2).tolist()
    assert covered == list(range(1, ipc + 1))
    assert (
        sum(trace.width * trace.x[0] for trace in figure.data) == EarlyLateSchedule(ipc, 4000, 500).image_iterations()
    )


def test_curves_follow_the_learning_rate_and_the_curriculum():
    config = RecoverConfig(iterations=40, round_iterations=10, learning_rate=0.1, curriculum="linear", milestone=0.5)
    rate, crop = learning_curves(config).data
    assert list(rate.x) == list(range(40))
    np.testing.assert_allclose(rate.y, [learning_rate_at(s, 40, 0.1) for s in range(40)])
    np.testing.assert_allclose(crop.y, [crop_scale_at(s, 40, "linear", 0.5)[0] for s in range(40)])
    assert (rate.y[0], crop.y[0]) == (0.1, 1.0)
    np.testing.assert_allclose(crop.y[20:], 0.08)


def test_curves_of_a_long_run_are_thinned_but_keep_jumps_upright():
    config = RecoverConfig(iterations=100_000, round_iterations=50_000, curriculum="step", milestone=0.3)
    _, crop = learning_curves(config).data
    assert len(crop.x) < 500
    values = dict(zip(crop.x, crop.y, strict=True))
    assert (values[30_000], values[30_001]) == (1.0, 0.08)


def step(iteration: int, starts: list[int], losses: list[float], batch: int = 0) -> StepEvent:
    ce = sum(losses) / len(losses)
    groups = {"start_rounds": starts, "start_ce_losses": losses}
    return events_of_runs.step(batch=batch, iteration=iteration, ce_loss=ce, total_loss=ce + 0.5, **groups)


STEPS = [step(0, [1], [2.0]), step(9, [1], [1.0]), step(10, [1, 2], [0.8, 3.0]), step(19, [1, 2], [0.5, 2.0])]


def test_a_line_a_start_group_from_where_it_joins_in_the_colours_of_the_rounds() -> None:
    figure = group_loss_curves(STEPS, iterations=20, num_rounds=2)
    first, second, bn = figure.data
    assert (first.name, list(first.x), list(first.y)) == ("Round 1", [0, 9, 10, 19], [2.0, 1.0, 0.8, 0.5])
    assert (second.name, list(second.x), list(second.y)) == ("Round 2", [10, 19], [3.0, 2.0])
    assert (first.line.color, second.line.color) == (ROUND_SCALE[0], ROUND_SCALE[-1])
    assert [round(y, 6) for y in bn.y] == [0.5] * 4
    assert "all joined images" in bn.name
    assert bn.yaxis == "y2"
    assert tuple(figure.layout.xaxis.range) == (0, 20)
    assert [shape.x0 for shape in figure.layout.shapes] == [10]  # where the first round ends


def test_a_group_with_one_step_is_a_dot() -> None:
    first, second, _ = group_loss_curves(STEPS[:3], iterations=20, num_rounds=2).data
    assert (first.mode, second.mode, len(second.x)) == ("lines", "lines+markers", 1)


def test_the_latest_batch_is_drawn_or_the_one_asked_for() -> None:
    steps = [*STEPS, step(0, [1], [4.0], batch=1)]
    assert list(group_loss_curves(steps, iterations=20, num_rounds=2).data[0].y) == [4.0]
    assert len(group_loss_curves(steps, iterations=20, num_rounds=2, batch=0).data[0].y) == 4
