"""A short measurement with the real loop on a tiny teacher."""

import pytest

from delt_engine.errors import RunError
from delt_engine.jobs.measured_rates import kept_rates
from delt_engine.jobs.worker import DeviceLock
from delt_engine.pipeline import measure_rate
from delt_engine.pipeline.measure_rate import measure

pytest_plugins = ["tiny_world"]


def test_both_batch_sizes_are_timed_and_the_rate_is_kept(world, settings, monkeypatch) -> None:
    told, sizes = [], []
    steps = measure_rate._steps
    monkeypatch.setattr(
        measure_rate, "_steps", lambda t, plan, e, i: sizes.append(len(plan.slots)) or steps(t, plan, e, i)
    )
    rate = measure(settings(), lambda *about: told.append(about), seconds=0.05)
    assert sizes == [3, 12]  # three classes: one image of each in round 1, four at the end
    assert (rate.key.device, rate.key.image_size, rate.key.batch_size) == ("cpu", 8, 12)
    assert rate.fixed_s >= 0
    assert 1 < rate.per_second(12) < 1e6
    assert told[-1] == ("measure", 1, 2)
    assert kept_rates() == [rate]


def test_a_busy_device_is_not_measured(world, settings) -> None:
    lock = DeviceLock("cpu")
    assert lock.take()
    with pytest.raises(RunError, match="cpu is at work on a run"):
        measure(settings(), seconds=0.05)
    lock.release()
    assert measure(settings(), seconds=0.05).key.batch_size == 12
