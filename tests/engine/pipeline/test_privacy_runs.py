"""The nearest-neighbour test of runs: found again, of patches and of noise, and without a second network."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_data import tiny_dataset
from tiny_world import finished

from delt_engine.errors import DataError, RunError
from delt_engine.pipeline import inputs, privacy
from delt_engine.pipeline.privacy import look_up, misses_a_space, stored_tests
from delt_engine.runs.store import Run
from delt_engine.runs.strips import read_png

pytest_plugins = ["tiny_world"]


def test_images_are_looked_up_once_and_their_starts_are_the_photographs(world, settings, monkeypatch) -> None:
    run = finished(world / "runs" / "one", settings())
    assert stored_tests(run) == {}
    assert misses_a_space(run, {})
    told = []
    found, missing = look_up(run, device="cpu", report=lambda *words: told.append(words))
    assert list(found) == ["pixels"]
    assert "delt squeeze --dataset colours" in missing
    result, train = found["pixels"], tiny_dataset().train
    assert (len(result), result.total, result.real_images, len(result.test_distance)) == (12, 12, 72, 36)
    at = 5
    image_u8 = read_png(run.image_path(int(result.class_index[at]), int(result.index[at])))
    gaps = (train.pixels(np.arange(72)) / 255 - image_u8 / 255) / 0.3
    distance = np.sqrt((gaps.reshape(72, -1) ** 2).sum(axis=1))
    assert result.distance[at] == pytest.approx(np.sort(distance)[:5], rel=1e-4)
    selected = {(one.class_index, one.index): one for one in run.selection()}
    own = selected[int(result.class_index[at]), int(result.index[at])].patches[0].image_index
    assert result.source_image[at] == own
    assert result.source_rank[at] == 1 + (distance < distance[own]).sum()
    assert result.recognised(1, at_start=True) == 12  # whole images, before any iteration
    assert told[-1] == ("compare pixels", 72, 72)

    monkeypatch.setattr(privacy, "neighbours", lambda *_args, **_rest: pytest.fail("looked up twice"))
    again, _ = look_up(run)
    assert again["pixels"].summary() == result.summary()
    assert not misses_a_space(run, again)


def test_a_start_from_noise_has_no_photograph_and_many_images_are_sampled(world, settings, monkeypatch) -> None:
    monkeypatch.setattr(privacy, "MOST_IMAGES", 6)
    result = look_up(finished(world / "runs" / "noise", settings("sre2l")), device="cpu")[0]["pixels"]
    assert (len(result), result.total, np.bincount(result.class_index).tolist()) == (6, 12, [2, 2, 2])
    assert (result.recognised(5), result.summary()["top1"], result.summary()["chance_top1"]) == (0, None, None)


def test_what_cannot_be_looked_up_is_said(world, settings, monkeypatch) -> None:
    queued = Run.create(world / "runs" / "queued", settings())
    with pytest.raises(RunError, match="it is queued"):
        look_up(queued)
    run = finished(world / "runs" / "one", settings())
    monkeypatch.setattr(inputs, "load_dataset", lambda *_args, **_rest: replace(tiny_dataset(), fingerprint="other"))
    with pytest.raises(DataError, match="the images of colours are not those"):
        look_up(run)
    assert stored_tests(run) == {}
