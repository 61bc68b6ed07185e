"""Deleting and bringing back."""

import pytest
from fake_runs import make_finished_run, make_half_done_run

from delt_engine.errors import RunError
from delt_engine.jobs import space, worker
from delt_engine.runs.store import Run, list_runs


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_RUNS", str(tmp_path / "runs"))
    return tmp_path


def contents(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_a_deleted_run_comes_back_whole(home) -> None:
    run = make_finished_run(home / "runs" / "a")
    before = contents(run)
    assert space.delete(run) == "a"
    assert list_runs() == []
    assert [gone.id for gone in space.trashed()] == ["a"]
    back = space.restore("a")
    assert (back, contents(back)) == (run, before)
    assert space.trashed() == []


def test_emptying_says_what_it_freed_and_nothing_comes_back(home) -> None:
    run = make_finished_run(home / "runs" / "a")
    size = sum(path.stat().st_blocks * 512 for path in run.path.rglob("*") if path.is_file())
    space.delete(run)
    assert space.empty_trash() == size
    assert space.empty_trash() == 0
    with pytest.raises(RunError, match="not in the trash any more"):
        space.restore("a")


def test_what_is_at_work_or_elsewhere_is_not_deleted(home) -> None:
    with pytest.raises(RunError, match="it is running, so stop it"):
        space.delete(make_half_done_run(home / "runs" / "a"))
    with pytest.raises(RunError, match="only runs in"):
        space.delete(make_finished_run(home / "other" / "b"))
    assert Run(home / "other" / "b").status == "finished"


def test_nothing_is_written_over(home) -> None:
    space.delete(make_finished_run(home / "runs" / "a"))
    make_finished_run(home / "runs" / "a")
    with pytest.raises(RunError, match="taken its place"):
        space.restore("a")
    with pytest.raises(RunError, match="not in the trash"):
        space.restore("../b")


def test_who_deletes_a_run_that_is_deleted_already_loses_nothing(home) -> None:
    """Two browsers show the same row: the second must not take the first one's trash for an older run."""
    run = make_finished_run(home / "runs" / "a")
    before = contents(run)
    space.delete(run)
    with pytest.raises(RunError, match="run a: it is not in .*runs any more, so it cannot be deleted"):
        space.delete(run)
    assert contents(space.restore("a")) == before


def test_who_deletes_a_run_that_somebody_has_just_gone_on_with_is_refused(home, monkeypatch) -> None:
    run = make_half_done_run(home / "runs" / "a", alive=False)
    take = space.alone_at

    def alone_at(held: Run):
        held.update(status="running", process=worker.this_process())  # between the look and the lock
        return take(held)

    monkeypatch.setattr(space, "alone_at", alone_at)
    for deed in (space.delete, lambda run: space.free(run, rounds=True, checkpoint=True)):
        run.update(status="paused", process=None)
        with pytest.raises(RunError, match="it is running"):
            deed(run)
    assert run.path.is_dir()
    assert run.rounds_written(0) == [0, 1, 2]
