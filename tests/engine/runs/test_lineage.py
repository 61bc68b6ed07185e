"""Runs made from other runs: the link, and what was changed."""

from __future__ import annotations

import pytest
from fake_runs import fake_experiment, make_finished_run

from delt_engine.runs.lineage import Change, changes, keep_parent, parent_of
from delt_engine.runs.store import Run


@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_RUNS", str(tmp_path))


def test_the_link_leads_to_the_run_and_leaves_it_as_it_is(tmp_path) -> None:
    parent = make_finished_run(tmp_path / "first")
    before = {path: path.read_bytes() for path in parent.path.rglob("*") if path.is_file()}
    child = Run(tmp_path / "second")
    assert parent_of(child) is None
    keep_parent(child, parent.id)
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
    assert set(changes(before, after)) == {
        Change("Classes", "–", "cat"),
        Change("Seed", "0", "3"),
        Change("Iterations (MI)", "40", "2,000"),
        Change("EarlyLate", "on", "off"),
        Change("Learning rate", "0.25", "0.1"),
    }
