"""The benchmarks measure what they say: same work on both sides, and how far their results are apart."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from delt_engine.bench import harness, limit, material, recovery
from delt_engine.bench.cases import Case, RankCase, schedule
from delt_engine.bench.evaluate import several, side_by_side
from delt_engine.bench.rank import PlainImages, bench_rank, rank_as_published
from delt_engine.config import EvaluateConfig
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.training.image_table import ImageTable

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
        assert result.limit_percent == pytest.approx(100 * result.fast_rate / result.limit_rate)
        assert bool(result.failed) == (result.limit_percent > 100 or result.peak_percent > 100)
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


def test_the_peak_is_the_faster_of_a_product_and_a_convolution(monkeypatch):
    spent = iter([4.0, 9.0, 2.0, 8.0])
    monkeypatch.setattr(limit, "seconds_of", lambda work, device: next(spent))
    peak = limit.Peak(CPU, torch.float32)
    peak.take_turn()
    product, maps = 2 * 2048**3, 2 * 64 * 8 * 8 * 512 * 512 * 9
    assert peak.rate == max(product / 2, maps / 8)


def test_limits_take_their_turns_between_the_loops(small, monkeypatch):
    """So what else the machine does hits all of them alike; the best time of each call counts."""
    taken = []
    for kind in (limit.Convolutions, limit.Peak):
        monkeypatch.setattr(kind, "take_turn", lambda self, take=kind.take_turn: (taken.append(type(self)), take(self)))
    next(recovery.bench_recovery([TINY], quick=True, rounds=2, device=CPU))
    assert taken == [limit.Convolutions, limit.Peak] * 6  # three rounds, twice
    convolution = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, padding=1))
    spent = iter([4.0, 1.0, 7.0, 3.0, 5.0, 1.0])
    monkeypatch.setattr(limit, "seconds_of", lambda work, device: work() and next(spent))
    alone = limit.Convolutions(convolution, torch.zeros(10, 3, 8, 8), "float32")
    alone.take_turn()
    alone.take_turn()
    assert alone.rate == 10 / (3.0 + 1.0 + 1.0)


def test_a_case_without_time_is_left_out(small):
    slow = dataclasses.replace(TINY, name="slow", network="convnet-4", cost_s=1e9)
    left = []
    taken = [dataclasses.replace(TINY, cost_s=1e-6), slow]
    found = recovery.bench_recovery(taken, quick=True, rounds=1, device=CPU, seconds=60.0, leave_out=left.append)
    assert [result.case for result in found] == ["tiny"]
    assert left == [slow]


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


NAMES = ("a", "b", "c")


@pytest.mark.parametrize("has_teacher", [True, False])
def test_both_trainings_have_the_same_loss(has_teacher):
    rng = np.random.default_rng(0)
    table = ImageTable(
        rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8), np.arange(12) % 3, NAMES, (0.5,) * 3, (0.25,) * 3
    )
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval() if has_teacher else None
    kind = {} if has_teacher else {"labels": "hard", "loss": "ce"}
    config = EvaluateConfig.for_recipe(
        "delt",
        epochs=1,
        student="convnet-3",
        student_width=0.0625,
        student_stem="small",
        batch_size=4,
        learning_rate=1e-3,
        rand_augment="none",
        ema_decay=0.0,
        precision="float32",
        min_crop=0.25,
        **kind,
    )
    plain, fast, gap = side_by_side(table, teacher, config, 0, torch.device("cpu"))
    assert plain > 0
    assert fast > 0
    assert gap < 1e-3
    alone, beside, gap = several(table, teacher, config, 3, torch.device("cpu"))
    assert alone > 0
    assert beside > 0
    assert gap == 0.0


@pytest.mark.parametrize(("is_files", "image_size"), [(False, 16), (True, 224)])
def test_both_sides_score_the_same(is_files, image_size):
    case = RankCase("small", "Small", image_size, 0.0625, 5, is_files)
    (result,) = bench_rank([case], quick=False, rounds=1, device=CPU)
    assert result.max_abs_diff < 1e-5
    assert result.ratio == pytest.approx(result.fast_rate / result.plain_rate)
    record = result.to_record()
    assert {"case", "plain_rate", "fast_rate", "ratio", "max_abs_diff"} <= record.keys()
    assert record["ahead_ratio"] > 0
    assert 0 < record["decode_percent"] + record["copy_percent"] + record["network_percent"] <= 100.3


def test_the_plain_side_is_the_softmax_of_the_label():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1])
    found = rank_as_published(network, PlainImages(pixels, labels, 8, (0.5,) * 3, (0.25,) * 3), 2, CPU)
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    expected = network(images).softmax(1)[torch.arange(5), torch.from_numpy(labels)]
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5)
