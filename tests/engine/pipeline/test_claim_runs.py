"""Which runs DELT is held against, and how alike their classes are where nothing was measured before."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run

from delt_engine.analysis.similarity import centroid_cosine, pair_cosine, pixel_vectors
from delt_engine.pipeline.claim import claim, claim_runs

MEAN, STD = (0.5,) * 3, (0.25,) * 3


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))

    def made(name: str, method: str, **settings):
        return make_finished_run(tmp_path / name, fake_experiment(method, **settings))

    return {
        "delt": made("delt", "delt"),
        "fast": made("fast", "delt", mi=20),
        "fine": made("fine", "delt", ri=20),
        "cda": made("cda", "cda"),
        "sre2l": made("sre2l", "sre2l"),
        "few": made("few", "cda", ipc=2),
        "half": make_half_done_run(tmp_path / "half", fake_experiment("cda"), alive=False),
    }


def test_only_runs_under_the_same_settings_are_company(runs) -> None:
    known = list(runs.values())
    company = [runs["delt"], runs["cda"], runs["sre2l"]]
    assert claim_runs(known, "f00d") == company
    assert claim_runs(known, "f00d", runs["sre2l"]) == company
    assert claim_runs(known, "f00d", runs["fine"]) == [runs["fine"], *company[1:]]  # RI is DELT's own
    assert claim_runs(known, "f00d", runs["fast"]) == []
    assert claim_runs(known, "f00d", runs["half"]) == []
    assert claim_runs(known, "other data") == []
    assert claim_runs([runs["half"], runs["few"], runs["delt"]], "f00d") == []


def test_pixels_are_compared_where_nothing_is_stored(runs) -> None:
    found = claim([runs["delt"], runs["cda"]])
    images = runs["delt"].snapshot_images(1, 4)
    vectors = pixel_vectors(images, MEAN, STD)
    assert found.space == "the normalised pixels"
    assert found.delt.alike["cat"] == pytest.approx(centroid_cosine(vectors).mean())
    assert [one.method for one in found.sets] == ["delt", "cda"]
    assert found.settings == "MI 40, 4 images per class, teacher photos, seed 0"
    pairs = {(a, b): pair_cosine(vectors[[a, b]]) for a, b in combinations(range(4), 2)}
    mixed = np.mean([pairs[pair] for pair in ((0, 2), (0, 3), (1, 2), (1, 3))])
    assert found.pairs.early["cat"] == pytest.approx(pairs[0, 1], abs=1e-6)
    assert found.pairs.late["cat"] == pytest.approx(pairs[2, 3], abs=1e-6)
    assert found.pairs.mixed["cat"] == pytest.approx(mixed, abs=1e-6)


def test_an_odd_number_of_images_has_no_two_whole_halves(tmp_path) -> None:
    odd = [make_finished_run(tmp_path / name, fake_experiment(name, ipc=5)) for name in ("delt", "cda")]
    assert claim(odd).pairs is None
