"""Figures of similarity: sorted by class as in DELT's Fig. 2, each image a tick, halves with their iterations."""

import numpy as np
import pytest

from delt_engine.analysis.diversity_store import DiversityResult
from delt_engine.plots.diversity import (
    LEAST_COSINE,
    Shown,
    class_boxes,
    class_curves,
    distribution,
    early_and_late,
)
from delt_engine.plots.style import METHOD_COLOURS


def result(method="delt", per_class=(0.6, 0.9, 0.7), halves=None, images=2):
    cosine = np.stack([np.full((1, images), value) for value in per_class])
    index = np.broadcast_to(np.arange(images), cosine.shape)
    names = tuple("abcdefghij"[: len(per_class)])
    return DiversityResult(
        source="r",
        title=method,
        method=method,
        dataset="photos",
        dataset_fingerprint="f",
        class_names=names,
        classes=tuple(range(len(names))),
        ipc=images,
        space="teacher",
        network="t",
        network_title="resnet18",
        network_fingerprint="w",
        seed=0,
        rounds=(),
        cosine=cosine,
        index=index,
        pairwise=cosine.mean(axis=2),
        halves=np.zeros((0, 2, 2)) if halves is None else np.tile(halves, (len(names), 1, 1)),
    )


def test_classes_are_sorted_most_alike_first_each_set_by_itself() -> None:
    figure = class_curves([Shown("DELT", result()), Shown("Real", result("real", (0.3, 0.1, 0.2)))], "pixels")
    delt, real = figure.data
    assert list(delt.y) == pytest.approx([0.9, 0.7, 0.6])
    assert list(real.y) == pytest.approx([0.3, 0.2, 0.1])
    assert list(delt.hovertext) == ["DELT, b: 0.900", "DELT, c: 0.700", "DELT, a: 0.600"]
    assert list(delt.x) == [1, 2, 3]
    assert (delt.line.dash, real.line.dash) == ("solid", "dash")
    assert (delt.marker.symbol, real.marker.symbol) == ("circle", "square")
    assert delt.line.color == METHOD_COLOURS["delt"]


def test_sets_of_one_method_differ_in_dash_and_close_values_look_close() -> None:
    figure = class_curves([Shown("DELT", result(per_class=(0.969, 0.972))), Shown("again", result())], "pixels")
    assert [trace.line.dash for trace in figure.data] == ["solid", "dashdot"]
    figure = class_curves([Shown("DELT", result(per_class=(0.969, 0.972)))], "pixels")
    low, high = figure.layout.yaxis.range
    assert high - low >= LEAST_COSINE


def test_each_class_has_a_box_of_every_set() -> None:
    delt, real = class_boxes([Shown("DELT", result()), Shown("Real", result("real"))], "pixels", ("a", "c")).data
    assert list(delt.x) == ["a", "a", "c", "c"]
    assert list(delt.y) == pytest.approx([0.6, 0.6, 0.7, 0.7])
    assert (delt.boxmean, real.line.color) == (True, METHOD_COLOURS["real"])


def test_every_image_is_a_tick_until_there_are_too_many() -> None:
    box, ticks = distribution([Shown("DELT", result())], "pixels").data
    assert list(ticks.x) == pytest.approx([0.6, 0.6, 0.7, 0.7, 0.9, 0.9])
    assert list(box.x) == pytest.approx(list(ticks.x))
    box, ticks = distribution([Shown("DELT", result(images=500))], "pixels").data
    assert len(box.x) == 1500
    assert len(ticks.x) == 400
    assert (ticks.x[0], ticks.x[-1]) == pytest.approx((0.6, 0.9))


def test_halves_are_paired_and_say_their_iterations() -> None:
    shown = [
        Shown("DELT", result(halves=[[0.8, 0.7], [0.6, 0.5]]), "1,000 iterations", "125 iterations"),
        Shown("CDA", result("cda")),
    ]
    figure = early_and_late(shown, "pixels")
    pair, early, late, _, whole = figure.data
    assert list(whole.y) == ["DELT", "CDA"]  # one without rounds has its class as a whole
    low, high = figure.layout.xaxis.range
    assert high - low >= LEAST_COSINE
    assert list(pair.x[:2]) == pytest.approx([0.8, 0.6])
    assert (early.x[0], late.x[0]) == pytest.approx((0.8, 0.6))
    assert (early.text[0], late.text[0]) == ("1,000 iterations", "125 iterations")
    assert late.hovertext[0] == "DELT, late half, 125 iterations: 0.600"
    assert early.marker.color != late.marker.color
