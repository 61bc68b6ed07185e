"""Figures: every trace holds the right numbers, hover texts say them, and colours can be told apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from delt_engine.config import RecoverConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ShapeError
from delt_engine.plots.recovery import (
    LOSS_STYLES,
    METHOD_COLOURS,
    ROUND_SCALE,
    learning_curves,
    loss_curves,
    probability_histogram,
    round_colour,
    schedule_lanes,
)
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at

# Machado, Oliveira and Fernandes 2009, full severity, in linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    dark, light = sorted(linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05 for colour in (one, other))
    return light / dark


def lab(rgb):
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089], 0.008856, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("background", ["#ffffff", "#121617"])
def test_colours_can_be_read_on_both_themes(background):
    rounds = [round_colour(number, 8) for number in range(1, 9)]
    for colour in (*METHOD_COLOURS.values(), *rounds, *(colour for colour, _ in LOSS_STYLES.values())):
        assert contrast(colour, background) >= 3


@pytest.mark.parametrize("sight", SIGHTS)
def test_methods_can_be_told_apart(sight):
    assert set(METHOD_COLOURS) == {"delt", "cda", "cda-init", "sre2l", "rded", "gvbsm", "random", "real"}
    seen = {name: lab(np.array(SIGHTS[sight]) @ linear(colour)) for name, colour in METHOD_COLOURS.items()}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= 21, f"{one} and {other}"


def test_rounds_grow_lighter_from_the_first_colour_to_the_last():
    colours = [round_colour(number, 8) for number in range(1, 9)]
    assert (colours[0], colours[-1]) == (ROUND_SCALE[0], ROUND_SCALE[-1])
    lightness = [lab(linear(colour))[0] for colour in colours]
    assert lightness == sorted(lightness)
    assert len(set(colours)) == 8
    assert round_colour(2, 3) == ROUND_SCALE[1]
    assert round_colour(1, 1) == ROUND_SCALE[0]
    assert round_colour(9, 8) == ROUND_SCALE[-1]


def traces(figure):
    return {trace.name.split(" (")[0].split(" 0.")[0]: trace for trace in figure.data}


def test_the_histogram_counts_every_patch_once():
    probabilities = np.array([0.0, 0.04, 0.05, 0.5, 0.99, 1.0], np.float32)
    figure = probability_histogram(probabilities, bins=10)
    bars = traces(figure)["All patches"]
    np.testing.assert_array_equal(bars.y, [3, 0, 0, 0, 0, 1, 0, 0, 0, 2])
    np.testing.assert_allclose(bars.x, np.arange(0.05, 1, 0.1))
    assert bars.hovertext[0] == "3 patches from 0 to 0.1"
    assert bars.hovertext[5] == "1 patch from 0.5 to 0.6"
    assert list(traces(figure)) == ["All patches", "Median"]


def test_the_histogram_marks_the_chosen_and_the_median():
    probabilities = np.array([0.9, 0.1, 0.5, 0.3, 0.7])
    figure = probability_histogram(probabilities, [2, 4], "cat", start_rounds=[1, 3], num_rounds=4)
    marks = traces(figure)["Chosen"]
    np.testing.assert_allclose(marks.x, [0.5, 0.7])
    assert all(y > 1 for y in marks.y), "above the highest bar"
    assert list(marks.marker.line.color) == [round_colour(1, 4), round_colour(3, 4)]
    assert marks.hovertext[0] == "Image 1: probability 0.5000, rank 3 of 5, joins in round 1 of 4"
    assert marks.hovertext[1] == "Image 2: probability 0.7000, rank 4 of 5, joins in round 3 of 4"
    assert list(traces(figure)["Median"].x) == [0.5, 0.5]
    assert figure.layout.title.text == "cat"


def test_the_histogram_without_rounds_takes_the_colour_of_the_method():
    figure = probability_histogram(np.array([0.1, 0.2]), [1])
    assert traces(figure)["Chosen"].marker.color == METHOD_COLOURS["delt"]
    assert traces(figure)["Chosen"].hovertext == ("Image 1: probability 0.2000, rank 2 of 2",)


def test_the_histogram_of_no_patches_is_empty_and_rounds_that_do_not_fit_are_refused():
    assert sum(probability_histogram(np.array([])).data[0].y) == 0
    with pytest.raises(ShapeError, match="start_rounds: 3 given, but 1 patches are chosen"):
        probability_histogram(np.array([0.1, 0.2]), [1], start_rounds=[1, 2, 3])


def step(iteration, batch=0, ce=1.0, total=3.0):
    return {
        "kind": "step",
        "batch": batch,
        "iteration": iteration,
        "iterations": 40,
        "round": iteration // 10 + 1,
        "rounds": 4,
        "ce_loss": ce,
        "bn_loss": 200.0,
        "total_loss": total,
    }


def test_losses_are_drawn_with_the_weighted_term_as_the_rest():
    events = [{"kind": "stage", "stage": "rank"}, step(0, ce=2.0, total=5.0), step(10, ce=1.5, total=2.25)]
    lines = {trace.name: trace for trace in loss_curves(events).data}
    assert list(lines) == ["Total", "Cross-entropy", "BatchNorm, weighted"]
    assert list(lines["Total"].x) == [0, 10]
    np.testing.assert_allclose(lines["Total"].y, [5.0, 2.25])
    np.testing.assert_allclose(lines["Cross-entropy"].y, [2.0, 1.5])
    np.testing.assert_allclose(lines["BatchNorm, weighted"].y, [3.0, 0.75])
    assert len({trace.line.dash for trace in lines.values()}) == 3


def test_losses_show_one_batch_the_latest_unless_told_and_the_round_borders():
    events = [step(0), step(30), step(0, batch=1), step(5, batch=1), step(9, batch=1)]
    figure = loss_curves(events)
    assert list(figure.data[0].x) == [0, 5, 9]
    assert list(loss_curves(events, batch=0).data[0].x) == [0, 30]
    assert [shape.x0 for shape in figure.layout.shapes] == [10, 20, 30]


def test_losses_before_the_first_step_say_so():
    figure = loss_curves([{"kind": "status", "status": "running"}])
    assert len(figure.data) == 0
    assert figure.layout.annotations[0].text == "No steps yet"
    assert loss_curves([step(0)], batch=3).layout.annotations[0].text == "No steps yet"


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


def test_lanes_of_rounds_with_no_newcomer_and_without_early_late():
    assert [list(trace.y) for trace in schedule_lanes(EarlyLateSchedule(2, 40, 10)).data] == [[1], [2]]
    together = schedule_lanes(EarlyLateSchedule(3, 40, 10, early_late=False)).data
    assert [list(trace.x) for trace in together] == [[40, 40, 40]]


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


def test_a_lane_of_many_images_names_them():
    hover = schedule_lanes(EarlyLateSchedule(100, 4000, 500)).data[1].hovertext[0]
    assert hover == "Images 14 to 26 join in round 2 of 8, at iteration 500, and get 3500 iterations"


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
    assert (values[29_999], values[30_000]) == (1.0, 0.08)


def test_curves_begin_anew_in_every_round_when_rounds_restart():
    config = RecoverConfig(iterations=40, round_iterations=10, restart_rounds=True)
    rate, crop = learning_curves(config).data
    for values in (rate.y, crop.y):
        np.testing.assert_allclose(values[10:20], values[:10])
        np.testing.assert_allclose(values[30:], values[:10])
    np.testing.assert_allclose(rate.y[5], 0.125)


FIGURES = [
    probability_histogram(np.array([0.2, 0.7]), [0]),
    loss_curves([step(0), step(1)]),
    loss_curves([]),
    schedule_lanes(EarlyLateSchedule(10, 40, 10)),
    learning_curves(RecoverConfig()),
]


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_stand_on_any_background_and_leave_text_to_the_theme(figure):
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.font.color is None
    assert figure.layout.font.family is None
    assert figure.layout.template.layout.colorway == tuple(METHOD_COLOURS.values())
    assert len(figure.to_json()) < 200_000
