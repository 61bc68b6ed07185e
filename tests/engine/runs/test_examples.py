"""Examples: read from the shipped files, DELT first."""

from __future__ import annotations

from fake_runs import fake_experiment, make_finished_run

from delt_engine.runs import examples
from delt_engine.runs.store import Run


def test_examples_stand_in_the_order_of_the_methods_and_unreadable_ones_last(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(examples, "assets_dir", lambda: tmp_path)
    assert examples.example_runs() == []
    for name, method in (("b", "rded"), ("c", "cda"), ("d-students", "delt"), ("d", "delt"), ("a", "sre2l")):
        make_finished_run(tmp_path / "examples" / name, fake_experiment(method))
    broken = tmp_path / "examples" / "0"
    broken.mkdir()
    (broken / "run.json").write_text("{", encoding="utf-8")
    assert [run.id for run in examples.example_runs()] == ["d", "d-students", "c", "a", "b", "0"]


def test_what_ships_begins_with_a_run_of_delt() -> None:
    first = examples.example_runs()[0]
    assert (first.experiment.recover.method, first.record().kind) == ("delt", "recover")
    assert first == Run.open("photos-delt")
