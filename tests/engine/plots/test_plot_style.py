"""The common style: colours can be told apart and read on every background."""

import itertools

import numpy as np
import pytest

from delt_engine.config import RecoverConfig
from delt_engine.config.methods import CORESETS, IMPORTED, METHOD_TITLES
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.plots.recovery import group_loss_curves, learning_curves, schedule_lanes
from delt_engine.plots.style import BN_COLOUR, LINE, METHOD_COLOURS, NEUTRAL, ROUND_SCALE, round_colour

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
    for colour in (*METHOD_COLOURS.values(), *rounds, NEUTRAL, LINE, BN_COLOUR):
        assert contrast(colour, background) >= 3


@pytest.mark.parametrize("sight", SIGHTS)
def test_methods_can_be_told_apart(sight):
    assert set(METHOD_COLOURS) == {*METHOD_TITLES, "gvbsm"} - {"folder", IMPORTED}
    seen = {name: lab(np.array(SIGHTS[sight]) @ linear(colour)) for name, colour in METHOD_COLOURS.items()}
    for one, other in itertools.combinations(seen, 2):
        least = 36 if {one, other} == {"sre2l", "cda"} else 15 if {one, other} & {*CORESETS} else 18
        assert np.linalg.norm(seen[one] - seen[other]) >= least, f"{one} and {other}"


def test_rounds_grow_lighter_from_the_first_colour_to_the_last():
    colours = [round_colour(number, 8) for number in range(1, 9)]
    assert (colours[0], colours[-1]) == (ROUND_SCALE[0], ROUND_SCALE[-1])
    lightness = [lab(linear(colour))[0] for colour in colours]
    assert lightness == sorted(lightness)
    assert len(set(colours)) == 8
    assert round_colour(2, 3) == ROUND_SCALE[1]
    assert round_colour(1, 1) == ROUND_SCALE[0]
    assert round_colour(9, 8) == ROUND_SCALE[-1]


FIGURES = [
    group_loss_curves([], iterations=40, num_rounds=4),
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
