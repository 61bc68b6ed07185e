"""Runs made from other runs: the link, what was changed, and what was measured in each."""

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run

from delt_engine.runs.events import StepEvent
from delt_engine.runs.lineage import changes, measured, parent_of, run_changes, save_parent
from delt_engine.runs.store import Run


@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_RUNS", str(tmp_path))


def test_the_link_leads_to_the_run_and_leaves_it_as_it_is(tmp_path) -> None:
    parent = make_finished_run(tmp_path / "first")
    before = {path: path.read_bytes() for path in parent.path.rglob("*") if path.is_file()}
    child = Run(tmp_path / "second")
    assert parent_of(child) is None
    save_parent(child, parent.id)
    assert parent_of(child) == parent
    assert {path: path.read_bytes() for path in parent.path.rglob("*") if path.is_file()} == before
    assert Run.create(child.path, fake_experiment(ipc=2)) == child  # a folder with a link takes its run


@pytest.mark.parametrize("text", ["", "[]", '{"parent": "gone"}', '{"parent": 3}'])
def test_a_link_that_leads_nowhere_is_none(tmp_path, text) -> None:
    child = Run.create(tmp_path / "second", fake_experiment())
    (child.path / "parent.json").write_text(text)
    assert parent_of(child) is None


def test_only_what_differs_is_told_in_words() -> None:
    before = fake_experiment(ipc=4)
    after = before.replace(seed=3, classes=("cat",)).model_copy(
        update={"recover": before.recover.replace(iterations=2000, early_late=False, learning_rate=0.1)}
    )
    assert changes(before, before) == ()
    assert {(change.name, change.title, change.words) for change in changes(before, after)} == {
        ("classes", "Classes", ("–", "cat")),
        ("seed", "Seed", ("0", "3")),
        ("recover.iterations", "Iterations (MI)", ("40", "2,000")),
        ("recover.early_late", "EarlyLate", ("on", "off")),
        ("recover.learning_rate", "Learning rate", ("0.25", "0.1")),
    }


def test_runs_differ_in_the_settings_of_their_kind_and_in_the_weights_of_their_teacher(tmp_path) -> None:
    first = make_finished_run(tmp_path / "a", fake_experiment(mi=40, ri=10))
    second = make_finished_run(tmp_path / "b", fake_experiment(mi=80, ri=10).replace(seed=3))
    found = {change.name: change.values for change in run_changes(first, second)}
    assert found == {"seed": (0, 3), "recover.iterations": (40, 80)}
    assert run_changes(first, first) == ()
    third, fourth = make_half_done_run(tmp_path / "c"), make_half_done_run(tmp_path / "d")
    fourth.update(teacher=fourth.record().teacher.model_copy(update={"fingerprint": "0ther", "name": "mine"}))
    assert [(change.name, change.values) for change in run_changes(third, fourth)] == [("teacher", ("photos", "mine"))]
    third.update(ranker=third.record().teacher)
    fourth.update(ranker=fourth.record().teacher)
    assert [change.name for change in run_changes(third, fourth)] == ["teacher", "ranker"]


def test_what_was_measured_is_taken_from_the_run(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    found = measured(run)
    assert (found.seconds, found.image_iterations, found.image_iterations_per_second) == (2.0, 300, 150.0)
    assert found.ce_loss == run.events(StepEvent)[-1].ce_loss
    assert (found.memory_mb, found.device) == (None, "CPU")
