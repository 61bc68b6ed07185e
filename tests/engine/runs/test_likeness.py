"""Likeness in pixels: by an independent sum, once, and of finished recoveries only."""

from __future__ import annotations

import numpy as np
import pytest
from fake_runs import fake_experiment, fake_images, make_finished_run, make_half_done_run

from delt_engine.runs import likeness
from delt_engine.runs.likeness import is_known, pixel_cosine


def test_the_cosine_of_all_pairs_is_measured_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    run = make_finished_run(tmp_path / "run")
    assert not is_known(run)
    each = []
    for class_index in run.classes:
        vectors = ((fake_images(run, class_index, 4) / 255 - 0.5) / 0.25).reshape(4, -1)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        each.append((vectors @ vectors.T)[np.triu_indices(4, 1)].mean())
    assert pixel_cosine(run) == pytest.approx(np.mean(each), abs=1e-5)
    monkeypatch.setattr(likeness, "_measured", lambda _run: pytest.fail("measured again"))
    assert (is_known(run), pixel_cosine(run)) == (True, pytest.approx(np.mean(each), abs=1e-5))


def test_others_have_none(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    alone = make_finished_run(tmp_path / "one", fake_experiment(ipc=1, ri=40))
    for run in (alone, make_half_done_run(tmp_path / "half")):
        assert (is_known(run), pixel_cosine(run)) == (True, None)
