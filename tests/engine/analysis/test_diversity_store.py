"""What is stored of a measurement: its means, its file, and which results may stand side by side."""

from dataclasses import replace

import numpy as np
import pytest

from delt_engine.analysis.diversity_store import (
    DiversityResult,
    comparable,
    result_key,
    shipped_path,
    stored,
    stored_path,
)
from delt_engine.errors import DataError, ShapeError

COSINE = [[[0.9, 0.7], [0.5, 0.7]], [[0.4, 0.2], [0.2, 0.0]]]  # two classes, two draws, two images


@pytest.fixture
def result() -> DiversityResult:
    """Of two classes, drawn twice."""
    return DiversityResult(
        source="run-1",
        title="DELT",
        method="delt",
        dataset="photos",
        dataset_fingerprint="f",
        class_names=("a", "b"),
        classes=(3, 5),
        ipc=4,
        space="teacher",
        network="photos",
        network_title="resnet18",
        network_fingerprint="w",
        seed=0,
        rounds=(1, 1, 2, 2),
        cosine=COSINE,
        index=[[[0, 2], [1, 3]], [[0, 1], [2, 3]]],
        pairwise=[[0.5, 0.3], [0.1, -0.1]],
        halves=[[[0.8, 0.6], [0.6, 0.4]], [[0.6, 0.2], [0.2, 0.0]]],
    )


def test_means_are_those_of_classes(result) -> None:
    assert (result.images, result.draws) == (2, 2)
    assert result.per_class == pytest.approx([0.7, 0.2])
    assert result.mean == pytest.approx(0.45)
    assert result.mean_pairwise == pytest.approx(0.2)
    assert result.spread == pytest.approx(np.std([0.55, 0.35], ddof=1))  # of the means of both draws
    parts = {name: getattr(result, name)[:, :1] for name in ("cosine", "index", "pairwise")}
    assert replace(result, **parts).spread is None
    assert result.sorted_curve() == (("a", pytest.approx(0.7)), ("b", pytest.approx(0.2)))


def test_halves_and_single_images(result) -> None:
    assert result.early_late == pytest.approx((0.7, 0.4))
    assert result.early_late_pairwise == pytest.approx((0.4, 0.2))
    assert replace(result, halves=np.zeros((0, 2, 2))).early_late is None
    assert result.values().tolist() == pytest.approx(np.ravel(COSINE).tolist())
    assert result.values("b") == pytest.approx([0.4, 0.2, 0.2, 0.0])
    with pytest.raises(DataError, match="class: 'c' given, but measured were a, b"):
        result.values("c")


def test_a_result_survives_its_file(result, tmp_path) -> None:
    result.save(tmp_path / "result.npz")
    found = DiversityResult.load(tmp_path / "result.npz")
    assert found.summary() == result.summary()
    assert (found.rounds, found.classes, found.index.tolist()) == (result.rounds, result.classes, result.index.tolist())
    assert found.summary()["cosine_similarity"] == pytest.approx(0.45)


def test_what_is_no_result_is_named(result, tmp_path) -> None:
    path = tmp_path / "broken.npz"
    with pytest.raises(DataError, match="cannot be read"):
        DiversityResult.load(path)
    result.save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="is not a diversity result, or is damaged"):
        DiversityResult.load(path)


def test_arrays_that_do_not_fit_are_refused(result) -> None:
    with pytest.raises(ShapeError, match=r"cosine: shape \(1, 2, 2\) given"):
        replace(result, cosine=result.cosine[:1])
    with pytest.raises(ShapeError, match="halves"):
        replace(result, halves=np.zeros((1, 2, 2)))


def test_only_equal_numbers_of_images_in_the_same_features_are_compared(result) -> None:
    other = replace(result, source="run-2", cosine=result.cosine / 2)
    fewer = replace(result, cosine=np.zeros((2, 2, 3)), index=np.zeros((2, 2, 3)))
    assert comparable([result, other])
    assert not comparable([result, fewer])
    assert not comparable([result, replace(result, network_fingerprint="x")])
    assert not comparable([result, replace(result, dataset_fingerprint="x")])


def test_what_was_measured_is_found_again(result, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("delt_engine.analysis.diversity_store.assets_dir", lambda: tmp_path / "assets")
    about = {"classes": (0, 1), "draws": 1, "seed": 0}
    key = result_key("run", "weights", 10, **about)
    others = [
        result_key("other", "weights", 10, **about),
        result_key("run", "other", 10, **about),
        result_key("run", "weights", 9, **about),
        result_key("run", "weights", 10, **about | {"draws": 5}),
        result_key("run", "weights", 10, **about | {"classes": (0,)}),
    ]
    assert len({key, *others}) == 6
    assert stored(key, DiversityResult.load) is None
    result.save(shipped_path(stored_path(key)))
    assert stored(key, DiversityResult.load).source == "run-1"
    replace(result, source="mine").save(stored_path(key))
    assert stored(key, DiversityResult.load).source == "mine"
    stored_path(key).write_bytes(b"damaged")
    assert stored(key, DiversityResult.load).source == "run-1"
