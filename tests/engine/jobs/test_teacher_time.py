"""The time of a teacher: scaled from the newest one that was trained here."""

from __future__ import annotations

import pytest
from events_of_runs import squeeze_step
from fake_runs import dataset_record

from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.jobs.teacher_time import small_teacher, training_seconds
from delt_engine.runs.processes import this_process
from delt_engine.runs.store import Run


def test_the_time_follows_the_last_training_by_pixels_epochs_and_width(tmp_path) -> None:
    done = SqueezeConfig(width=0.25, epochs=4, batch_size=50)
    run = Run.create(tmp_path / "run", Experiment(squeeze=done), "squeeze")
    run.update(dataset=dataset_record())
    run.set_status("running", process=this_process())
    run.event(squeeze_step(epoch=4, epochs=4, step=10, steps=10))
    assert training_seconds(done, 500, 32, [run])[1] is False
    run.set_status("finished", seconds=80.0, process=None)
    assert training_seconds(done, 500, 32, [run]) == (pytest.approx(80.0), True)
    assert training_seconds(done.replace(epochs=8), 1000, 64, [run])[0] == pytest.approx(80.0 * 2 * 2 * 4)
    assert training_seconds(done.replace(width=0.5), 500, 32, [run])[0] == pytest.approx(80.0 * 2**1.7)
    assert training_seconds(done.replace(network="convnet-3"), 500, 32, [run])[1] is False


def test_a_small_set_is_seen_more_often_in_smaller_batches() -> None:
    assert (small_teacher(300).epochs, small_teacher(300).batch_size) == (60, 32)
    assert (small_teacher(100_000).epochs, small_teacher(100_000).batch_size) == (10, 128)
