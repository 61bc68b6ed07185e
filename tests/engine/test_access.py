"""What visitors of a shared server may name and change; on one's own machine everything may be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run
from small_pictures import folder

from delt_engine import access
from delt_engine.data import browse
from delt_engine.data.available import add_folder, forget_folder, known_folders, place_of
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.published_sets import read_foreign
from delt_engine.data.unpack import remove_upload, unpack_zip
from delt_engine.errors import AccessError, DataError, DeltError, RunError
from delt_engine.jobs import queue, space, start, tasks
from delt_engine.models.card import find_teacher
from delt_engine.models.held_out import second_dir
from delt_engine.patches.ranker import find_ranker
from delt_engine.paths import assets_dir
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run
from delt_engine.runs.titles import RunTitle, write_title
from delt_engine.training.label_facts import read_facts


@pytest.fixture
def shared(tmp_path, monkeypatch) -> Path:
    """A shared server with one root for data; beside it lie folders of its owner."""
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DELT_DATA", str(tmp_path / "data"))
    folder(tmp_path / "data" / "mine", 2)
    folder(tmp_path / "private", 2)
    make_finished_run(tmp_path / "private run")
    shutil.copy(next((assets_dir() / "teachers").glob("*.safetensors")), tmp_path / "net.safetensors")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "private")
    add_folder(tmp_path / "private")  # by its owner
    monkeypatch.setenv(access.SWITCH, "1")
    return tmp_path


DOORS = {
    "dataset": lambda path: load_dataset(str(path), 8),
    "list": add_folder,
    "browse": browse.look,
    "set": lambda path: read_foreign(path, 2, ((0.0,) * 3, (1.0,) * 3)),
    "zip": unpack_zip,
    "teacher": lambda path: find_teacher(f"{path}/x.pt"),
    "ranker": lambda path: find_ranker(f"{path}/x.csv", None),
    "labels": read_facts,
    "source": find_source,
}


@pytest.mark.parametrize("door", DOORS)
def test_a_visitor_names_nothing_outside_the_roots_and_learns_nothing_of_it(shared, door) -> None:
    ways = ("private", "data/../private", "data/link", "home/../private", "nothing")
    for path in (shared / way for way in ways):
        with pytest.raises(
            DeltError, match=r"outside the folders that (visitors of this server may name|can be looked)"
        ):
            DOORS[door](path)


def test_a_visitor_opens_what_lies_in_the_roots(shared) -> None:
    path = str(shared / "data" / "mine")
    assert load_dataset(path, 8).spec.num_classes == 2
    add_folder(path)
    assert known_folders() == (path,)  # not the owner's other one, which stays in the list
    assert {shared / "home" / "datasets", second_dir()} <= set(access.roots())  # networks of committees lie there
    assert Path.home().resolve() not in browse.roots()
    assert place_of(str(shared / "private")).state == "unusable"
    with pytest.raises(Exception, match="teacher: .*outside the folders"):
        find_teacher(str(shared / "net.safetensors"))
    forget_folder(path)
    access.os.environ[access.SWITCH] = "0"
    assert known_folders() == (str(shared / "private"),)
    assert find_teacher(str(shared / "net.safetensors")).is_file()


def test_a_visitor_opens_runs_of_the_server_only(shared) -> None:
    run = make_finished_run(shared / "home" / "runs" / "one")
    assert Run.open("one") == Run.open(run.path) == run
    for ref in (shared / "private run", "../../private run", shared / "home" / "runs" / ".." / ".." / "private run"):
        with pytest.raises(RunError, match="is neither a run folder"):
            Run.open(ref)


def test_what_is_no_path_is_outside(shared) -> None:
    for text in ("a\0b", "x" * 5000, "~nobody/x"):
        assert not access.is_allowed(f"/{text}")


def test_who_may_only_look_starts_deletes_and_uploads_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    run, half = make_finished_run(tmp_path / "runs" / "a"), make_half_done_run(tmp_path / "runs" / "b", alive=False)
    before = sorted(tmp_path.rglob("*"))

    def refuse(deed: str) -> None:
        raise AccessError(f"role: {deed}")

    access.set_guard(refuse)
    try:
        for deed in (
            lambda: start.start(fake_experiment()),
            lambda: start.retry(run),
            lambda: start.resume(half),
            lambda: start.cancel(half),
            lambda: start.pause(half),
            lambda: start.stop_hard(half),
            lambda: queue.move_up(half),
            lambda: space.delete(run),
            lambda: space.free(run, rounds=True),
            lambda: space.restore("a"),
            space.empty_trash,
            lambda: write_title(run, RunTitle("x")),
            lambda: tasks.start(tasks.task("read", "digits"), ["datasets", "digits"]),
            lambda: tasks.task("read", "digits").forget(),
            lambda: tasks.store_upload("a.zip", b"x"),
            lambda: add_folder(tmp_path),
            lambda: forget_folder(tmp_path),
            lambda: remove_upload(tmp_path / "datasets" / "a"),
        ):
            with pytest.raises(AccessError, match="role: "):
                deed()
    finally:
        access.set_guard(None)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_name_leads_to_the_folder_of_all_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    kept = make_finished_run(tmp_path / "runs" / "a")
    make_finished_run(tmp_path / "b")
    shutil.copy(tmp_path / "b" / "run.json", tmp_path)  # as if the home were a run
    with pytest.raises(RunError, match="only runs in"):
        space.delete(Run.open(".."))
    with pytest.raises(RunError):
        space.restore("..")
    assert kept.record().status == "finished"


def test_a_message_is_one_line_of_bounded_length() -> None:
    text = str(DataError("classes: a\nb\r\0c is not there; " + "x" * 5000 + " the end."))
    assert text.startswith("classes: a b c is not there; xxx")
    assert text.endswith("xxx the end.")
    assert " … " in text
    assert len(text) <= 602
