"""``delt bench`` as it is typed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from delt_engine.bench import app, cases, evaluate, gpu, large, rank, recovery
from delt_engine.bench.cases import CASES, named
from delt_engine.bench.harness import Measured
from delt_engine.bench.limit import above_limits
from delt_engine.models import device

LOOPS = Measured(
    *("resnet18-32", "ResNet-18, 32 px", "cpu", 2, 40.0, 80.0, 2.0, 0.5),
    {"precision": "float32", "fast": "float32", "changed_percent": 1.0, "plain_error": 1e-7, "fast_error": 2e-7}
    | {
        "loss_difference_percent": 0.1,
        "peak_percent": 90.0,
        "limit_rate": 100.0,
        "limit_percent": 80.0,
        "plain_mb": 700.0,
        "fast_mb": 500.0,
    }
    | {"plain": "float32"},
)
SCHEDULES = Measured(
    *("early-late", "EarlyLate", "cpu", 2, 1.0, 2.0, 2.0, None),
    {"precision": "float32", "fast": "float32", "saved_percent": 50.0, "scheduled_percent": 42.25},
)


@pytest.fixture
def asked(monkeypatch):
    """Replace the measuring; return what it was asked for."""
    found = {}

    def measure(cases, **values):
        if "too_slow" in found:
            values["leave_out"](found["too_slow"])
        found.update(values, names=[case.name for case in cases])
        yield from (LOOPS, SCHEDULES)

    monkeypatch.setattr(recovery, "bench_recovery", measure)
    monkeypatch.setattr(cases, "has_slow_bfloat16", lambda: found.get("is_slow", False))
    return found


def test_quick_json_is_a_list_of_cases(answer, asked):
    records = answer("bench", "recover", "--quick", "--device", "cpu")
    assert [record["case"] for record in records] == ["resnet18-32", "early-late"]
    for record in records:
        assert {"case", "plain_rate", "fast_rate", "ratio", "max_abs_diff"} <= record.keys()
        assert {"processor", "instructions", "torch", "threads"} == record["machine"].keys()
    assert (asked["quick"], asked["rounds"], asked["seconds"]) == (True, 1, cases.QUICK_SECONDS)
    assert asked["names"] == ["photos", "early-late", "resnet18-32", "resnet18-32-bfloat16"]


def test_a_case_that_the_processor_imitates_is_left_out_and_named(delt, asked):
    asked["is_slow"] = True
    result = delt("bench", "recover", "--quick", "--json", "--device", "cpu")
    assert asked["names"] == ["photos", "early-late", "resnet18-32"]
    assert "Left out: resnet18-32-bfloat16, since this processor has no instructions for bfloat16." in result.stderr
    assert delt("bench", "recover", "--case", "resnet18-32-bfloat16", "--quick", "--device", "cpu").exit_code == 0
    assert asked["names"] == ["resnet18-32-bfloat16"]


def test_a_figure_above_its_limit_is_a_failed_measurement(answer, delt, monkeypatch):
    failed = dataclasses.replace(LOOPS, failed=above_limits(80.0, 75.0, 124.0))
    monkeypatch.setattr(recovery, "bench_recovery", lambda *_cases, **_more: iter([failed]))
    result = delt("bench", "recover", "--device", "cpu")
    assert result.exit_code == 0
    start = "Measurement failed: ResNet-18, 32 px: "
    assert start + "80.0 image-iterations/s measured, but the convolutions alone gave 75.0." in result.stdout
    assert start + "124 % of the device's rate measured, where 100 % is the most." in result.stdout
    assert len(answer("bench", "recover", "--device", "cpu")[0]["failed"]) == 2
    assert above_limits(80.0, 80.0, 100.0) == ()


def test_what_does_not_fit_into_a_minute_is_left_out_and_named(delt, asked):
    assert "Left out" not in delt("bench", "recover", "--quick", "--device", "cpu").stderr
    asked["too_slow"] = CASES[2]
    result = delt("bench", "recover", "--quick", "--device", "cpu")
    assert "Left out: resnet18-32, since a quick measurement would take more than a minute with it" in result.stderr


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


@pytest.mark.parametrize("what", ["recover", "rank"])
def test_an_unknown_case_is_refused(refusal, what):
    assert "case: 'vgg' given, but it must be one of " in refusal("bench", what, "--case", "vgg")


def test_rank_and_evaluate_print_a_list_of_cases_or_a_table(answer, delt, monkeypatch):
    figures = {"decoder_rate": 40.0, "decode_percent": 30.0, "copy_percent": 5.0, "network_percent": 60.0}
    figures |= {"workers": 0, "ahead_ratio": 1.25}
    result, asked = Measured("files-32", "Files", "cpu", 1, 10.0, 20.0, 2.0, 1e-6, figures), []
    monkeypatch.setattr(rank, "bench_rank", lambda cases, **more: asked.append((cases, more)) or iter([result]))
    monkeypatch.setattr(evaluate, "bench_evaluate", lambda *_cases, **_more: iter([result]))
    (record,) = answer("bench", "rank", "--quick", "--case", "files-32")
    assert (record["case"], record["plain_rate"], record["fast_rate"], record["ratio"]) == ("files-32", 10.0, 20.0, 2.0)
    assert record["max_abs_diff"] == 1e-6
    assert asked[0][0] == named(cases.RANK_CASES, ["files-32"])
    assert (asked[0][1]["quick"], asked[0][1]["rounds"]) == (True, 1)
    table = delt("bench", "rank").stdout
    assert "Patches a second on cpu, 1 threads." in table
    assert "ahead ratio" in table
    assert "1.25" in table
    assert asked[1][1]["rounds"] == 3
    assert answer("bench", "evaluate")[0]["ratio"] == 2.0


def test_app_says_what_is_slow_and_whether_torch_is_loaded(answer, delt, monkeypatch):
    def timed(case: str, seconds: float, first: float | None, goal: float) -> Measured:
        times = {"seconds": seconds, "first_seconds": first, "goal_seconds": goal, "meets_goal": seconds < goal}
        return Measured(case, "", "cpu", 1, 2.0, 0.2, 0.1, None, {"has_torch": True, "has_error": False, **times})

    results = [timed("cold start", 5.0, None, 4.0), timed("runs", 0.1, 0.4, 0.5)]
    monkeypatch.setattr(app, "bench_app", lambda **_more: iter(results))
    said = delt("bench", "app", "--quick")
    assert said.exit_code == 0
    assert "The server's process has loaded torch." in said.stdout
    assert " no " in said.stdout
    assert [record["meets_goal"] for record in answer("bench", "app")] == [False, True]


def test_gpu_without_a_card_is_a_dry_run_and_says_so(answer, delt, monkeypatch):
    right = {"float32_error": 1e-6, "bfloat16_error": 0.05, "loss_gap_percent": 0.1, "no_graph": "not asked for"}
    row = {"squeeze_s": 3600.0, "recover_s": 1800.0, "students_s": 1800.0}
    found = [
        dataclasses.replace(LOOPS, case="correctness", figures=right, failed=("the loss is 3 % off.",)),
        dataclasses.replace(LOOPS, case="cifar10-row", plain_rate=None, fast_rate=0.5, ratio=None, figures=row),
    ]
    asked = []
    monkeypatch.setattr(gpu, "bench_gpu", lambda **values: asked.append(values) or iter(found))
    result = delt("bench", "gpu")
    assert result.exit_code == 0, result.stderr
    assert "No CUDA device is here, so this is a dry run" in result.stderr
    assert (asked[0]["device"], asked[0]["dry"]) == (torch.device("cpu"), True)
    assert "Measurement failed: ResNet-18, 32 px: the loss is 3 % off." in result.stdout
    assert "would take 2.00 h with networks of a quarter width, here: squeeze 1.00 h, recover 0.50 h" in result.stdout
    first, last = answer("bench", "gpu", "--dry-run")
    assert first["dry_run"]
    assert {"processor", "instructions", "torch", "threads"} == first["machine"].keys()
    assert last["plain_rate"] is None


def test_the_waits_of_a_large_run_stand_in_a_table_with_what_is_besides(delt, answer, monkeypatch):
    def waits(_folder, *, quick, report):
        yield large._result("start", 1.5, new_seconds=40.0)
        yield large._result("export", 2.5, whole_seconds=12.0)

    monkeypatch.setattr(large, "bench_large", waits)
    start, export = answer("bench", "large", "--quick")
    assert (start["seconds"], start["goal_seconds"], start["meets_goal"]) == (1.5, 2.0, True)
    assert (export["meets_goal"], export["whole_seconds"]) == (False, 12.0)
    said = delt("bench", "large").stdout
    assert "of a new folder 40.0 s" in said
    assert "whole zip 12.0 s" in said
