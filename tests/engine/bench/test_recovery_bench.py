"""The benchmark measures what it says: same work for both loops, and how far their results are apart."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from delt_engine.bench import recovery
from delt_engine.bench.cases import CASES, Case, find_cases, schedule
from delt_engine.errors import ConfigError

CPU = torch.device("cpu")
TINY = Case("tiny", "ConvNet", network="convnet-3", image_size=8)


@pytest.fixture
def small(monkeypatch):
    """Narrow networks and small matrices."""
    build = recovery.build_network
    monkeypatch.setattr(recovery, "build_network", lambda *args, **values: build(*args, width=0.05, **values))
    monkeypatch.setattr(recovery, "_PEAK_SIZE", 32)


def test_schedules_have_the_published_proportions():
    for case in CASES:
        for quick in (False, True):
            config = schedule(case, quick=quick)
            assert (config.ipc, config.batch_size) == (50, 100)
        assert schedule(case, quick=False).schedule.saved_percent == pytest.approx(42.25)


def test_cases_are_found_by_name_in_the_order_given():
    assert [case.name for case in find_cases(("photos", "resnet18-32", "photos"), quick=True)] == [
        "photos", "resnet18-32",
    ]  # fmt: skip
    assert find_cases((), quick=False) == CASES
    with pytest.raises(ConfigError, match="case: 'resnet' given, but it must be one of resnet18-32,"):
        find_cases(("resnet",), quick=True)


def test_loops_do_the_same_work_and_their_differences_are_told(small):
    cases = [TINY, dataclasses.replace(TINY, name="tiny-bfloat16", precision="bfloat16")]
    exact, reduced = recovery.bench_recovery(cases, quick=True, rounds=2, device=CPU)
    assert exact.case == "tiny"
    assert (exact.precision, reduced.precision) == ("float32", "bfloat16")
    assert exact.plain_rate == reduced.plain_rate
    for result in (exact, reduced):
        assert result.fast_rate > 0
        assert result.ratio > 0
        assert result.peak_percent > 0
        assert result.fast_mb < result.plain_mb
    assert exact.fast_error < 1e-4 < reduced.fast_error
    assert exact.loss_difference_percent < 1
    assert exact.max_abs_diff <= 4.0  # normalised values lie between -2 and 2
    assert exact.changed_percent < reduced.changed_percent


def test_the_measured_loop_is_the_engines_and_reaches_the_plain_images_in_float64(small):
    config = schedule(TINY, quick=True)
    given = recovery.material(TINY, config, CPU)
    doubled = dataclasses.replace(given, network=given.network.double(), images=given.images.double())
    lanes = recovery._side_by_side(doubled, [recovery._fast_path(TINY, given, CPU)], CPU)
    torch.testing.assert_close(lanes[1].last.state.images, lanes[0].last.images, rtol=0, atol=1e-7)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in given.network.modules())


def test_schedules_are_compared_by_their_time(small, monkeypatch):
    case = dataclasses.replace(TINY, compares_schedules=True)
    seconds = iter([8.0, 4.0, 8.0, 5.0, 8.0, 4.0])  # off, on: three rounds
    monkeypatch.setattr(recovery, "_seconds", lambda work, device: next(seconds))
    (result,) = recovery.bench_recovery([case], quick=True, rounds=3, device=CPU)
    assert result.ratio == pytest.approx(2.0)
    assert result.saved_percent == pytest.approx(50.0)
    assert (result.plain_rate, result.fast_rate) == (100 / 8, 100 / 4)
    assert result.max_abs_diff is None
    assert result.to_record()["max_abs_diff"] is None


def test_operations_are_counted_forwards_and_back():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Flatten()).requires_grad_(requires_grad=False)
    assert recovery.operations(network, torch.zeros(1, 3, 8, 8)) == 2 * (2 * 3 * 4 * 64)


def test_seeded_teachers_are_the_same_and_leave_the_generator_alone(small):
    before = torch.random.get_rng_state()
    one, two = (recovery.seeded_teacher("convnet-3", 8, (0.5,) * 3, (0.25,) * 3, CPU) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), two.parameters(), strict=True))
    assert not one.training
    assert torch.equal(one.features[1].running_mean, two.features[1].running_mean)
    assert one.features[1].running_mean.abs().sum() > 0
