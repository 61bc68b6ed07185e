"""``delt runs``, ``delt resume --takeover`` and ``delt chaos``: what is at work, what hangs, and what kills do."""

from __future__ import annotations

import json
import time

import psutil
import pytest
from fake_runs import make_finished_run, make_half_done_run
from real_processes import called
from waiting import wait_for

from delt_engine.jobs import start
from delt_engine.runs import heartbeat
from delt_engine.runs.heartbeat import Heartbeat
from delt_engine.runs.processes import is_running


@pytest.fixture
def own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_runs_are_listed_and_one_that_hangs_is_told(own_runs, delt, answer, refusal, monkeypatch) -> None:
    assert delt("runs").stdout == "There are no runs yet.\n"
    make_finished_run(own_runs / "done")
    hung = make_half_done_run(own_runs / "hung")
    Heartbeat(hung).beat()
    (hung.path / "log.txt").write_text("first\n\nlast words\n")
    now = time.monotonic()
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now + 130)
    found = {each["run"]: each for each in answer("runs")}
    assert (found["done"]["status"], found["done"]["no_sign_of_life_since"]) == ("finished", None)
    since = found["hung"]["no_sign_of_life_since"]
    said = delt("runs", "--active").stdout
    assert f"no sign of life since {since[11:16]}" in said
    assert "done" not in said
    assert delt("runs", "hung", "--lines", "1").stdout.splitlines()[-2:] == ["Last lines of its log:", "last words"]
    assert answer("runs", "hung")["log"] == ["first", "last words"]
    assert "neither a run folder" in refusal("runs", "absent", code=1)


def test_a_process_that_hangs_is_taken_over(own_runs, environment, same_environment, data) -> None:
    from delt_engine.cli.options import read_experiment
    from delt_engine.cli.recover import recover

    words = [*data, "--ipc", "2", "--mi", "400", "--ri", "200", "--classes", "red,blue"]
    experiment = read_experiment(recover.make_context("recover", words).params)
    run = start.start(experiment, own_runs / "a")
    wait_for(lambda: run.record().process and (run.path / "heartbeat").is_file())
    hung = run.record().process
    psutil.Process(hung.pid).suspend()
    refused = called(environment, "resume", run.path)
    assert (refused.returncode, "another process is at work on it" in refused.stderr) == (1, True)
    done = called(environment, "resume", run.path, "--takeover", "--json")
    assert json.loads(done.stdout)["status"] == "finished", done.stderr
    assert not is_running(hung)


def test_runs_that_are_killed_lose_nothing(environment) -> None:
    done = called(environment, "chaos", "--kills", 2, "--only", "worker", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["kills"], found["by_kind"]) == (2, {"worker": 2, "launcher": 0, "app": 0})
    assert found["images_checked"] >= 12
