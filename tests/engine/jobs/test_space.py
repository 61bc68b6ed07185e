"""What a run takes, and what is given up."""

import pytest
from fake_runs import make_finished_run, make_half_done_run

from delt_engine.errors import RunError
from delt_engine.jobs import space


def blocks(paths) -> int:
    return sum(path.stat().st_blocks * 512 for path in paths)


def test_the_folder_is_measured_and_links_count_once(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    files = [path for path in run.path.rglob("*") if path.is_file()]
    before = space.use(run)
    assert before.total == blocks(files)
    assert before.rounds == blocks(run.snapshot_path(c, n) for c in run.classes for n in (1, 2, 3))
    assert before.checkpoint == 0
    (run.path / "same").hardlink_to(run.path / "events.jsonl")
    assert space.use(run).total == before.total


def test_freeing_keeps_the_start_and_the_end(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    before = space.use(run)
    assert space.free(run, rounds=True) == before.rounds
    assert [run.rounds_written(c) for c in run.classes] == [[0, 4]] * 3
    assert space.use(run).rounds == 0
    assert run.image_path(0, 0).is_file()
    assert space.free(run, rounds=True, checkpoint=True) == 0


def test_a_checkpoint_is_given_up_alone(tmp_path) -> None:
    run = make_half_done_run(tmp_path / "a", alive=False)
    (run.path / "checkpoint").mkdir()
    (run.path / "checkpoint" / "state.safetensors").write_bytes(bytes(10_000))
    assert space.use(run).checkpoint >= 10_000
    assert space.free(run, checkpoint=True) >= 10_000
    assert space.use(run).checkpoint == 0
    assert run.rounds_written(0) == [0, 1, 2]


def test_nothing_is_taken_from_a_run_at_work(tmp_path) -> None:
    with pytest.raises(RunError, match="it is running, so nothing of it is deleted"):
        space.free(make_half_done_run(tmp_path / "a"), rounds=True)
