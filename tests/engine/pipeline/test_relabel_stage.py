"""Epochs of stored labels: written, gone on with, shared out between ranks, and what cannot be."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import DataError, RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.worker import claimed_folder
from delt_engine.pipeline.relabel import relabel_job, write_labels
from delt_engine.runs.events import StageEvent
from delt_engine.runs.sources import REAL, Source

pytest_plugins = ["tiny_world"]
EPOCHS = 5


@pytest.fixture
def job(world, settings):
    evaluate = EvaluateConfig(epochs=EPOCHS, batch_size=16, rand_augment="m5-n2-mstd1")
    experiment = settings("random", evaluate=evaluate).replace(relabel=RelabelConfig(form="float32"))
    return relabel_job(experiment, Source(REAL))


def files_of(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


def ignored(_event) -> None:
    """Nobody listens."""


def test_one_process_writes_everything_counts_batches_and_goes_on(job, tmp_path) -> None:
    events = []
    write_labels(job, tmp_path / "a", events.append)
    total = EPOCHS * job.steps
    assert events == [StageEvent(stage="relabel", done=done, total=total) for done in range(1, total + 1)]
    names = [f"epoch-{epoch:04d}.safetensors" for epoch in range(1, EPOCHS + 1)]
    whole = files_of(tmp_path / "a")
    assert sorted(whole) == [*names, "manifest.json"]
    (tmp_path / "a" / names[1]).unlink()
    (tmp_path / "a" / ".epoch-0002.safetensors.x.tmp").write_bytes(b"half")  # of a writer that was killed
    events.clear()
    write_labels(job, tmp_path / "a", events.append)
    assert [event.done for event in events] == list(range(total - job.steps + 1, total + 1))
    assert files_of(tmp_path / "a") == whole
    write_labels(job, tmp_path / "a", lambda _: pytest.fail("written again"))


def test_ranks_take_their_share_and_end_in_the_bytes_of_one_process(job, tmp_path, monkeypatch) -> None:
    write_labels(job, tmp_path / "one", ignored)
    whole = files_of(tmp_path / "one")
    missing = list(range(1, EPOCHS + 1))
    monkeypatch.setattr(ranks, "barrier", lambda _check: None)
    monkeypatch.setattr(ranks, "agreed", int)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number, share in ((0, [1, 3, 5]), (1, [2, 4])):
        monkeypatch.setenv("RANK", str(number))
        monkeypatch.setattr(ranks, "first", lambda make, _check, number=number: make() if number == 0 else missing)
        write_labels(job, tmp_path / "two", ignored)
        own = {f"epoch-{epoch:04d}.safetensors" for epoch in share}
        assert own <= files_of(tmp_path / "two").keys()
    assert files_of(tmp_path / "two") == whole
    with pytest.raises(RunError, match="rank 1 does not see them; all ranks need the same disk"):
        write_labels(job, tmp_path / "elsewhere", ignored)


def test_a_stop_keeps_whole_epochs(job, tmp_path) -> None:
    def stopped(event) -> None:
        if event.done == job.steps + 1:
            raise RunCancelled("cancel")

    with pytest.raises(RunCancelled, match="whole epochs are kept, and the same command goes on"):
        write_labels(job, tmp_path / "a", stopped)
    assert sorted(files_of(tmp_path / "a")) == ["epoch-0001.safetensors", "manifest.json"]


@pytest.mark.parametrize(
    ("error", "said"), [(RunError, "another process is at work on it"), (DataError, "it must be a new folder")]
)
def test_a_folder_in_use_or_of_something_else_is_refused(job, tmp_path, error, said) -> None:
    path = tmp_path / "labels"
    path.mkdir()
    if error is DataError:
        (path / "file").touch()
    with claimed_folder(path) if error is RunError else nullcontext(), pytest.raises(error, match=said):
        write_labels(job, path, ignored)
    assert not (path / "manifest.json").exists()
