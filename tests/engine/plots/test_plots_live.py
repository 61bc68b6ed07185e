"""The losses of a run at work, group by group."""

from __future__ import annotations

import events_of_runs

from delt_engine.plots.live import HEIGHT, group_loss_curves
from delt_engine.plots.recovery import ROUND_SCALE
from delt_engine.runs.events import StepEvent


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


def test_the_latest_batch_is_drawn_or_the_one_asked_for() -> None:
    steps = [*STEPS, step(0, [1], [4.0], batch=1)]
    assert list(group_loss_curves(steps, iterations=20, num_rounds=2).data[0].y) == [4.0]
    assert len(group_loss_curves(steps, iterations=20, num_rounds=2, batch=0).data[0].y) == 4


def test_the_figure_is_as_high_before_the_first_step() -> None:
    empty = group_loss_curves([], iterations=20, num_rounds=2)
    assert empty.layout.height == group_loss_curves(STEPS, iterations=20, num_rounds=2).layout.height == HEIGHT
    assert empty.layout.annotations[0].text == "No steps yet"
    assert tuple(empty.layout.xaxis.range) == (0, 20)


def test_steps_from_before_groups_were_written_have_one_line() -> None:
    figure = group_loss_curves([events_of_runs.step()], iterations=20, num_rounds=2)
    assert [trace.name for trace in figure.data] == ["All images", "BatchNorm, all joined images"]


def test_many_groups_have_a_short_legend_with_first_and_last() -> None:
    starts = list(range(1, 21))
    figure = group_loss_curves([step(0, starts, [1.0] * 20)], iterations=20, num_rounds=20)
    named = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert len(named) <= 8
    assert (named[0], named[-2]) == ("Round 1", "Round 20")
