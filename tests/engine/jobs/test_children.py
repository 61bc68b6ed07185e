"""A process that waits becomes the command it is given, and goes when nobody needs it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from waiting import PATIENCE_S, wait_for

from delt_engine.jobs import children


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv(children.SWITCH, "1")
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    monkeypatch.setattr(children, "_waiting", None)
    yield
    if children._waiting is not None:
        children._waiting.process.kill()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(children.PROJECT)}


def test_it_becomes_the_command_with_the_log_as_its_output(tmp_path) -> None:
    assert children.keep_prefork(environment())
    process = children._waiting.process
    with (tmp_path / "log.txt").open("ab") as log:
        taken = children.take_prefork(["recover", "--dataset", "photos", "--mi", "7", "--ri", "2"], log, environment())
    assert taken is process
    assert children._waiting is None
    assert taken.wait(PATIENCE_S) == 2
    assert (tmp_path / "log.txt").read_text().startswith("Error: round_iterations: RI = 2 given")


def test_one_is_kept_and_none_where_it_is_turned_off(monkeypatch) -> None:
    assert children.keep_prefork(environment())
    first = children._waiting.process
    children.keep_prefork(environment())
    assert children._waiting.process is first
    first.kill()
    wait_for(lambda: first.poll() is not None)
    assert children.keep_prefork(environment())
    assert children._waiting.process is not first
    monkeypatch.setenv(children.SWITCH, "0")
    assert not children.keep_prefork(environment())


def test_code_that_changed_since_is_not_run_and_the_process_ends(tmp_path) -> None:
    children.keep_prefork(environment())
    process = children._waiting.process
    children._waiting.began = 0.0
    with (tmp_path / "log.txt").open("ab") as log:
        assert children.take_prefork(["datasets"], log, environment()) is None
    assert process.wait(PATIENCE_S) == 0


def test_without_one_a_run_starts_as_always(tmp_path) -> None:
    with (tmp_path / "log.txt").open("ab") as log:
        assert children.take_prefork(["datasets"], log, environment()) is None
