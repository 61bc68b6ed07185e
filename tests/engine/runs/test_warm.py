"""A spare process becomes the command it is given, and goes when nobody needs it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from waiting import PATIENCE_S, wait_for

from delt_engine.runs import warm


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv(warm.SWITCH, "1")
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    monkeypatch.setattr(warm, "_spare", None)
    yield
    if warm._spare is not None:
        warm._spare.process.kill()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(warm.PROJECT)}


def test_it_becomes_the_command_with_the_log_as_its_output(tmp_path) -> None:
    assert warm.keep(environment())
    spare = warm._spare.process
    with (tmp_path / "log.txt").open("ab") as log:
        taken = warm.take(["recover", "--dataset", "photos", "--mi", "7", "--ri", "2"], log, environment())
    assert taken is spare
    assert warm._spare is None
    assert taken.wait(PATIENCE_S) == 2
    assert (tmp_path / "log.txt").read_text().startswith("Error: round_iterations: RI = 2 given")


def test_one_is_kept_and_none_where_it_is_turned_off(monkeypatch) -> None:
    assert warm.keep(environment())
    first = warm._spare.process
    warm.keep(environment())
    assert warm._spare.process is first
    first.kill()
    wait_for(lambda: first.poll() is not None)
    assert warm.keep(environment())
    assert warm._spare.process is not first
    monkeypatch.setenv(warm.SWITCH, "0")
    assert not warm.keep(environment())


def test_code_that_changed_since_is_not_run_and_the_process_ends(monkeypatch, tmp_path) -> None:
    warm.keep(environment())
    spare = warm._spare.process
    monkeypatch.setattr(warm, "_newest_code", lambda: warm.time.time() + 60)
    with (tmp_path / "log.txt").open("ab") as log:
        assert warm.take(["datasets"], log, environment()) is None
    assert spare.wait(PATIENCE_S) == 0


def test_without_one_a_run_starts_as_always(tmp_path) -> None:
    with (tmp_path / "log.txt").open("ab") as log:
        assert warm.take(["datasets"], log, environment()) is None
