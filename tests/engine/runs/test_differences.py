"""Two runs side by side."""

from __future__ import annotations

from fake_runs import fake_experiment, make_finished_run, make_half_done_run

from delt_engine.runs.differences import differences, measured
from delt_engine.runs.events import StepEvent


def test_only_what_differs_is_listed(tmp_path) -> None:
    first = make_finished_run(tmp_path / "a", fake_experiment(mi=40, ri=10))
    second = make_finished_run(tmp_path / "b", fake_experiment(mi=80, ri=10).replace(seed=3))
    found = {item.name: item.values for item in differences(first, second)}
    assert found == {"seed": (0, 3), "recover.iterations": (40, 80)}
    assert differences(first, first) == []
    assert all(item.title and "_" not in item.title for item in differences(first, second))


def test_another_teacher_of_the_same_name_is_a_difference(tmp_path) -> None:
    first, second = make_half_done_run(tmp_path / "a"), make_half_done_run(tmp_path / "b")
    second.update(teacher=second.record().teacher.model_copy(update={"fingerprint": "0ther", "name": "mine"}))
    assert [(item.name, item.values) for item in differences(first, second)] == [("teacher", ("photos", "mine"))]


def test_what_was_measured_is_taken_from_the_run(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    found = measured(run)
    assert (found.seconds, found.image_iterations, found.image_iterations_per_second) == (2.0, 300, 150.0)
    assert found.ce_loss == run.events(StepEvent)[-1].ce_loss
    assert found.memory_mb is None
    assert found.device == "CPU"
