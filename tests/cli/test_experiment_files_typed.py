"""``delt run`` with an experiment file: all of its sections, some of them, and what is wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from delt_engine.jobs.label_stores import KnownStore
from delt_engine.runs.store import Run, list_runs


def test_run_does_a_whole_file_and_squeezes_where_there_is_no_teacher(answer, colours, tmp_path, monkeypatch) -> None:
    file, head = tmp_path / "experiment.yaml", f"dataset: {colours}\nimage_size: 8\ndevice: cpu\n"
    file.write_text(head + "recover: {method: cda, ipc: 2, iterations: 4, round_iterations: 2}\n")
    found = answer("run", file, "--out", tmp_path / "run")
    assert (found["method"], found["images"]) == ("cda", 6)
    assert Run(tmp_path / "run").experiment.recover.curriculum == "cosine"
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    file.write_text(
        head + "squeeze: {network: convnet-3, width: 0.0625, epochs: 4, batch_size: 16, min_crop: 1}\n"
        "recover: {ipc: 2, iterations: 4, round_iterations: 2}\n"
    )
    assert answer("run", file)["images"] == 6
    assert sorted(run.record().kind for run in list_runs(tmp_path / "home" / "runs")) == ["recover", "squeeze"]


@pytest.fixture
def experiment_file(colours, tmp_path) -> Callable[[str], Path]:
    """Write a small experiment with further sections and return its file."""
    head = f"dataset: {colours}\nimage_size: 8\ndevice: cpu\nrecover: {{ipc: 2, iterations: 4, round_iterations: 2}}\n"

    def write(sections: str) -> Path:
        (tmp_path / "experiment.yaml").write_text(head + sections)
        return tmp_path / "experiment.yaml"

    return write


STUDENT = "epochs: 2, rand_augment: none, student: convnet-3, student_width: 0.0625"


def test_run_labels_and_trains_where_the_file_has_these_sections(answer, experiment_file, tmp_path) -> None:
    file, out = experiment_file(f"relabel: {{form: float32}}\nevaluate: {{{STUDENT}}}\n"), tmp_path / "run"
    found = answer("run", file, "--out", out)
    assert (found["run"], found["images"], found["evaluate"]["epochs"]) == (str(out), 6, 2)
    assert (found["labels"], found["evaluate"]["labels"]) == (str(tmp_path / "run-labels"), "stored")
    assert KnownStore.open(tmp_path / "run-labels").is_complete
    students = Run(tmp_path / "run-students").record()
    assert (students.source, students.experiment.evaluate.label_store) == (str(out), found["labels"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert answer("run", file, "--out", out) == found  # nothing is done again
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_run_trains_on_labels_on_the_fly_without_a_relabel_section(answer, delt, experiment_file, tmp_path) -> None:
    found = answer("run", experiment_file(f"evaluate: {{{STUDENT}}}\n"), "--out", tmp_path / "run")
    assert (found["evaluate"]["labels"], "labels" in found) == ("on-the-fly", False)
    stored = delt("run", experiment_file(f"evaluate: {{labels: stored, {STUDENT}}}\n"), "--out", tmp_path / "run")
    assert "labels: " in stored.stdout
    assert "run-students holds a" in stored.stderr  # the students of before, with other labels


def test_run_only_stores_labels_where_nothing_is_to_be_trained(answer, experiment_file, tmp_path) -> None:
    found = answer("run", experiment_file("relabel: {label_epochs: 1}\n"), "--out", tmp_path / "run")
    store = KnownStore.open(found["labels"])
    assert (store.is_complete, store.facts.epochs, store.facts.label_epochs) == (True, 300, 1)
    assert not (tmp_path / "run-students").exists()


def test_run_refuses_to_store_hard_labels_before_anything_is_done(refusal, experiment_file, tmp_path) -> None:
    file = experiment_file("relabel:\nevaluate: {recipe: hard}\n")
    assert "relabel: given with hard labels" in refusal("run", file, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_run_names_what_is_wrong_in_the_file(refusal, tmp_path) -> None:
    (tmp_path / "bad.yaml").write_text("recover: {iterations: 10, round_iterations: 4}\n")
    assert "RI = 4" in refusal("run", tmp_path / "bad.yaml")
    assert "cannot be read" in refusal("run", tmp_path / "absent.yaml")


# squeeze, rank, select
