"""Tasks: a command in a process of its own, what it said, and why it failed."""

import json
import os
import threading
from types import SimpleNamespace

import pytest
from waiting import wait_for

from delt_engine.errors import DeltError
from delt_engine.jobs import tasks
from delt_engine.runs.processes import this_process


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    return tmp_path


def test_a_task_ends_with_the_object_the_command_printed_or_says_why_it_failed(home) -> None:
    work = tasks.task("read", "digits")
    assert work.state == "none"
    tasks.start(work, ["datasets", "digits"])
    wait_for(lambda: not work.is_running)
    assert (work.state, work.error) == ("done", "")
    assert work.result()["num_classes"] == 10
    work.forget()
    assert work.state == "none"
    tasks.start(work, ["datasets", str(home / "x")])
    wait_for(lambda: not work.is_running)
    assert (work.state, work.error) == ("failed", f"dataset: the folder {home / 'x'} does not exist.")


def test_progress_is_the_last_that_was_told(home) -> None:
    work = tasks.task("check", "a")
    work.path.mkdir(parents=True)
    assert work.progress() is None
    lines = [json.dumps({"what": "check", "done": done, "total": 9}) for done in (3, 6)]
    (work.path / "log.txt").write_text("a warning\n" + "\n".join(lines) + '\n{"what": "che')
    assert work.progress() == tasks.Progress("check", 6, 9)


def test_a_task_at_work_is_not_started_again_and_one_that_is_gone_is_named() -> None:
    work = tasks.task("check", "a")
    work.path.mkdir(parents=True)
    (work.path / "process.json").write_text(this_process().model_dump_json())
    assert tasks.start(work, ["no such command"]).state == "running"
    assert not (work.path / "log.txt").exists()
    (work.path / "process.json").write_text(this_process().model_copy(update={"created": 1.0}).model_dump_json())
    assert (work.state, work.error) == ("failed", "The process ended without a word.")


def test_of_two_who_start_a_task_at_once_one_does(home, monkeypatch) -> None:
    """Two browsers: both processes would write into the same result."""
    work, both, began = tasks.task("read", "a"), threading.Barrier(2), []

    def check_change(deed: str) -> None:
        if deed == "start work":
            both.wait(timeout=60)  # both have seen that nobody is at work

    def start_child(words, *_: object) -> SimpleNamespace:
        began.append(words)
        return SimpleNamespace(pid=os.getpid())

    monkeypatch.setattr(tasks.access, "check_change", check_change)
    monkeypatch.setattr(tasks, "start_child", start_child)
    browsers = [threading.Thread(target=tasks.start, args=(work, ["datasets"])) for _ in range(2)]
    for browser in browsers:
        browser.start()
    for browser in browsers:
        browser.join()
    assert (len(began), work.state) == (1, "running")
    monkeypatch.undo()
    monkeypatch.setenv("DELT_HOME", str(home))
    assert tasks.start(work, ["datasets"]).is_running
    with pytest.raises(DeltError, match="teachers: another one is at work here just now"):
        tasks.start(work, ["teachers"])


def test_uploads_that_go_while_they_are_counted_are_passed_over(home, monkeypatch) -> None:
    old = tasks.store_upload("a.zip", b"a")
    listed = [old, home / "uploads" / "gone.zip"]
    monkeypatch.setattr(tasks.Path, "rglob", lambda *_: iter(listed))
    monkeypatch.setattr(tasks.Path, "is_file", lambda _path: True)  # it was, a moment ago
    assert tasks.store_upload("b.zip", b"b").read_bytes() == b"b"


def test_an_upload_stays_in_its_folder(home) -> None:
    path = tasks.store_upload("../../evil.pt", b"1")
    assert (path.parent.parent, path.name) == (home / "uploads", "evil.pt")
    assert path.read_bytes() == b"1"
    assert tasks.store_upload("C:\\x\\net.pth", b"2").name == "net.pth"
    assert tasks.store_upload("--a\0b\n.zip", b"3").name == "a_b_.zip"
    assert len(tasks.store_upload("x" * 300 + ".zip", b"4").name) == 100
    with pytest.raises(DeltError, match="needs a name"):
        tasks.store_upload("..", b"")


def test_uploads_of_yesterday_go_and_rankings_stay_and_too_many_are_refused(home, monkeypatch) -> None:
    old, ranking, new = (tasks.store_upload(name, name.encode()) for name in ("a.zip", "b.csv", "c.zip"))
    for path in (old, ranking):
        os.utime(path, (1.0, 1.0))
    tasks.store_upload("d.zip", b"d")
    assert [path.exists() for path in (old, ranking, new)] == [False, True, True]
    assert not old.parent.exists()
    monkeypatch.setattr(tasks, "MOST_UPLOADS", 3)
    with pytest.raises(DeltError, match="3 uploads of 0.0 GB are kept, and at most 3 of 20 GB may be"):
        tasks.store_upload("e.zip", b"e")
    tasks.drop_upload(home / "folders.json")  # none
    tasks.drop_upload(new)
    monkeypatch.setattr(tasks, "MOST_BYTES", 10)
    with pytest.raises(DeltError, match="2 uploads"):
        tasks.store_upload("e.zip", b"e" * 10)
