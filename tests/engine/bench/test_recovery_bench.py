"""The benchmark measures what it says: same work for both loops, and how far their results are apart."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from delt_engine.bench import cases, harness, limit, material, recovery
from delt_engine.bench.cases import CASES, Case, find_cases, schedule
from delt_engine.errors import ConfigError
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


def test_schedules_have_the_published_proportions():
    for case in CASES:
        for quick in (False, True):
            config = schedule(case, quick=quick)
            assert (config.ipc, config.batch_size) == (50, 100)
        assert schedule(case, quick=False).schedule.saved_percent == pytest.approx(42.25)


def test_cases_are_found_by_name_in_the_order_given():
    assert [case.name for case in find_cases(("photos", "resnet18-32", "photos"), quick=True)] == [
        "photos",
        "resnet18-32",
    ]
    assert find_cases((), quick=False, device_type="cuda") == CASES
    own = ("resnet18-32-packed", "resnet18-224", "resnet50-224")
    for device_type in ("cpu", "mps"):
        found = find_cases((), quick=False, device_type=device_type)
        assert tuple(case for case in CASES if case not in found) == find_cases(own, quick=True) == CASES[-3:]
    with pytest.raises(ConfigError, match="case: 'resnet' given, but it must be one of resnet18-32,"):
        find_cases(("resnet",), quick=True)


def test_a_quick_measurement_leaves_imitated_bfloat16_out(monkeypatch):
    for is_slow, names in ((True, ["resnet18-32", "photos", "early-late"]), (False, None)):
        monkeypatch.setattr(cases, "has_slow_bfloat16", lambda is_slow=is_slow: is_slow)
        found = [case.name for case in find_cases((), quick=True)]
        assert found == (names or ["resnet18-32", "resnet18-32-bfloat16", "photos", "early-late"])
        assert [case.name for case in cases.left_out("cpu")] == (["resnet18-32-bfloat16"] if is_slow else [])
        assert cases.left_out("cuda") == ()
        assert find_cases(("resnet18-32-bfloat16",), quick=True)
        assert len(find_cases((), quick=False)) == len(CASES) - 3


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


def test_packed_batches_are_measured_as_one_step(small):
    case = dataclasses.replace(PACKED, precision="bfloat16")
    (result,) = recovery.bench_recovery([case], quick=True, rounds=1, device=CPU)
    record = result.to_record()
    assert (record["case"], record["fast"]) == ("tiny-packed", "bfloat16, BatchNorm folded, 3 batches a step")
    assert record["plain"] == "float32"
    assert 0 < record["max_abs_diff"] <= 4.0
    assert record["loss_difference_percent"] < 5
    assert record["fast_mb"] > record["plain_mb"]  # three batches at a time


def test_224_pixels_are_measured_in_reduced_precision_where_they_are_asked_for(small, monkeypatch):
    (case,) = find_cases(["resnet18-224"], quick=True)
    assert (case.image_size, case.precision) == (224, "bfloat16")
    case = dataclasses.replace(case, network="convnet-3", image_size=16)
    config = schedule(case, quick=True).replace(ipc=4, batch_size=8)
    monkeypatch.setattr(recovery, "schedule", lambda *_case, **_values: config)
    (result,) = recovery.bench_recovery([case], quick=True, rounds=1, device=CPU)
    record = result.to_record()
    needed = {"plain_rate", "fast_rate", "ratio", "max_abs_diff", "peak_percent", "plain_mb", "fast_mb", "plain"}
    assert needed <= record.keys()
    assert record["precision"] == "bfloat16"
    assert record["ratio"] > 0


def test_the_first_iteration_of_a_round_is_not_timed(small, monkeypatch):
    for case in (*CASES, TINY):
        for quick, device_type in ((False, "cpu"), (True, "cpu"), (False, "cuda"), (True, "cuda")):
            assert schedule(case, quick=quick, device_type=device_type).round_iterations > 1
    config = schedule(PACKED, quick=True).replace(iterations=12, round_iterations=3)
    given = material.material(PACKED, config, CPU)
    timed, taken = [], []
    go = recovery.Lane.go
    monkeypatch.setattr(recovery.Lane, "go", lambda lane, count: taken.append(count) or go(lane, count))
    monkeypatch.setattr(harness, "seconds_of", lambda work, device: timed.append(work()) or 1.0)
    lanes = recovery.side_by_side(given, [recovery.fast_path(PACKED, given, CPU)], CPU)
    assert [lane.seconds for lane in lanes] == [4.0, 4.0]  # a turn a round
    assert taken == 3 * [1, 2, 1, 2] + [2, 2]  # two lanes; in the last round that iteration is weighed
    assert all(lane.saved_mb > 0 for lane in lanes)
    joined = [given.plan.joined(iteration // given.config.round_iterations + 1) for iteration in range(12)]
    assert recovery.image_iterations(given) == sum(joined) - sum(joined[::3])
    assert lanes[1].last[0].iteration == 11


def test_a_gpu_is_waited_for_before_and_after(monkeypatch):
    seen = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: seen.append("wait"))
    harness.seconds_of(lambda: seen.append("work"), torch.device("cuda"))
    assert seen == ["wait", "work", "wait"]


def test_convolutions_of_the_plain_loop_may_use_tf32(small, monkeypatch):
    seen = []
    compare = recovery._compare_loops
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(
        recovery,
        "_compare_loops",
        lambda *args, **values: seen.append(torch.backends.cudnn.allow_tf32) or compare(*args, **values),
    )
    list(recovery.bench_recovery([TINY], quick=True, rounds=1, device=CPU))
    assert seen == [True]
    assert torch.backends.cudnn.allow_tf32 is False


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


def test_operations_are_counted_forwards_and_back():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.Flatten()).requires_grad_(requires_grad=False)
    assert limit.operations(network, torch.zeros(1, 3, 8, 8)) == 2 * (2 * 3 * 4 * 64)


def test_seeded_teachers_are_the_same_and_leave_the_generator_alone(small):
    before = torch.random.get_rng_state()
    one, two = (material.seeded_teacher("convnet-3", 8, (0.5,) * 3, (0.25,) * 3, CPU) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), two.parameters(), strict=True))
    assert not one.training
    assert torch.equal(one.features[1].running_mean, two.features[1].running_mean)
    assert one.features[1].running_mean.abs().sum() > 0
