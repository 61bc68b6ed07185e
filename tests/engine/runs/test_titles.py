"""Title, tags and note: kept beside run.json, which stays as it is."""

from __future__ import annotations

import pytest
from fake_runs import make_finished_run

from delt_engine.errors import RunError
from delt_engine.runs import titles
from delt_engine.runs.titles import Labels, read_labels, write_labels


def test_labels_come_back_and_run_json_is_not_touched(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    before = (run.path / "run.json").read_bytes()
    assert read_labels(run) == Labels()
    write_labels(run, Labels("  For the  lesson ", ("good", " good", "", "ipc 4"), " late ones stay close \n"))
    assert read_labels(run) == Labels("For the lesson", ("good", "ipc 4"), "late ones stay close")
    assert (run.path / "run.json").read_bytes() == before
    write_labels(run, Labels())
    assert not (run.path / "labels.json").exists()


def test_what_is_too_long_is_refused(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    with pytest.raises(RunError, match="title: 81 letters"):
        write_labels(run, Labels("x" * 81))
    with pytest.raises(RunError, match="tags: 'a,b' given"):
        write_labels(run, Labels(tags=("a,b",)))


def test_a_damaged_file_is_no_labels(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    for text in ("{", "[]", '{"tags": 3}'):
        (run.path / "labels.json").write_text(text)
        assert read_labels(run) == Labels()


def test_examples_stay_as_they_are(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(titles, "assets_dir", lambda: tmp_path)
    with pytest.raises(RunError, match="an example that ships"):
        write_labels(make_finished_run(tmp_path / "examples" / "a"), Labels("mine"))
