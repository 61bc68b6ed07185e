"""Titles beside run.json, which stays as it is, and the examples, DELT first."""

import pytest
from fake_runs import fake_experiment, make_finished_run

from delt_engine.errors import RunError
from delt_engine.runs import titles
from delt_engine.runs.store import Run
from delt_engine.runs.titles import RunTitle, read_title, write_title


def test_titles_come_back_and_run_json_is_not_touched(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    before = (run.path / "run.json").read_bytes()
    assert read_title(run) == RunTitle()
    write_title(run, RunTitle("  For the  lesson ", ("good", " good", "", "ipc 4"), " late ones stay close \n"))
    assert read_title(run) == RunTitle("For the lesson", ("good", "ipc 4"), "late ones stay close")
    assert (run.path / "run.json").read_bytes() == before
    write_title(run, RunTitle())
    assert not (run.path / "labels.json").exists()
    for damaged in ("{", "[]", '{"tags": 3}'):
        (run.path / "labels.json").write_text(damaged)
        assert read_title(run) == RunTitle()


def test_what_is_too_long_is_refused(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    with pytest.raises(RunError, match="title: 81 letters"):
        write_title(run, RunTitle("x" * 81))
    with pytest.raises(RunError, match="tags: 'a,b' given"):
        write_title(run, RunTitle(tags=("a,b",)))


def test_a_run_that_is_gone_does_not_come_back_as_a_folder_with_a_title(tmp_path) -> None:
    with pytest.raises(RunError, match="run a: it is not there any more"):
        write_title(Run(tmp_path / "a"), RunTitle("mine"))
    assert not (tmp_path / "a").exists()


def test_examples_stay_as_they_are(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(titles, "assets_dir", lambda: tmp_path)
    with pytest.raises(RunError, match="an example that ships"):
        write_title(make_finished_run(tmp_path / "examples" / "a"), RunTitle("mine"))


def test_examples_stand_by_dataset_then_method_and_unreadable_ones_last(tmp_path, monkeypatch) -> None:
    first = titles.example_runs()[0]
    assert first == Run.open("cifar10-mini-delt")
    assert (first.experiment.recover.method, first.record().kind) == ("delt", "recover")
    monkeypatch.setattr(titles, "assets_dir", lambda: tmp_path)
    assert titles.example_runs() == []
    for name, method in (("b", "rded"), ("c", "cda"), ("d-students", "delt"), ("d", "delt"), ("a", "sre2l")):
        make_finished_run(tmp_path / "examples" / name, fake_experiment(method))
    broken = tmp_path / "examples" / "0"
    broken.mkdir()
    (broken / "run.json").write_text("{", encoding="utf-8")
    make_finished_run(tmp_path / "examples" / "z", fake_experiment("random").replace(dataset="cifar10-mini"))
    assert [run.id for run in titles.example_runs()] == ["z", "d", "d-students", "c", "a", "b", "0"]
