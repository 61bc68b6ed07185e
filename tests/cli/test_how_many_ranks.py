"""When commands start ranks by themselves, and with which command line; the launcher is not called."""

from __future__ import annotations

from pathlib import Path

import pytest

from delt_engine.cli import recover
from delt_engine.cli.recover import pieces_of
from delt_engine.config import EvaluateConfig, Experiment, SqueezeConfig
from delt_engine.errors import RunError
from delt_engine.jobs import ranks
from delt_engine.runs.store import Run

pytest_plugins = ["colour_folder"]


@pytest.fixture
def launched(monkeypatch) -> list:
    """What would be launched: the number of ranks and the words."""
    calls = []
    monkeypatch.setattr(ranks, "launch", lambda number, words: calls.append((number, list(words))) or 0)
    return calls


def imagenet(**values) -> Experiment:
    return Experiment(dataset="imagenet-1k", **values)


def test_small_steps_are_left_to_one_card() -> None:
    assert pieces_of(Experiment(), "squeeze") == 1  # 128 images of 32 px
    assert pieces_of(imagenet(squeeze=SqueezeConfig(batch_size=256)), "squeeze") == 12
    assert pieces_of(Experiment(evaluate=EvaluateConfig()), "evaluate") == 1
    assert pieces_of(imagenet(evaluate=EvaluateConfig(batch_size=200)), "evaluate") == 9
    assert pieces_of(imagenet(evaluate=EvaluateConfig()), "evaluate") == 4


def test_several_students_are_shared_and_not_divided() -> None:
    assert pieces_of(imagenet(evaluate=EvaluateConfig(seeds=3, batch_size=200)), "evaluate") == 3


def test_squeeze_starts_the_ranks_that_were_asked_for(delt, launched, colours, tmp_path) -> None:
    out = tmp_path / "run"
    options = ["--dataset", str(colours), "--image-size", "8", "--device", "cpu"]
    delt("squeeze", *options, "--ranks", "2", "--json", "--out", out)
    ((number, words),) = launched
    assert number == 2
    assert words[0] == "squeeze"
    assert {*options, "--ranks", "--json", str(out)} <= set(words)
    assert not out.exists()  # the ranks make it


def test_what_is_wrong_with_the_question_is_said_before_ranks_are_started(delt, launched, colours, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for words in (["--dataset", tmp_path / "nothing"], ["--dataset", colours, "--out", tmp_path / "full"]):
        result = delt("squeeze", *words, "--ranks", "2")
        assert result.exit_code in (1, 2)
        assert result.stderr.startswith("Error: ")
    assert launched == []


def test_a_teachers_file_that_was_not_written_was_stopped(delt, launched, colours, tmp_path) -> None:
    out = tmp_path / "teacher.safetensors"
    assert delt("squeeze", "--dataset", colours, "--ranks", "2", "--out", out).exit_code == 130
    assert launched[0][0] == 2


def test_a_squeeze_goes_on_with_as_many_ranks_as_it_began_with_or_others(delt, launched, colours, tmp_path) -> None:
    run = Run.create(tmp_path / "a", Experiment(dataset=str(colours), device="cpu"), "squeeze")
    run.set_status("paused")
    delt("resume", run.path, "--ranks", "3")
    assert launched == [(3, ["resume", str(run.path)])]


@pytest.fixture
def experiment(colours, tmp_path, monkeypatch) -> Path:
    """A whole experiment in a file, on a machine of two cards where there is no teacher yet."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("delt_engine.cli.run._has_teacher", lambda experiment: False)
    file = tmp_path / "experiment.yaml"
    file.write_text(f"dataset: {colours}\nimage_size: 8\nrecover: {{ipc: 4, iterations: 8, round_iterations: 2}}\n")
    return file


def test_run_lets_all_cards_squeeze_and_recover_where_it_pays(
    delt, launched, experiment, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(recover, "PIXELS_A_RANK", 128 * 8**2 // 2)
    delt("run", experiment, "--out", tmp_path / "run", "--quiet")
    assert launched == [(2, ["run", str(experiment), "--out", str(tmp_path / "run"), "--quiet"])]


def test_run_squeezes_by_itself_where_steps_are_small(delt, launched, experiment, tmp_path, monkeypatch) -> None:
    def squeezed(*arguments, **options):
        raise RunError("squeezed here")

    monkeypatch.setattr("delt_engine.cli.run.squeezed", squeezed)
    assert "squeezed here" in delt("run", experiment, "--out", tmp_path / "run").stderr
    assert launched == []
