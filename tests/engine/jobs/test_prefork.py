"""A process that waits becomes the command it is given, and goes when nobody needs it."""

import os
from collections.abc import Iterator

import pytest
from waiting import PATIENCE_S, wait_for

from delt_engine.jobs import prefork


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv(prefork.SWITCH, "1")
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    monkeypatch.setattr(prefork, "_waiting", None)
    yield
    if prefork._waiting is not None:
        prefork._waiting.process.kill()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(prefork.PROJECT)}


def test_it_becomes_the_command_with_the_log_as_its_output(tmp_path) -> None:
    assert prefork.keep(environment())
    process = prefork._waiting.process
    with (tmp_path / "log.txt").open("ab") as log:
        taken = prefork.take(["recover", "--dataset", "photos", "--mi", "7", "--ri", "2"], log, environment())
    assert taken is process
    assert prefork._waiting is None
    assert taken.wait(PATIENCE_S) == 2
    assert (tmp_path / "log.txt").read_text().startswith("Error: round_iterations: RI = 2 given")


def test_one_is_kept_and_none_where_it_is_turned_off(monkeypatch) -> None:
    assert prefork.keep(environment())
    first = prefork._waiting.process
    prefork.keep(environment())
    assert prefork._waiting.process is first
    first.kill()
    wait_for(lambda: first.poll() is not None)
    assert prefork.keep(environment())
    assert prefork._waiting.process is not first
    monkeypatch.setenv(prefork.SWITCH, "0")
    assert not prefork.keep(environment())


def test_code_that_changed_since_is_not_run_and_the_process_ends(tmp_path) -> None:
    prefork.keep(environment())
    process = prefork._waiting.process
    prefork._waiting.began = 0.0
    with (tmp_path / "log.txt").open("ab") as log:
        assert prefork.take(["datasets"], log, environment()) is None
    assert process.wait(PATIENCE_S) == 0
