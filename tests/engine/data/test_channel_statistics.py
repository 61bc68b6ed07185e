from __future__ import annotations

import numpy as np
import pytest

from delt_engine.data import statistics as module
from delt_engine.data.dataset import ArrayImages
from delt_engine.data.statistics import channel_statistics, statistics_of
from delt_engine.errors import DataError


def test_against_numpy() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 6, 3), dtype=np.uint8)
    pixels[..., 1] //= 2
    mean, std = channel_statistics(pixels)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 1, 2)), atol=5.1e-5)
    np.testing.assert_allclose(std, (pixels / 255).std(axis=(0, 1, 2)), atol=5.1e-5)


def test_flat_images_can_still_be_divided() -> None:
    assert channel_statistics(np.full((2, 4, 4, 3), 255, dtype=np.uint8)) == ((1, 1, 1), (0.01, 0.01, 0.01))


def test_no_images() -> None:
    with pytest.raises(DataError, match=r"pixels: none given, but mean and standard deviation need at least one image"):
        channel_statistics(np.empty((0, 4, 4, 3), dtype=np.uint8))


def test_large_sets_are_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = np.arange(9, dtype=np.uint8)
    images = ArrayImages(np.broadcast_to(levels[:, None, None, None], (9, 2, 2, 3)), np.zeros(9), [""] * 9, 2)
    monkeypatch.setattr(module, "SAMPLE_BYTES", 3 * 2 * 2 * 3)  # room for three images: 0, 3, 6
    assert statistics_of(images)[0][0] == round(3 / 255, 4)
