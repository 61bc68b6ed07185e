"""Signs of life: left now and then, missed after a while, by a clock that nobody can set."""

import json
import time
from datetime import datetime, timedelta

import pytest
from fake_runs import fake_experiment, make_half_done_run

from delt_engine.errors import RunError
from delt_engine.jobs import start, watchdog
from delt_engine.runs import heartbeat
from delt_engine.runs.heartbeat import Heartbeat, silence, silent_since
from delt_engine.runs.processes import RANKS_FOLDER, this_process
from delt_engine.runs.store import Run


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    return make_half_done_run(tmp_path / "a")


def later(monkeypatch, seconds: float) -> None:
    now = time.monotonic()
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now + seconds)


def test_a_sign_is_left_every_few_seconds_and_goes_with_the_process(run, monkeypatch) -> None:
    own = Heartbeat(run)
    own.end()
    assert silence(run) is None  # a run from before there were signs
    own.beat()
    first = own.path.read_bytes()
    own.beat()
    assert own.path.read_bytes() == first
    later(monkeypatch, 6)
    own.beat()
    assert own.path.read_bytes() != first
    own.end()
    assert not own.path.exists()


def test_silence_is_told_by_a_clock_that_nobody_sets(run, monkeypatch) -> None:
    Heartbeat(run).beat()
    monkeypatch.setattr(heartbeat.time, "time", lambda: 0.0)  # as after a reset battery
    assert silence(run) < 60
    assert silent_since(run) is None
    monkeypatch.undo()
    later(monkeypatch, 130)
    assert silence(run) == pytest.approx(130, abs=1)
    assert abs(datetime.now() - timedelta(seconds=130) - silent_since(run)) < timedelta(seconds=2)
    run.set_status("paused", process=None)
    assert silent_since(run) is None


def test_the_rank_that_is_silent_longest_counts_and_what_is_old_or_odd_does_not(run, monkeypatch) -> None:
    (run.path / RANKS_FOLDER).mkdir()
    Heartbeat(run, rank=1).beat()
    later(monkeypatch, 50)
    Heartbeat(run).beat()
    assert silence(run) == pytest.approx(50, abs=1)
    (run.path / RANKS_FOLDER / "heartbeat-2").write_text("{")
    sign = json.loads((run.path / "heartbeat").read_text())
    (run.path / "heartbeat").write_text(json.dumps({**sign, "pid": sign["pid"] + 1, "monotonic": 0.0}))
    assert silence(run) == pytest.approx(50, abs=1)


def test_a_folder_that_is_gone_does_not_come_back(tmp_path) -> None:
    Heartbeat(Run(tmp_path / "gone")).beat()
    assert not (tmp_path / "gone").exists()


def test_a_process_elsewhere_counts_as_gone_once_it_is_silent(run, monkeypatch) -> None:
    run.update(process=this_process().model_copy(update={"hostname": "node7", "pid": 11}))
    sign = {"pid": 11, "host": "node7", "boot": "x", "monotonic": 5.0}
    (run.path / "heartbeat").write_text(json.dumps(sign))
    with pytest.raises(
        RunError, match=r"^run a: its process 11 is on node7, so it cannot be ended from here; it counts"
    ):
        watchdog.free(run)
    now = time.time()
    monkeypatch.setattr(heartbeat.time, "time", lambda: now + 121)
    assert watchdog.is_silent(run)
    monkeypatch.setattr(start, "_spawn", lambda run: None)
    watchdog.end_and_resume(run)
    assert (run.record().status, run.record().process) == ("queued", None)


def test_who_works_on_nothing_is_left_alone(tmp_path) -> None:
    run = Run.create(tmp_path / "a", fake_experiment())
    run.set_status("paused")
    watchdog.free(run)
    assert run.record().status == "paused"
