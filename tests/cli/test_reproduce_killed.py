"""A table whose process was killed: what is finished is used again, and only the rest is computed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from real_processes import pictures

from delt_engine.papers import laptop
from delt_engine.pipeline.table_view import cells_of
from delt_engine.runs.store import Run

SCRIPT = Path(__file__).resolve().parent.parent / "killed_command.py"
TABLE = ("reproduce", "cda-fig6", "--scale", "laptop", "--device", "cpu")
"""Ten images by each of two methods, and no students."""


@pytest.fixture
def few_iterations(monkeypatch):
    """The iterations of the killed process in this one."""
    monkeypatch.setattr(laptop, "ITERATIONS", 100)
    cells_of.cache_clear()
    yield
    cells_of.cache_clear()


@pytest.mark.usefixtures("few_iterations", "one_thread")
def test_a_killed_table_goes_on_with_what_is_not_finished(started, delt, tmp_path, monkeypatch) -> None:
    process = started(SCRIPT, *TABLE, "--quiet", DELT_HOME=str(tmp_path))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done, second = sorted(map(Run, (tmp_path / "runs").iterdir()), key=lambda run: run.status != "finished")
    assert (done.status, second.status) == ("finished", "interrupted")
    written = {path: path.stat().st_mtime_ns for path in sorted(done.path.rglob("*")) if path.is_file()}
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    again = delt(*TABLE)
    assert again.exit_code == 0, again.stderr
    assert f"1 of 1, CDA Figure 6, CDA, ImageNet-21K-P: recover: run {second.id} goes on" in again.stderr
    assert {run.id for run in map(Run, (tmp_path / "runs").iterdir())} == {done.id, second.id}
    assert {path: path.stat().st_mtime_ns for path in written} == written  # nothing of it was done again
    assert second.status == "finished"
    assert len([name for name in pictures(second) if name.startswith("images/")]) == 10
