"""Settings that make no sense together are warned of once, on stderr, before anything is computed."""

from __future__ import annotations

from delt_engine.cli.recover import made
from delt_engine.config import EvaluateConfig, Experiment, RecoverConfig
from delt_engine.runs.record import RunOptions


def test_more_rounds_than_images_and_a_wild_rate_are_warned_of(tmp_path, capsys):
    recover = RecoverConfig(ipc=2, iterations=80, round_iterations=10, learning_rate=5)
    run, _ = made(Experiment(recover=recover), "recover", tmp_path / "run", RunOptions(), lambda: None)
    said = capsys.readouterr()
    assert said.out == ""
    first, second = said.err.splitlines()
    assert first.startswith("Warning: 8 rounds for 2 images: after round 2 none is left to join.")
    assert second.startswith("Warning: Learning rate 5: a step of Adam is about as long")
    assert run.status == "queued"
    assert run.record().notes == ()


def test_a_student_is_warned_of_its_own_rate_only(tmp_path, capsys):
    experiment = Experiment(
        recover=RecoverConfig(learning_rate=5), evaluate=EvaluateConfig(learning_rate=3, optimizer="sgd")
    )
    made(experiment, "evaluate", tmp_path / "run", RunOptions(), lambda: None, source="real")
    assert capsys.readouterr().err == (
        "Warning: Learning rate 3 with sgd: published are at most 0.2, and so far above training falls apart.\n"
    )


def test_usual_settings_are_taken_without_a_word(tmp_path, capsys):
    made(Experiment(), "recover", tmp_path / "run", RunOptions(), lambda: None)
    assert capsys.readouterr().err == ""
