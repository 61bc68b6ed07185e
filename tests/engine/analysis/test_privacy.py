"""Nearest real images against a plain search, ranks of the sources by hand, and what chance would find."""

from math import comb

import numpy as np
import pytest

from delt_engine.analysis import privacy
from delt_engine.analysis.privacy import neighbours
from delt_engine.errors import ShapeError


def test_a_search_in_blocks_finds_what_a_plain_one_finds(monkeypatch) -> None:
    monkeypatch.setattr(privacy, "_BLOCK", 7)
    generator = np.random.default_rng(0)
    real, asked = generator.normal(size=(40, 3)).astype(np.float32), generator.normal(size=(9, 3))
    sources = [[i, 39 - i] if i % 3 else [] for i in range(9)]
    seen = []
    found = neighbours(asked, sources, lambda rows: real[rows], 40, lambda done, total: seen.append((done, total)))
    distance = np.sqrt(((asked[:, None] - real[None]) ** 2).sum(axis=2))
    assert np.array_equal(found.nearest, np.argsort(distance, axis=1)[:, :5])
    assert found.distance == pytest.approx(np.sort(distance, axis=1)[:, :5])
    for at, own in enumerate(sources):
        if not own:
            assert (found.source_rank[at], np.isnan(found.source_distance[at])) == (0, True)
            continue
        nearest = min(distance[at, row] for row in own)
        assert found.source_distance[at] == pytest.approx(nearest)
        assert found.source_rank[at] == 1 + (distance[at] < nearest).sum()
    assert (seen[0], seen[-1]) == ((0, 40), (40, 40))


def test_a_copy_in_the_data_does_not_hide_a_source() -> None:
    real = np.array([[1.0], [1.0], [2.0], [5.0]])
    found = neighbours(np.array([[1.0], [1.2], [3.0]]), [[1], [2], [3]], lambda rows: real[rows], 4)
    assert found.source_rank.tolist() == [1, 3, 2]
    assert found.nearest.shape == (3, 4)
    with pytest.raises(ShapeError, match="sources: 1 given for 3 images"):
        neighbours(real[:3], [[0]], lambda rows: real[rows], 4)


def test_counts_of_a_result(result) -> None:
    assert [result.recognised(k) for k in (1, 5)] == [1, 2]
    assert [result.recognised(k, at_start=True) for k in (1, 5)] == [3, 3]
    assert result.chance(1) == pytest.approx(1 / 20 + 1 / 20 + 4 / 20)
    assert result.chance(5) == pytest.approx(5 / 20 + 5 / 20 + 1 - comb(16, 5) / comb(20, 5))
    assert result.relative.tolist() == [0.5, 1.0, 2.0, 1.5]
    first, last = result.by_round()
    assert (first["iterations"], first["images"], first["top1"], first["top5"]) == (40, 2, 0, 0)
    assert (last["distance"], last["source_distance"], last["top1"], last["top5"]) == (1.5, 2.0, 1, 2)
    assert result.summary()["start_top1"] == 3


@pytest.fixture
def result():
    """Two images that joined late, two early; the last started from noise, the third from four photographs."""
    return privacy.PrivacyResult(
        source="run",
        title="DELT",
        dataset="colours",
        dataset_fingerprint="tiny",
        class_names=("red",),
        real_images=20,
        total=4,
        space="pixels",
        network_title="",
        network_fingerprint="",
        seconds=1.0,
        class_index=np.zeros(4),
        index=np.arange(4),
        start_round=np.array([2, 2, 1, 1]),
        iterations=np.array([20, 20, 40, 40]),
        nearest=np.array([[3], [4], [5], [6]]),
        distance=np.array([[1.0], [2.0], [4.0], [3.0]]),
        source_image=np.array([3, 9, 1, -1]),
        source_count=np.array([1, 1, 4, 0]),
        source_distance=np.array([1.0, 3.0, 7.0, np.nan]),
        source_rank=np.array([1, 4, 6, 0]),
        start_rank=np.array([1, 1, 1, 0]),
        test_distance=np.array([1.0, 2.0, 9.0]),
    )
