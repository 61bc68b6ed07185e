"""When commands start ranks by themselves, and with which command line; the launcher is not called."""

from __future__ import annotations

import pytest

from delt_engine.cli import recover
from delt_engine.cli.recover import pieces_of
from delt_engine.config import EvaluateConfig, Experiment, SqueezeConfig
from delt_engine.errors import RunError
from delt_engine.jobs import ranks
from delt_engine.runs.store import Run


@pytest.fixture
def launched(monkeypatch) -> list:
    """What would be launched: the number of ranks and the words."""
    calls = []
    monkeypatch.setattr(ranks, "launch", lambda number, words: calls.append((number, list(words))) or 0)
    return calls


@pytest.mark.parametrize(
    ("expected", "dataset", "kind", "config"),
    [
        (1, "photos", "squeeze", SqueezeConfig()),  # 128 images of 32 px
        (12, "imagenet-1k", "squeeze", SqueezeConfig(batch_size=256)),
        (1, "photos", "evaluate", EvaluateConfig()),
        (9, "imagenet-1k", "evaluate", EvaluateConfig(batch_size=200)),
        (4, "imagenet-1k", "evaluate", EvaluateConfig()),
        (3, "imagenet-1k", "evaluate", EvaluateConfig(seeds=3, batch_size=200)),  # shared, not divided
    ],
)
def test_small_steps_are_left_to_one_card(expected, dataset, kind, config) -> None:
    assert pieces_of(Experiment(dataset=dataset, **{kind: config}), kind) == expected


def test_what_is_wrong_with_the_question_is_said_before_ranks_are_started(delt, launched, colours, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for words in (["--dataset", tmp_path / "nothing"], ["--dataset", colours, "--out", tmp_path / "full"]):
        result = delt("squeeze", *words, "--ranks", "2")
        assert result.exit_code in (1, 2)
        assert result.stderr.startswith("Error: ")
    assert launched == []


def test_ranks_that_stopped_or_failed_end_the_command(delt, data, tmp_path, monkeypatch) -> None:
    def stops(_number, words) -> int:
        Run(words[1]).set_status("paused")
        return 0

    monkeypatch.setattr(ranks, "launch", stops)
    stopped = delt("squeeze", *data, "--ranks", "2", "--out", tmp_path / "teacher.safetensors")
    assert (stopped.exit_code, "it was paused" in stopped.stderr) == (75, True)
    monkeypatch.setattr(ranks, "launch", lambda *_: 1)
    failed = delt("squeeze", *data, "--ranks", "2", "--out", tmp_path / "run")
    assert (failed.exit_code, failed.stderr) == (1, "")  # the first rank has said it
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_ranks_go_on_with_a_queued_run_and_resume_takes_as_many_or_others(delt, launched, data, tmp_path) -> None:
    run = Run(tmp_path / "run")
    delt("squeeze", *data, "--ranks", "2", "--quiet", "--out", run.path)
    assert launched == [(2, ["resume", str(run.path), "--no-result", "--quiet"])]
    assert (run.record().status, run.record().process, run.record().options.ranks) == ("queued", None, 2)
    assert run.record().command[:2] == ("delt", "squeeze")
    run.set_status("paused")
    delt("resume", run.path)
    delt("resume", run.path, "--ranks", "3")
    assert [number for number, _ in launched] == [2, 2, 3]


def test_run_lets_all_cards_squeeze_only_where_it_pays(delt, launched, colours, tmp_path, monkeypatch) -> None:
    """A whole experiment in a file, on a machine of two cards where there is no teacher yet."""

    def begun(run, *_args) -> None:
        raise RunError(f"{run.record().kind} here")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("delt_engine.cli.run._missing_teachers", lambda experiment: [experiment.squeeze])
    file = tmp_path / "experiment.yaml"
    file.write_text(f"dataset: {colours}\nimage_size: 8\nrecover: {{ipc: 4, iterations: 8, round_iterations: 2}}\n")
    with monkeypatch.context() as patched:
        patched.setattr("delt_engine.pipeline.run.run_experiment", begun)
        assert "squeeze here" in delt("run", file).stderr
    assert launched == []
    monkeypatch.setattr(recover, "PIXELS_A_RANK", 128 * 8**2 // 2)
    delt("run", file, "--quiet")
    assert [number for number, _ in launched][:1] == [2]
