"""Accuracy over MI: which MI is enough, what the planner and `delt cost` say, and the preset drawn from it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from some_curve import ship, some_curve

from delt_engine.analysis import mi_curves
from delt_engine.cli import main
from delt_engine.cli.options import read_experiment
from delt_engine.cli.presets import preset_told
from delt_engine.errors import ConfigError

MEASURED = "measured on CIFAR-10 with resnet18 of width 0.25, IPC 10, RI = MI / 8, 3 students"


@pytest.fixture
def assets(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mi_curves, "assets_dir", lambda: tmp_path / "assets")
    return tmp_path / "assets"


def test_the_fast_preset_is_the_smallest_mi_within_one_deviation_of_the_largest(assets) -> None:
    ship(assets)
    # DELT: 46.0 - 1.0 = 45.0, which 44.9 misses and 45.4 reaches; CDA: 36.5 - 1.0 is reached by 36.5 alone
    delt, cda = mi_curves.fast_preset("delt"), mi_curves.fast_preset("cda")
    assert (delt.iterations, delt.round_iterations, delt.ipc) == (2000, 250, 10)
    assert cda.iterations == 4000
    assert delt.origin == (
        "smallest MI within one standard deviation of MI 4,000; 45.4 ± 1.0 % at MI 2,000, 46.0 ± 1.0 % at MI 4,000, "
        f"{MEASURED}"
    )
    assert mi_curves.fast_methods() == ("delt", "cda")
    with pytest.raises(ConfigError, match="preset: 'fast' given, but .* not measured for 'rded'; it is there for delt"):
        mi_curves.fast_preset("rded")


def test_one_student_has_no_deviation_so_no_mi_is_known_to_be_enough(assets) -> None:
    rows = [{**row, "top1_last_std": 0.0} for row in some_curve()["rows"]]
    ship(assets, seeds=1, rows=rows)
    assert mi_curves.fast_methods() == ()


@pytest.mark.parametrize(
    ("iterations", "shown"),
    [(200, [504, 4000]), (504, [504, 4000]), (1500, [1000, 2000, 4000]), (3000, [2000, 4000]), (8000, [2000, 4000])],
)
def test_the_planner_hears_of_the_measured_mi_around_the_planned_one(assets, iterations, shown) -> None:
    ship(assets)
    found = mi_curves.accuracy_at("delt", iterations)
    assert [row["iterations"] for row in found["rows"]] == shown
    assert found["measured"] == MEASURED
    assert mi_curves.accuracy_at("sre2l", iterations) is None


def test_a_curve_of_ones_own_on_the_dataset_goes_first_and_damaged_files_are_passed_over(assets) -> None:
    ship(assets)
    (assets / "mi_curves" / "half.json").write_text('{"rows": [{"method": "delt"}]}')
    (assets / "mi_curves" / "torn.json").write_text('{"rows": [')
    mi_curves.keep(some_curve(dataset="photos", dataset_title="Photos"))
    assert [one["dataset"] for one in mi_curves.curves("photos")] == ["photos", "cifar10"]
    assert [one["dataset"] for one in mi_curves.curves("cifar10")] == ["cifar10", "photos"]
    assert mi_curves.accuracy_at("delt", 504, "photos")["measured"].startswith("measured on Photos")
    assert len(mi_curves.shipped_curves()) == 1


def test_cost_says_what_a_smaller_mi_costs_and_is_silent_of_what_was_not_measured(assets) -> None:
    def typed(*words: str) -> str:
        done = CliRunner().invoke(main, ["cost", "--classes", "2", *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "Students of " not in typed("--mi", "1000", "--ri", "125")
    ship(assets)
    words = f"Students of DELT: 44.9 ± 1.0 % at MI 1,000, 46.0 ± 1.0 % at MI 4,000 (top-1, last epoch), {MEASURED}."
    assert words in typed("--mi", "1000", "--ri", "125")
    assert "Students of " not in typed("--method", "sre2l")
    accuracy = json.loads(typed("--mi", "1000", "--ri", "125", "--json"))["accuracy"]
    assert accuracy["rows"][0] == some_curve()["rows"][1]
    assert json.loads(typed("--method", "random", "--json"))["accuracy"] is None


def test_the_preset_stands_under_what_is_typed_and_needs_a_recovery(assets) -> None:
    fast = {"preset": "fast"}
    with pytest.raises(ConfigError, match="not measured for 'delt'; none is; `delt compare --over-mi` measures"):
        read_experiment(fast)
    ship(assets)
    assert read_experiment(fast).recover.iterations == 2000
    found = read_experiment({**fast, "recover__method": "cda", "recover__ipc": 50, "experiment__dataset": "photos"})
    assert (found.recover.method, found.recover.ipc, found.recover.iterations) == ("cda", 50, 4000)
    assert (found.dataset, found.recover.initialization) == ("photos", "noise")
    rows = preset_told(fast, ("experiment", "recover"), silent=True)["preset"]["changes"]
    assert [(row["setting"], row["value"]) for row in rows] == [
        ("recover.iterations", 2000),
        ("recover.round_iterations", 250),
    ]
    assert rows[0]["origin"].startswith("smallest MI within one standard deviation of MI 4,000")
    with pytest.raises(ConfigError, match="preset: 'fast' given, but it sets MI and RI of a recovery"):
        preset_told(fast, ("evaluate",), silent=True)


def test_an_experiment_file_stands_on_top_of_it(assets, monkeypatch) -> None:
    from delt_engine.cli.run import _on_preset

    ship(assets)
    values = _on_preset({"dataset": "photos", "recover": {"method": "cda", "ipc": 4}}, "fast")
    assert values == {
        "dataset": "photos",
        "recover": {"ipc": 4, "iterations": 4000, "round_iterations": 500, "method": "cda"},
        "evaluate": {},
    }
