"""``delt compare --over-mi`` as typed, on the tiny world: a row a method and MI, what is kept and used again."""

from __future__ import annotations

import json
from statistics import mean, stdev

import pytest
from click.testing import CliRunner

from delt_engine.analysis.mi_curves import curves, described
from delt_engine.cli import compare_plan, main
from delt_engine.runs.store import Run, list_runs

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = ("compare", "--methods", "delt,cda", "--settings", "equal", "--dataset", "colours", "--ipc", "4")
WORDS += ("--epochs", "1", "--seeds", "2", "--rand-augment", "none", "--device", "cpu", "-q")


@pytest.fixture
def typed(world, monkeypatch):
    monkeypatch.setattr(compare_plan, "size_of", lambda dataset, image_size=None: 8)

    def run(*words, code: int = 0):
        done = CliRunner().invoke(main, [*WORDS, *map(str, words)])
        assert done.exit_code == code, done.output
        return done

    return run


def test_a_row_a_method_and_mi_is_kept_for_the_planner_and_finished_parts_are_used_again(typed, tmp_path) -> None:
    typed("--methods", "delt", "--mi", "8", "--ri", "1", "--json")  # as a loop of single commands leaves it
    assert len(list_runs()) == 2
    table, file = tmp_path / "table.csv", tmp_path / "curve.json"
    answer = json.loads(typed("--over-mi", "16,8", "--out", file, "--csv", table, "--json").stdout)
    record = answer["curve"]
    assert len(list_runs()) == 8
    # IPC 4 in eight rounds: one image joins in each of the first four
    rows = [(row["method"], row["iterations"], row["image_iterations"]) for row in record["rows"]]
    assert rows == [
        *(("delt", 8, 3 * (8 + 7 + 6 + 5)), ("delt", 16, 3 * (16 + 14 + 12 + 10))),
        *(("cda", 8, 3 * 4 * 8), ("cda", 16, 3 * 4 * 16)),
    ]
    first = record["rows"][0]
    students = Run.open(answer["rows"][0]["evaluation"]).record().result["students"]
    assert first["top1_last_each"] == [student["top1_last"] for student in students]
    assert first["top1_best_each"] == [student["top1_best"] for student in students]
    assert first["top1_last"] == pytest.approx(mean(first["top1_last_each"]))
    assert first["top1_last_std"] == pytest.approx(stdev(first["top1_last_each"]))
    assert (record["dataset"], record["network"], record["width"]) == ("colours", "convnet-3", 0.0625)
    assert curves("colours")[0] == record == json.loads(file.read_text())
    assert "Images made as in DELT: the same settings; CDA: the same settings." in described(record)
    assert answer["notes"] == ["Images: all methods under the same settings, but for what makes each of them."]
    assert [line.split(",")[1:3] for line in table.read_text().splitlines()][:2] == [
        ["iterations", "round_iterations"],
        ["8", "1"],
    ]
    again = CliRunner().invoke(main, [*record["command"][1:], "--json", "-q"])  # the command that is told
    assert json.loads(again.stdout)["curve"]["rows"] == record["rows"]
    assert len(list_runs()) == 8


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--over-mi", "500,1000"),
            "over-mi: 500 given, but 8 must divide it, for RI is MI / 8; 496 or 504",
        ),
        (("--over-mi", "16"), "over-mi: 16 given, but it must be two or more MI, each once."),
        (("--over-mi", "8,many"), "over-mi: '8,many' given, but it must be whole numbers with commas between them."),
        (("--over-mi", "8,16", "--ri", "2"), "over-mi: given together with --ri, but it says MI and RI itself."),
        (("--over-mi", "8,16", "--methods", "rded"), "over-mi: 'rded' given as a method, but it optimises nothing"),
        (("--over-mi", "8,16", "--methods", "real"), "over-mi: 'real' given as a method, but it optimises nothing"),
        (("--over-mi", "8,16", "--students", "resnet18,convnet-3"), "over-mi: given together with students"),
        (("--out", "curve.json"), "out: 'curve.json' given without --over-mi, but it takes what --over-mi measures."),
    ],
)
def test_what_is_no_curve_is_refused_before_anything_runs(typed, words, said) -> None:
    assert said in typed(*words, code=2).output
    assert list_runs() == []
