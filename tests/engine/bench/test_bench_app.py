"""The benchmark of the app: a run to look at, a real server that is visited, and what is made of the times."""

from __future__ import annotations

import socket

import pytest

from delt_engine.bench.app import PAGES, _results, _Session, _session, free_port
from delt_engine.bench.large_run import make_large_run
from delt_engine.errors import RunError
from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run


def test_the_large_run_is_a_finished_run(tmp_path):
    make_large_run(tmp_path / "run", num_classes=3, ipc=8)
    run = Run.open(tmp_path / "run")
    assert run.status == "finished"
    assert len(run.selection()) == 24
    assert run.rounds_written(2) == list(range(9))
    assert run.snapshot_images(2, 8).shape == (8, 32, 32, 3)
    assert run.latest_event(StepEvent).image_iterations == run.experiment.recover.schedule.image_iterations(3)


def test_a_server_is_started_visited_and_ended(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text('import streamlit as st\n\nst.write("Hello")\n', encoding="utf-8")
    session = _session(script, tmp_path, ())
    assert [visit["page"] for visit in session.visits] == [""]
    assert session.visits[0]["has_error"] is False
    assert session.cold_s > session.visits[0]["seconds"] > 0
    assert session.has_torch in (False, None)


def test_a_free_port_is_given_to_nobody_else_and_a_server_can_have_it():
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("localhost", port))  # as the system sees whoever asks for any port
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("localhost", port))
        server.listen()


def test_a_server_that_cannot_start_is_told(tmp_path):
    with pytest.raises(RunError, match="app: the server did not start"):
        _session(tmp_path / "none.py", tmp_path, ())


def test_times_become_results():
    def visit(page, seconds, has_error=False):
        return {"page": page, "seconds": seconds, "bytes": 1, "has_error": has_error}

    plain = _Session(0.5, (visit("", 0.1), visit("", 0.05)), has_torch=False)
    visits = [visit("", 0.4), *(visit(page, 2.0) for page in PAGES), *(visit(page, 0.1) for page in PAGES)]
    visits += [visit("gallery", 0.8, has_error=True), visit("gallery", 0.9)]
    cold, *pages = _results([plain], [_Session(2.0, tuple(visits), has_torch=False)])
    assert (cold.case, cold.seconds, cold.plain_rate, cold.ratio) == ("cold start", 2.0, 2.0, 0.25)
    assert cold.to_record()["meets_goal"] is True
    by_name = {result.case: result for result in pages}
    assert list(by_name) == list(PAGES)
    assert by_name["runs"].seconds == 0.1
    assert by_name["runs"].first_seconds == 2.0
    assert by_name["runs"].ratio == pytest.approx(0.5)
    assert by_name["gallery"].has_error is True
    assert by_name["gallery"].to_record()["meets_goal"] is False
