"""``delt bench rank``, ``evaluate`` and ``app`` as they are typed."""

from __future__ import annotations

import json

from click.testing import CliRunner

from delt_engine.bench import app, evaluate, rank
from delt_engine.cli import main


def typed(*words):
    return CliRunner().invoke(main, ["bench", *words])


def test_rank_prints_a_list_of_cases_or_a_table(monkeypatch):
    result = rank.RankResult("files-32", "Files", "cpu", 1, 10.0, 20.0, 2.0, 1e-6, 40.0, 30.0, 5.0, 60.0, 0)
    asked = []
    monkeypatch.setattr(rank, "bench_rank", lambda cases, **more: asked.append((cases, more)) or iter([result]))
    (record,) = json.loads(typed("rank", "--quick", "--case", "files-32", "--json").stdout)
    assert (record["case"], record["plain_rate"], record["fast_rate"], record["ratio"]) == ("files-32", 10.0, 20.0, 2.0)
    assert record["max_abs_diff"] == 1e-6
    assert asked[0][0] == rank.find_cases(["files-32"])
    assert (asked[0][1]["quick"], asked[0][1]["rounds"]) == (True, 1)
    table = typed("rank").stdout
    assert "Patches a second on cpu, 1 threads." in table
    assert asked[1][1]["rounds"] == 3


def test_evaluate_prints_a_list_of_cases(monkeypatch):
    result = evaluate.EvaluateResult("photos-soft", "Photos", "cpu", 1, 10.0, 15.0, 1.5, 1e-6)
    monkeypatch.setattr(evaluate, "bench_evaluate", lambda *_cases, **_more: iter([result]))
    (record,) = json.loads(typed("evaluate", "--json").stdout)
    assert record["ratio"] == 1.5


def test_app_says_what_is_slow_and_whether_torch_is_loaded(monkeypatch):
    results = [
        app.AppResult("cold start", 2.0, 0.2, 0.1, None, 5.0, None, 4.0, has_torch=True, has_error=False),
        app.AppResult("runs", 20.0, 10.0, 0.5, None, 0.1, 0.4, 0.5, has_torch=True, has_error=False),
    ]
    monkeypatch.setattr(app, "bench_app", lambda **_more: iter(results))
    said = typed("app", "--quick")
    assert said.exit_code == 0
    assert "The server's process has loaded torch." in said.stdout
    assert " no " in said.stdout
    records = json.loads(typed("app", "--json").stdout)
    assert [record["meets_goal"] for record in records] == [False, True]


def test_a_case_that_is_not_there_is_refused():
    refused = typed("rank", "--case", "none")
    assert refused.exit_code == 2
    assert "case: 'none' given, but it must be one of" in refused.stderr
