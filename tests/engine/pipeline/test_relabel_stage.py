"""Epochs of stored labels: written, counted, and gone on with."""

import pytest

from delt_engine.config.students import EvaluateConfig, RelabelConfig
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
