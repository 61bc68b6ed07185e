"""Runs of DM and DC: like every other, stopped and gone on with as well; their price."""

import numpy as np
import pytest
from tiny_data import tiny_dataset
from tiny_world import finished, images_of, run_until_stopped

from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.jobs.measured_rates import kept_rates
from delt_engine.jobs.prices import Known, recovery_price
from delt_engine.models.teachers import load_teacher
from delt_engine.pipeline import recover_batch
from delt_engine.pipeline.measure_rate import measure
from delt_engine.pipeline.real_batches import real_batch
from delt_engine.pipeline.run import run_experiment
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")


def stop_after(monkeypatch, iteration: int) -> None:
    loop = recover_batch.matching_steps

    def watched(*args, **kwargs):
        for step in loop(*args, **kwargs):
            if step.iteration == iteration:
                monkeypatch.setattr("delt_engine.jobs.worker.StopRequests.asked", lambda self: "pause")
            yield step

    monkeypatch.setattr(recover_batch, "matching_steps", watched)


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_a_stopped_run_goes_on_to_the_same_images(world, settings, monkeypatch, method) -> None:
    experiment = settings(
        method, matching_width=4, real_batch=6, network_epochs=1, sgd_rate=20, initialization="patches"
    )
    whole = finished(world / "whole", experiment)
    record = whole.record()
    assert (record.status, record.image_iterations, record.speed["precision"]) == ("finished", 96, "float32")
    assert record.memory["measured_mb"] > 0
    step = list(whole.events(StepEvent))[-1]
    assert (step.ce_loss, step.bn_loss, step.start_ce_losses) == (None, None, ())
    assert step.total_loss > 0
    assert whole.rounds_written(0) == [0, 1, 2, 3, 4]
    assert len(whole.selection()) == 12
    run = Run.create(world / "stopped", experiment)
    with monkeypatch.context() as patched:
        stop_after(patched, 4)
        run_until_stopped(run)
    assert run.status == "paused"
    run_experiment(run)
    assert images_of(run) == images_of(whole)
    starts = whole.snapshot_images(0, 0).astype(int)
    assert np.abs(whole.snapshot_images(0, 4) - starts).mean() > 0.1


def test_real_batches_are_of_their_class_none_twice_and_the_same_again(world) -> None:
    train, teacher = tiny_dataset().train, PreparedTeacher.of(load_teacher("colours"))
    (first, again, other) = (real_batch(train, teacher, 0, 5, "cpu", at, 1) for at in (3, 3, 4))
    assert first.equal(again)
    assert not first.equal(other)
    known = normalise(to_pixels(train.pixels(train.of_class(1))), teacher.mean, teacher.std)
    found = [[bool(one.equal(image)) for image in known].index(True) for one in first]
    assert len(set(found)) == 5
    assert len(real_batch(train, teacher, 0, 10_000, "cpu", 0, 1)) == len(known)


def test_its_price_grows_with_the_real_images_and_not_with_the_teacher(settings) -> None:
    known = Known([], [], "cpu", None)
    few, many = (recovery_price(settings("dm", real_batch=n), 3, 32, "f00d", known) for n in (100, 1000))
    assert not few.is_measured
    assert many.seconds / few.seconds == pytest.approx(1012 / 112)
    assert recovery_price(settings("dc", real_batch=100), 3, 32, "", known).seconds > 3 * few.seconds


def test_its_speed_is_measured_with_its_own_loop(world, settings) -> None:
    experiment = settings("dm", matching_width=4, real_batch=6)
    rate = measure(experiment, seconds=0.01)
    assert rate.key.teacher == "dm convnet-3x4, 6 real, ipc 4, 1/0"
    assert rate.key.batch_size == 12
    assert rate.per_second(12) > 0
    assert recovery_price(experiment, 3, 8, "any", Known(kept_rates(), [], "cpu", None)).is_measured
