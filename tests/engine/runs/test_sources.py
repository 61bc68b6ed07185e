"""What students are trained on is found by a run, a folder or a word, and refused with a sentence."""

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.errors import DataError
from delt_engine.runs.sources import asks_for_teacher, find_source


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_runs_are_named_by_their_id_among_ones_own_and_by_their_folder_elsewhere(home, tmp_path) -> None:
    own, other = make_finished_run(home / "runs" / "mine"), make_finished_run(tmp_path / "elsewhere")
    assert (find_source("mine").ref, find_source(own.path).ref, find_source(own.path).run) == ("mine", "mine", own)
    assert (find_source(other.path).ref, find_source(other.path).run) == (str(other.path), other)
    find_source("mine").check_ready()


def test_folders_and_the_word_for_all_real_images(tmp_path, monkeypatch) -> None:
    (tmp_path / "real").mkdir()
    monkeypatch.chdir(tmp_path)
    found = find_source("./real")
    assert (found.ref, found.folder, found.is_real) == (str(tmp_path / "real"), tmp_path / "real", False)
    assert find_source("real").is_real


@pytest.mark.parametrize("text", ["nothing-here", "", "./nothing"])
def test_what_is_none_of_these_is_refused(text, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"source: '{text}' given, but it must be a run, a folder of images, or 'real'"):
        find_source(text)


def test_an_unfinished_run_is_found_but_not_ready(tmp_path) -> None:
    run = make_half_done_run(tmp_path / "half", alive=False)
    with pytest.raises(DataError, match="run half is interrupted, but students learn from a finished one"):
        find_source(run.path).check_ready()


def test_one_class_teaches_no_student(tmp_path) -> None:
    run = make_finished_run(tmp_path / "lone", fake_experiment(classes=("cat",)))
    with pytest.raises(DataError, match="source: run lone has one class, cat, but students need at least two to tell"):
        find_source(run.path).check_ready()


def test_only_what_is_no_run_looks_for_a_teacher_of_its_own(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    hard = EvaluateConfig.for_recipe("hard")
    named = hard.replace(student="resnet18")
    sources = [find_source(run.path), find_source("real")]
    asked = [
        [asks_for_teacher(Experiment(evaluate=config), source) for config in (EvaluateConfig(), hard, named)]
        for source in sources
    ]
    assert asked == [[False, False, False], [True, True, False]]
