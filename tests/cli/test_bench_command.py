"""``delt bench recover`` as it is typed."""

from __future__ import annotations

import json

import pytest
import torch

from delt_engine.bench import recovery
from delt_engine.bench.cases import CASES
from delt_engine.bench.recovery import CaseResult
from delt_engine.models import device

pytest_plugins = ["colour_folder"]

LOOPS = CaseResult(
    "resnet18-32",
    "ResNet-18, 32 px",
    "float32",
    "float32",
    "cpu",
    2,
    40.0,
    80.0,
    2.0,
    0.5,
    1.0,
    1e-7,
    2e-7,
    0.1,
    90.0,
    100.0,
    700.0,
    500.0,
    plain="float32",
)
SCHEDULES = CaseResult(
    "early-late",
    "EarlyLate",
    "float32",
    "float32",
    "cpu",
    2,
    1.0,
    2.0,
    2.0,
    saved_percent=50.0,
    scheduled_percent=42.25,
)


@pytest.fixture
def asked(monkeypatch):
    """Replace the measuring; return what it was asked for."""
    found = {}

    def measure(cases, **values):
        found.update(values, names=[case.name for case in cases])
        yield from (LOOPS, SCHEDULES)

    monkeypatch.setattr(recovery, "bench_recovery", measure)
    return found


def test_quick_json_is_a_list_of_cases(delt, asked):
    result = delt("bench", "recover", "--quick", "--json", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    records = json.loads(result.stdout)
    assert [record["case"] for record in records] == ["resnet18-32", "early-late"]
    for record in records:
        assert {"case", "plain_rate", "fast_rate", "ratio", "max_abs_diff"} <= record.keys()
    assert asked["quick"]
    assert asked["rounds"] == 1
    assert asked["names"] == ["resnet18-32", "resnet18-32-bfloat16", "photos", "early-late"]


def test_people_get_a_table_and_a_sentence(delt, asked):
    result = delt("bench", "recover", "--case", "photos", "--rounds", 2, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert (asked["names"], asked["rounds"]) == (["photos"], 2)
    assert "700 -> 500" in result.stdout
    assert "90 / 80" in result.stdout  # of the measured peak, and of what the convolutions alone reach
    assert "Image-iterations a second on cpu, 2 threads; the plain loop in float32." in result.stdout
    assert "EarlyLate: 50.0 % of wall time saved, where the schedule has 42.2 % fewer" in result.stdout


def test_a_gpu_has_cases_of_its_own_which_any_device_takes_by_name(delt, asked, monkeypatch):
    own = ["resnet18-32-packed", "resnet18-224", "resnet50-224"]
    words = [word for name in own for word in ("--case", name)]
    assert delt("bench", "recover", *words, "--device", "cpu", "--json").exit_code == 0
    assert asked["names"] == own
    monkeypatch.setattr(device, "pick_device", lambda name: torch.device("cuda"))
    assert delt("bench", "recover", "--json").exit_code == 0
    assert asked["names"][-3:] == own
    assert len(asked["names"]) == len(CASES)


def test_an_unknown_case_is_refused(delt):
    result = delt("bench", "recover", "--case", "vgg")
    assert result.exit_code == 2
    assert "case: 'vgg' given, but it must be one of resnet18-32," in result.stderr
