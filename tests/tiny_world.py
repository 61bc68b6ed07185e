"""A world in which a whole run takes a moment: images of 8x8 pixels in three colours and a small teacher."""

from __future__ import annotations

import shutil

import pytest
from tiny_data import tiny_dataset

from delt_engine.config import Experiment, SqueezeConfig, is_optimised
from delt_engine.errors import RunCancelled
from delt_engine.jobs import worker
from delt_engine.pipeline import inputs, recover_batch
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run

SQUEEZE = SqueezeConfig(network="convnet-3", width=0.0625, epochs=3, batch_size=24, learning_rate=0.1, min_crop=1)


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory):
    """The file of a teacher that knows its colours."""
    from delt_engine.models.checkpoints import save_teacher
    from delt_engine.training.squeeze import squeeze

    *_, result = squeeze(tiny_dataset(), SQUEEZE, seed=0, device="cpu")
    path = tmp_path_factory.mktemp("teacher") / "colours.safetensors"
    save_teacher(path, result.network, result.card)
    return path


@pytest.fixture
def world(tmp_path, monkeypatch, tiny_teacher):
    """The tiny dataset in the place of every dataset, a home of its own, and the tiny teacher in it."""
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(
        inputs, "load_dataset", lambda name, image_size=None, report=None, resize="whole": tiny_dataset()
    )
    teachers = tmp_path / "home" / "teachers"
    teachers.mkdir(parents=True)
    shutil.copy(tiny_teacher, teachers / "colours.safetensors")
    return tmp_path


@pytest.fixture
def settings():
    """Make an experiment on the tiny world."""

    def make(method: str = "delt", **values) -> Experiment:
        rounds = {"iterations": 8, "round_iterations": 2} if is_optimised(method) else {}
        values = {"ipc": 4, **rounds, **values}
        names = ("classes", "seed", "select", "rank", "evaluate")
        overall = {name: values.pop(name) for name in names if name in values}
        return Experiment.for_method(
            method, size=8, recover=values, dataset="colours", device="cpu", squeeze=SQUEEZE, **overall
        )

    return make


def finished(path, experiment, **options) -> Run:
    run = Run.create(path, experiment, options=RunOptions(**options))
    run_experiment(run)
    return run


def images_of(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in sorted(run.path.rglob("*.png"))}


def stop_at(monkeypatch, iteration: int, request: str = "cancel") -> None:
    """Request this after the iteration with this index."""
    loop = recover_batch.recover

    def watched(*args, **kwargs):
        for step in loop(*args, **kwargs):
            if step.iteration == iteration:
                monkeypatch.setattr(worker.StopRequests, "asked", lambda self: request)
            yield step

    monkeypatch.setattr(recover_batch, "recover", watched)


def run_until_stopped(run: Run) -> None:
    with pytest.raises(RunCancelled, match="goes on"):
        run_experiment(run)
