"""One log a run: what is in it, what is not, and how large it grows."""

import logging
import warnings
from pathlib import Path

import pytest
from fake_runs import fake_experiment

from delt_engine.errors import RunCancelled, RunError
from delt_engine.runs import log
from delt_engine.runs.events import NoteEvent, StageEvent
from delt_engine.runs.log import last_lines, written
from delt_engine.runs.store import Run


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "a", fake_experiment())


def test_the_log_has_what_happened_with_time_and_level(run, monkeypatch) -> None:
    monkeypatch.delenv("DELT_LOG", raising=False)
    with pytest.raises(RunError), written(run.path, about="begins"):  # noqa: PT012
        run.event(NoteEvent(text="a note"))
        run.event(StageEvent(stage="rank", done=1))  # too often for a log
        warnings.warn("a library says so", stacklevel=1)
        raise RunError("it failed.")
    run.event(NoteEvent(text="after it"))
    lines = last_lines(run.path)
    assert [line.split(" ", 2)[1] for line in lines if "Z " in line] == ["INFO", "INFO", "WARNING", "ERROR"]
    assert lines[0].endswith(" INFO begins")
    assert lines[1].endswith(" INFO note: a note")
    assert lines[-1].endswith(" ERROR it failed.")
    assert run.last_words() == lines[-1]


@pytest.mark.parametrize(("level", "kept"), [("debug", 3), ("info", 2), ("error", 0), ("loud", 2)])
def test_the_level_is_settable(run, monkeypatch, level, kept) -> None:
    monkeypatch.setenv("DELT_LOG", level)
    with pytest.raises(RunCancelled), written(run.path):  # noqa: PT012
        run.event(NoteEvent(text="a"))
        run.event(StageEvent(stage="rank", done=1))
        raise RunCancelled("pause")
    assert len(last_lines(run.path)) == kept


def test_mistakes_of_ours_are_there_in_full(run) -> None:
    with pytest.raises(ZeroDivisionError), written(run.path):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError: division by zero" in last_lines(run.path)[-1]
    assert any("Traceback" in line for line in last_lines(run.path))


def test_homes_and_secrets_are_left_out(run) -> None:
    with written(run.path):
        logging.getLogger("delt_engine").info(
            "%s --hf-token=abc1 https://me:pass@host/x API_KEY: k3y password=pw", Path.home() / "data"
        )
    (line,) = last_lines(run.path)
    assert line.endswith("~/data --hf-token=*** https://***@host/x API_KEY: *** password=***")


def test_a_long_log_is_put_away(run, monkeypatch) -> None:
    monkeypatch.setattr(log, "MOST_BYTES", 500)
    with written(run.path):
        for number in range(60):
            run.event(NoteEvent(text=f"note {number}"))
    assert {path.name for path in run.path.glob("log.txt*")} == {"log.txt", "log.txt.1", "log.txt.2"}
    assert all(path.stat().st_size <= 500 for path in run.path.glob("log.txt*"))
    assert last_lines(run.path, 1)[0].endswith("note 59")
    with written(run.path, rank=1):
        run.event(NoteEvent(text="of another rank"))
    assert last_lines(run.path, 1)[0].endswith("of another rank")


def test_what_cannot_be_written_stops_nothing(tmp_path) -> None:
    run = Run(tmp_path / "absent")
    with written(run.path):
        logging.getLogger("delt_engine").info("x")
    assert last_lines(run.path) == []
    assert not run.path.exists()
