"""A process is known by its number, its start and its machine."""

import os
import shutil
import subprocess
import sys

import psutil
from waiting import wait_for

from delt_engine.runs.processes import end, identity, is_running, memory_bytes, remove_ranks, this_process


def test_this_process_runs_and_one_that_began_at_another_time_does_not() -> None:
    own = this_process()
    assert own.pid == os.getpid()
    assert is_running(own)
    assert is_running(own.model_copy(update={"created": own.created + 1}))  # the clock may have been set
    assert not is_running(own.model_copy(update={"created": own.created - 60}))


def test_a_clock_that_is_set_takes_no_process_for_another(monkeypatch) -> None:
    own, booted = this_process(), psutil.boot_time()
    create_time = psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: booted - 7200)  # two hours back: all times move with it
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create_time(process) - 7200)
    assert is_running(own)
    assert not is_running(own.model_copy(update={"boot": "another start", "booted": booted - 7200}))
    assert not is_running(own.model_copy(update={"boot": ""}))  # as of version 0.1.0, which knew the clock alone


def test_a_process_that_ended_does_not_run_even_while_nobody_waited_for_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = identity(child.pid)
    assert is_running(process)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert not is_running(process)
    child.wait()
    assert not is_running(process)
    assert identity(child.pid).created == 0.0


def test_a_process_of_another_machine_is_taken_to_run() -> None:
    assert is_running(this_process().model_copy(update={"hostname": "elsewhere", "pid": 1, "created": 0.0}))


def test_a_process_and_its_children_are_measured_and_ended() -> None:
    script = "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    script += "subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
    started = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    started.stdout.readline()
    process = identity(started.pid)
    family = [identity(child.pid) for child in psutil.Process(started.pid).children()]
    psutil.Process(started.pid).suspend()
    wait_for(lambda: psutil.Process(started.pid).status() == psutil.STATUS_STOPPED)  # it takes no more from now on
    assert memory_bytes(process) == psutil.Process(started.pid).memory_info().rss > 0
    end(process, patience=0.05)  # it does not listen
    assert not is_running(process)
    assert family
    assert not any(is_running(child) for child in family)
    assert memory_bytes(process) is None
    end(process)  # once more does no harm
    started.stdout.close()


def test_a_sign_of_life_that_comes_while_ranks_are_removed_goes_as_well(tmp_path, monkeypatch) -> None:
    signs = iter(["heartbeat-1"])

    def rmtree(folder, ignore_errors) -> None:
        for sign in signs:  # the folder was empty a moment ago, and cannot go now
            (folder / sign).write_text("alive")
            return
        removed(folder, ignore_errors=ignore_errors)

    removed = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    (tmp_path / "ranks").mkdir()
    remove_ranks(tmp_path)
    assert not (tmp_path / "ranks").exists()
