"""delt export and delt doctor as typed: a shipped example by name, JSON for tools, exit codes."""

import json

import numpy as np

from delt_engine.pipeline import doctor


def test_an_example_is_exported_by_name(delt, tmp_path):
    place = tmp_path / "out"
    done = delt("export", "photos-random", "--format", "npz", "--no-soft-labels", "--out", str(place), "--json")
    said = json.loads(done.stdout)
    assert (said["images"], said["format"], said["path"], said["soft_labels"]) == (100, "npz", str(place), False)
    assert np.load(place / "images.npz")["images"].shape == (100, 32, 32, 3)
    again = delt("export", "photos-random", "--format", "npz", "--out", str(place))
    assert again.exit_code == 1
    assert "is not empty" in again.stderr
    unknown = delt("export", "nothing", "--format", "npz")
    assert unknown.exit_code == 1
    assert "nothing is neither a run folder" in unknown.stderr


def test_the_lines_to_train_with_are_said(delt, tmp_path):
    done = delt("export", "photos-random", "--format", "published", "--out", str(tmp_path / "out"))
    assert "100 images" in done.stdout
    assert f'datasets.ImageFolder("{tmp_path / "out"}", normalise)' in done.stdout


def test_doctor_says_what_is_wrong_and_its_exit_code(delt, monkeypatch):
    found = json.loads(delt("doctor", "--no-self-test", "--json").stdout)
    assert found["ok"] is True
    assert {"name", "ok", "value", "advice"} == set(found["checks"][0])
    monkeypatch.setattr(doctor, "LEAST_DISK", 2**62)
    done = delt("doctor", "--no-self-test")
    assert done.exit_code == 1
    assert "WRONG free disk" in done.stdout
    assert "Something is wrong: free disk." in done.stdout
