"""The benchmark measures what it says: same work for both loops, and how far their results are apart."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from delt_engine.bench import harness, limit, material, recovery
from delt_engine.bench.cases import Case, schedule
from delt_engine.recovery.folding import PreparedTeacher

CPU = torch.device("cpu")
TINY = Case("tiny", "ConvNet", network="convnet-3", image_size=8)
PACKED = dataclasses.replace(TINY, name="tiny-packed", pack=3)


@pytest.fixture
def small(monkeypatch):
    """Narrow networks and small matrices."""
    build = material.build_network
    monkeypatch.setattr(material, "build_network", lambda *args, **values: build(*args, width=0.05, **values))
    monkeypatch.setattr(limit, "_PEAK_SIZE", 32)


def test_loops_do_the_same_work_and_their_differences_are_told(small):
    reduced = dataclasses.replace(TINY, name="tiny-bfloat16", precision="bfloat16")
    results = list(recovery.bench_recovery([TINY, reduced], quick=True, rounds=2, device=CPU))
    assert [result.case for result in results] == ["tiny", "tiny-bfloat16"]
    exact, reduced = (SimpleNamespace(**result.to_record()) for result in results)
    assert (exact.precision, reduced.precision) == ("float32", "bfloat16")
    assert exact.plain_rate == reduced.plain_rate
    for result in (exact, reduced):
        assert result.fast_rate > 0
        assert result.ratio > 0
        assert result.peak_percent > 0
        assert result.limit_rate > 0
        assert result.fast_mb < result.plain_mb
    assert exact.fast_error < 1e-4 < reduced.fast_error
    assert exact.loss_difference_percent < 1
    assert exact.max_abs_diff <= 4.0  # normalised values lie between -2 and 2
    assert exact.changed_percent < reduced.changed_percent


@pytest.mark.parametrize("case", [TINY, PACKED])
def test_the_measured_loop_is_the_engines_and_reaches_the_plain_images_in_float64(small, case):
    config = schedule(case, quick=True)
    given = material.material(case, config, CPU)
    each = config.round_iterations
    assert each * recovery.image_iterations(given) == (each - 1) * config.schedule.image_iterations(2 * case.pack)
    teacher = PreparedTeacher(given.teacher.network.double(), given.teacher.mean, given.teacher.std)
    doubled = dataclasses.replace(given, teacher=teacher, images=given.images.double())
    lanes = recovery.side_by_side(doubled, [recovery.fast_path(case, given, CPU)], CPU)
    torch.testing.assert_close(lanes[1].last[0].state.images, lanes[0].images(given.places), rtol=0, atol=1e-7)
    assert [len(lane.last) for lane in lanes] == [case.pack, 1]
    assert lanes[1].total_loss == pytest.approx(lanes[0].total_loss, rel=1e-9)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in given.teacher.network.modules())


def test_schedules_are_compared_by_their_time(small, monkeypatch):
    case = dataclasses.replace(TINY, compares_schedules=True)
    quarter = (2.0, 1.0)  # off, on: eight rounds in turns, three times
    seconds = iter(quarter * 8 + (2.0, 1.25) * 8 + quarter * 8)
    monkeypatch.setattr(harness, "seconds_of", lambda work, device: next(seconds))
    (result,) = recovery.bench_recovery([case], quick=True, rounds=3, device=CPU)
    assert result.ratio == pytest.approx(2.0)
    assert result.figures["saved_percent"] == pytest.approx(50.0)
    assert result.figures["scheduled_percent"] == pytest.approx(42.25)
    assert (result.plain_rate, result.fast_rate) == (100 / 16, 100 / 8)
    assert result.max_abs_diff is None
    assert result.to_record()["max_abs_diff"] is None
    assert next(seconds, None) is None
