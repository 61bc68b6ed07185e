"""A card is held to the CPU first, and the row's time follows from the measured rates."""

import dataclasses

import pytest
import torch

from delt_engine.bench import gpu
from delt_engine.bench.harness import Measured

CPU = torch.device("cpu")
FAST = Measured("case", "Case", "cpu", 1, 1.0, 100.0, 100.0, None)


def test_a_wrong_device_is_a_failed_measurement():
    assert gpu._wrong(1e-6, 0.05, 0.1) == ()
    assert gpu._wrong(2e-3, 0.05, 3.0) == (
        "the gradient in float32 is 2.0e-03 off, where 0.001 is the most.",
        "the loss is 3 % off, where 2 % is the most.",
    )
    assert len(gpu._wrong(float("nan"), float("nan"), float("nan"))) == 3


def test_the_cpu_is_right(monkeypatch):
    monkeypatch.setattr(gpu, "ITERATIONS", 2)
    found = gpu.correctness(CPU)
    assert found.failed == ()
    assert 0 < found.figures["float32_error"] < 1e-4 < found.figures["bfloat16_error"]
    assert found.figures["no_graph"] == "not asked for"


def test_the_rows_time_follows_from_the_rates():
    rates = (dataclasses.replace(FAST, fast_rate=rate) for rate in (5000.0, 10_000.0, 2000.0))
    row = gpu.projected_row(*rates)
    # 90 epochs of 50,000 images; 500 images with 4,000 to 500 iterations; three students, 300 epochs of 500 images
    expected = {"squeeze_s": 900.0, "recover_s": 1_155_000 / 10_000, "students_s": 225.0}
    assert row.figures == pytest.approx(expected)
    assert row.fast_rate == pytest.approx(3600 / 1240.5)
    assert (row.plain_rate, row.ratio) == (None, None)
