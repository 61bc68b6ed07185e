"""Runs as processes: started detached, asked to stop, started again, and honest about what died."""

import os
import stat
import sys
import threading

import psutil
import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run
from waiting import wait_for

from delt_engine.errors import RunError
from delt_engine.jobs import start
from delt_engine.jobs.worker import claimed
from delt_engine.runs.events import StatusEvent
from delt_engine.runs.processes import identity, this_process
from delt_engine.runs.store import Run
from delt_engine.runs.workers import FOLDER


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a shell script in the place of Python; it gets the arguments that Python would get."""

    def install(script: str) -> None:
        path = tmp_path / "program"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(path.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setattr(sys, "executable", str(path))

    return install


def test_the_process_goes_on_with_the_queued_run_and_is_detached(tmp_path, program) -> None:
    program('echo "$@"\nps -o sid= -p $$ || true\nexec sleep 30')
    run = start.start(fake_experiment(), tmp_path / "runs" / "a")
    worker = run.job_process()
    try:
        assert run.record().command == tuple(start.command_for(run.experiment, run.path))
        words = wait_for(lambda: (run.path / "log.txt").read_text().splitlines())
        assert words[0] == f"-m delt_engine resume {run.path} --quiet"
        assert os.getsid(worker.pid) == worker.pid  # a session of its own: nothing ends it with the caller
        assert start.is_alive(run)
        assert run.status == "queued"
    finally:
        psutil.Process(worker.pid).kill()
    wait_for(lambda: not start.is_alive(run))


def test_a_process_that_dies_at_once_is_failed_with_its_last_words(tmp_path, program) -> None:
    program('echo "no such module" >&2\nexit 3')
    run = start.start(fake_experiment(), tmp_path / "a")
    wait_for(lambda: run.status == "failed")
    assert run.error == "no such module"
    assert not start.is_alive(run)
    wait_for(lambda: not psutil.pid_exists(run.job_process().pid))  # nobody is left as a zombie


def test_a_process_that_cannot_be_started_is_a_sentence(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    with pytest.raises(RunError, match="its process cannot be started"):
        start.start(fake_experiment(), tmp_path / "a")
    assert Run(tmp_path / "a").status == "failed"


def test_who_is_alive_is_asked_and_who_is_gone_is_marked(tmp_path) -> None:
    alive = make_half_done_run(tmp_path / "a")
    start.pause(alive)
    assert (alive.requested(), alive.status) == ("pause", "running")
    start.cancel(alive)
    start.cancel(alive)
    assert (alive.requested(), alive.status) == ("cancel", "running")
    gone = make_half_done_run(tmp_path / "b", alive=False)
    start.cancel(gone)
    assert (gone.requested(), gone.status) == (None, "cancelled")
    done = make_finished_run(tmp_path / "c")
    start.cancel(done)
    start.pause(done)
    assert done.status == "finished"
    assert not (done.path / "control").exists()


def test_who_has_begun_in_the_meantime_is_asked_and_not_written_over(tmp_path) -> None:
    """One browser stops a broken run just when `delt resume` goes on with it."""
    run = make_half_done_run(tmp_path / "a", alive=False)
    with claimed(run):
        start.mark_stopped(run, "cancel")
        assert (run.requested(), run.record().status, run.record().process) == ("cancel", "queued", this_process())
    run.update(process=None)
    run.request(None)
    (run.path / "job.json").write_text(this_process().model_dump_json())  # started, and still loading
    start.mark_stopped(run, "pause")
    assert (run.requested(), run.record().status) == ("pause", "queued")


def test_a_run_that_waits_for_workers_who_never_come_can_be_stopped(tmp_path) -> None:
    run = Run.create(tmp_path / "a", fake_experiment())
    (run.path / FOLDER).mkdir(parents=True)
    assert run.status == "queued"
    start.cancel(run)
    assert (run.status, run.requested()) == ("cancelled", None)


def test_stopping_hard_ends_the_launcher_of_ranks_too(tmp_path, program) -> None:
    program("sleep 30 &\nwait\nsleep 30")
    run = start.start(fake_experiment(), tmp_path / "a")
    launcher = psutil.Process(run.job_process().pid)
    (rank,) = wait_for(launcher.children)
    run.update(process=identity(rank.pid), status="running")
    start.stop_hard(run)
    assert not psutil.wait_procs([rank, launcher], timeout=5)[1]
    assert run.status == "cancelled"


@pytest.mark.parametrize(("said", "is_ended"), [("running", True), ("finished", False)])
def test_who_waits_is_ended_but_not_who_writes_that_it_is_finished(tmp_path, monkeypatch, said, is_ended) -> None:
    run, ended = Run.create(tmp_path / "a", fake_experiment()), []
    run.update(status="running", process=this_process())
    (run.path / "job.json").write_text(this_process().model_dump_json())
    run.event(StatusEvent(status=said))
    monkeypatch.setattr(start, "end", lambda worker, **_: ended.append(worker))
    start.cancel(run)
    assert bool(ended) == is_ended
    assert run.record().status == ("cancelled" if is_ended else "running")


def test_who_was_started_by_hand_and_waits_is_woken_and_left_to_say_so(tmp_path, monkeypatch) -> None:
    run = Run.create(tmp_path / "a", fake_experiment())
    run.set_status("running", process=this_process())
    woken = []
    monkeypatch.setattr(start, "wake", woken.append)
    start.pause(run)
    assert (woken, run.requested(), run.record().status) == ([this_process()], "pause", "running")


def test_resume_starts_the_resume_command(tmp_path, program) -> None:
    program('echo "$@"\nexec sleep 30')
    run = make_half_done_run(tmp_path / "a", alive=False)
    run.request("cancel")
    (run.path / "job.json").write_text(identity(1).model_copy(update={"created": 1.0}).model_dump_json())
    start.resume(run)
    try:
        assert (run.status, run.requested(), run.error) == ("queued", None, None)
        words = wait_for(lambda: (run.path / "log.txt").read_text().splitlines())
        assert words == [f"-m delt_engine resume {run.path} --quiet"]
        with pytest.raises(RunError, match="it is queued; only a run that is paused"):
            start.resume(run)
    finally:
        psutil.Process(run.job_process().pid).kill()


def test_of_two_who_go_on_with_a_run_at_once_one_does(tmp_path, program) -> None:
    """Two browsers, one button: a second process would take the first one's place in run.json."""
    program("exec sleep 30")
    run, refused = make_half_done_run(tmp_path / "a", alive=False), []

    def go_on() -> None:
        try:
            start.resume(Run(run.path))
        except RunError as error:
            refused.append(str(error))

    others = [threading.Thread(target=go_on) for _ in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    psutil.Process(run.job_process().pid).kill()
    assert len(refused) == 3
    assert all("it is queued; only a run that is paused" in sentence for sentence in refused)
    assert [event.status for event in run.events(StatusEvent)].count("queued") == 1


def test_only_what_stopped_can_be_resumed(tmp_path) -> None:
    with pytest.raises(RunError, match="it is finished"):
        start.resume(make_finished_run(tmp_path / "a"))
    with pytest.raises(RunError, match="it is running"):
        start.resume(make_half_done_run(tmp_path / "b"))
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "run.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        start.resume(Run(tmp_path / "c"))
