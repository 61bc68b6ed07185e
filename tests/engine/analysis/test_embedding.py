"""The map: who is shown, and that what is near in features is near on it."""

from dataclasses import replace

import numpy as np
import pytest

from delt_engine.analysis.embedding import Embedding, lay_out, shares, spread_choice
from delt_engine.errors import DataError, ShapeError


def test_small_sets_are_shown_whole_and_large_ones_share_the_rest() -> None:
    assert shares([5000, 100, 100], 1500) == [1300, 100, 100]
    assert shares([10, 20], 1500) == [10, 20]
    assert shares([50, 50, 50], 10) == [4, 3, 3]
    assert shares([0, 5], 3) == [0, 3]


def test_every_class_is_shown_alike_and_the_choice_repeats() -> None:
    chosen = spread_choice([100, 100, 2], 20, 0, 1)
    assert [len(each) for each in chosen] == [9, 9, 2]
    assert all(len(set(each.tolist())) == len(each) and list(each) == sorted(each) for each in chosen)
    again, other = spread_choice([100, 100, 2], 20, 0, 1), spread_choice([100, 100, 2], 20, 0, 2)
    assert all(np.array_equal(a, b) for a, b in zip(chosen, again, strict=True))
    assert not np.array_equal(chosen[0], other[0])


@pytest.fixture(scope="module")
def laid_out():
    """Two far groups of twelve points in twenty dimensions."""
    vectors = np.random.default_rng(0).normal(size=(24, 20))
    vectors[12:] += 30
    return vectors, *lay_out(vectors, seed=1)


def test_far_groups_stay_apart_and_places_fill_the_unit_square(laid_out) -> None:
    _, pca, tsne, explained = laid_out
    for places in (pca, tsne):
        assert places.shape == (24, 2)
        assert places.min() >= 0
        assert places.max() <= 1
        assert np.ptp(places, axis=0).max() == pytest.approx(1)
        within = max(np.linalg.norm(half - half.mean(0), axis=1).max() for half in (places[:12], places[12:]))
        assert np.linalg.norm(places[:12].mean(0) - places[12:].mean(0)) > within
    assert explained[0] > 0.9 > explained[1] > 0


@pytest.fixture
def small_map() -> Embedding:
    """Of three points, one of them real."""
    return Embedding(
        sources=("real", "run-1"),
        titles=("Real images", "DELT"),
        methods=("real", "delt"),
        shown=(1, 2),
        totals=(500, 2),
        class_names=("a", "b"),
        space="pixels",
        network_title="",
        seed=0,
        explained=(0.5, 0.25),
        pca=np.zeros((3, 2)),
        tsne=np.ones((3, 2)),
        set_number=[0, 1, 1],
        class_index=[0, 0, 1],
        index=[417, 0, 1],
    )


def test_a_map_survives_its_file_and_says_of_how_many_it_shows(small_map, tmp_path) -> None:
    assert small_map.count_words == "3 of 502 images"
    assert replace(small_map, totals=(1, 2)).count_words == "all 3 images"
    small_map.save(tmp_path / "map.npz")
    found = Embedding.load(tmp_path / "map.npz")
    assert (found.sources, found.shown, found.explained) == (small_map.sources, (1, 2), (0.5, 0.25))
    assert found.index.tolist() == [417, 0, 1]
    (tmp_path / "map.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="is not a map"):
        Embedding.load(tmp_path / "map.npz")
    with pytest.raises(ShapeError, match="3 points need"):
        replace(small_map, index=[1])
