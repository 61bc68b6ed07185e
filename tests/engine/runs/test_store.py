"""The run folder: creating, taking over, opening, what it says of itself, and what it never does."""

import json
import os
import shutil

import pytest
from fake_runs import fake_experiment, fake_images, make_finished_run, make_half_done_run, prepare
from PIL import Image

from delt_engine import __version__, files
from delt_engine.errors import DataError, RunError
from delt_engine.runs import status, store
from delt_engine.runs.events import NoteEvent
from delt_engine.runs.processes import identity, this_process
from delt_engine.runs.record import (
    SCHEMA_VERSION,
    ProcessRecord,
    RunRecord,
    class_folders,
    now,
    read_record,
    with_absolute_paths,
)
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run, check_free, list_runs


def test_a_new_run_is_queued_and_says_what_it_is(tmp_path) -> None:
    run = Run.create(tmp_path / "a", fake_experiment(), command=["delt", "recover"])
    record = run.record()
    assert (run.status, record.id, record.kind, record.seed) == ("queued", "a", "recover", 0)
    assert record.experiment == fake_experiment()
    assert record.command == ("delt", "recover")
    assert set(record.versions) == {"delt", "python", "torch", "torchvision"}
    assert record.created.endswith("Z")
    assert json.loads((run.path / "run.json").read_text())["schema_version"] == SCHEMA_VERSION


def test_a_folder_in_use_is_refused_and_not_touched(tmp_path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        Run.create(tmp_path / "used", fake_experiment())
    with pytest.raises(RunError, match="is a file"):
        Run.create(tmp_path / "file", fake_experiment())
    assert list((tmp_path / "used").iterdir()) == [tmp_path / "used" / "notes.txt"]
    assert (tmp_path / "used" / "notes.txt").read_text() == "mine"
    (tmp_path / "b").mkdir()
    for name in ("log.txt", ".job.json.k3x_.tmp"):  # the app has begun to write
        (tmp_path / "b" / name).touch()
    run = Run.create(tmp_path / "b", fake_experiment())
    with pytest.raises(RunError, match="holds a recover run that is queued"):
        Run.create(tmp_path / "b", fake_experiment())
    os.utime(run.path / "run.json", (1, 1))
    assert run.status == "interrupted"  # nobody worked on it for a while


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_commands_at_once_one_gets_the_folder(tmp_path, monkeypatch, has_links) -> None:
    check = store.check_free

    def create_meanwhile(path) -> None:
        check(path)
        monkeypatch.setattr(store, "check_free", check)
        Run.create(path, fake_experiment().replace(seed=7))

    def refuse(*_) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(files.os, "link", refuse)
    monkeypatch.setattr(store, "check_free", create_meanwhile)
    with pytest.raises(RunError, match="holds a recover run that is queued"):
        Run.create(tmp_path / "a", fake_experiment())
    assert Run(tmp_path / "a").record().seed == 7
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["run.json"]


def test_a_finished_run_is_never_altered(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    for alter in (
        lambda: run.update(error="x"),
        lambda: run.event(NoteEvent(text="x")),
        lambda: run.set_status("cancelled"),
        lambda: Run.create(run.path, run.experiment),
    ):
        with pytest.raises(RunError, match="finished"):
            alter()
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_status_tells_a_process_that_is_gone(tmp_path) -> None:
    assert make_half_done_run(tmp_path / "a").status == "running"
    gone = make_half_done_run(tmp_path / "b", alive=False)
    assert gone.status == "interrupted"
    assert gone.record().status == "running"
    assert not gone.is_active
    assert gone.error == "The process is gone."
    (gone.path / "log.txt").write_text("round 2 of 4\n")
    assert gone.error == "The process is gone; its last words: round 2 of 4"
    gone.update(process=identity(os.getpid()).model_copy(update={"hostname": "another-machine"}))
    assert gone.status == "running"  # a process elsewhere cannot be asked


def test_a_process_that_wrote_its_end_while_one_looked_is_not_gone(tmp_path, monkeypatch) -> None:
    run = make_half_done_run(tmp_path / "a")
    monkeypatch.setattr(status, "is_running", lambda _: run.set_status("finished", process=None))
    assert run.status == "finished"


def test_a_run_that_is_deleted_while_one_looks_at_it_stops_nobody(tmp_path, monkeypatch) -> None:
    first, second = make_half_done_run(tmp_path / "a", alive=False), make_finished_run(tmp_path / "b")
    monkeypatch.setattr(status, "is_running", lambda _worker: shutil.rmtree(first.path) is not None)
    assert first.status == "unreadable"
    look = Run.record

    def record(run: Run) -> RunRecord:
        found = look(run)
        shutil.rmtree(run.path)
        return found

    monkeypatch.setattr(Run, "record", record)
    assert list_runs(tmp_path) == [second]


def test_a_process_that_died_before_it_wrote_anything_is_failed_with_its_last_words(tmp_path) -> None:
    run = Run.create(tmp_path / "a", fake_experiment())
    dead = this_process().model_copy(update={"created": 1.0})
    (run.path / "job.json").write_text(dead.model_dump_json())
    (run.path / "log.txt").write_text("Traceback\n  ...\nImportError: no torch\n\n")
    assert run.status == "failed"
    assert run.error == "ImportError: no torch"
    (run.path / "job.json").write_text(this_process().model_dump_json())
    assert run.status == "queued"
    assert run.error is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"id": "a"}', "experiment"),
        ('{"id": "a", "created": "2026", "experiment": {"seed": -1}}', "seed"),
        ('{"id": "a", "created": "2026", "experiment": {}, "status": "dreaming"}', "status"),
        ('{"id": "a", "created": "2026", "experiment": {}, "schema_version": 99}', "schema version 99"),
        (
            '{"schema_version": 2, "versions": {"delt": "0.9"}, "id": 3, "colour": 1, "size": 2}',
            "run.json is of version 0.9 (schema version 2), but this version of DELT Studio, "
            + __version__
            + ", reads up to schema "
            "version 1; unknown here: colour, size.",
        ),
    ],
)
def test_an_unreadable_run_is_listed_with_its_reason(tmp_path, text, words) -> None:
    good = make_finished_run(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text(text)
    (tmp_path / "no-run").mkdir()
    runs = list_runs(tmp_path)
    assert [run.id for run in runs] == ["good", "bad"]
    assert runs[0] == good
    assert runs[0].unreadable is None
    assert words in runs[1].unreadable
    assert "\n" not in runs[1].unreadable
    assert runs[1].status == "unreadable"
    assert runs[1].error == runs[1].unreadable
    with pytest.raises(RunError, match="run bad"):
        runs[1].record()


@pytest.mark.parametrize("name", ["~nobody/x", "x" * 300, "", "a\0b"])
def test_what_can_be_no_path_is_no_run_and_takes_none(tmp_path, name) -> None:
    with pytest.raises(RunError, match="neither a run folder"):
        Run.open(name)
    with pytest.raises(DataError, match="must be a run, a folder of images"):
        find_source(name)
    with pytest.raises(RunError, match="cannot be read"):
        check_free(tmp_path / ("x" * 300))
    experiment = fake_experiment().replace(dataset=name or "photos", teacher=name or "auto")
    assert with_absolute_paths(experiment) == experiment


def test_runs_are_listed_newest_first_and_opened_by_path_or_id(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_RUNS", str(tmp_path))
    for name, created in (("a", "2026-01-02T00:00:00.000Z"), ("b", "2026-01-03T00:00:00.000Z")):
        Run.create(tmp_path / name, fake_experiment()).update(created=created)
    assert [run.id for run in list_runs()] == ["b", "a"]
    assert Run.open("a") == Run.open(tmp_path / "a") == Run(tmp_path / "a")
    with pytest.raises(RunError, match="'?nothing'? is neither"):
        Run.open("nothing")
    assert list_runs(tmp_path / "absent") == []
    assert Run.open("photos-delt").experiment.recover.method == "delt"  # one that ships


def test_snapshots_and_images_are_found_by_class_and_round(tmp_path) -> None:
    run = make_finished_run(tmp_path / "a")
    assert run.rounds_written(1) == [0, 1, 2, 3, 4]
    assert run.snapshot_path(1, 3) == run.path / "snapshots" / "cat" / "round-03.png"
    assert (run.snapshot_images(1, 3) == fake_images(run, 1, 3)).all()
    assert run.image_path(2, 3) == run.path / "images" / "coffee" / "0003.png"
    assert run.image_path(2, 3).is_file()
    assert run.image_size == 32
    with pytest.raises(RunError, match="cannot be read"):
        run.snapshot_images(1, 9)
    with pytest.raises(RunError, match="class 7 given, but it has 3 classes"):
        run.image_path(7, 0)


def test_the_last_round_of_a_finished_run_is_shown_by_its_images(tmp_path) -> None:
    run, half = make_finished_run(tmp_path / "a"), make_half_done_run(tmp_path / "b")
    for number in (3, 4):
        run.snapshot_path(1, number).unlink()
    assert run.rounds_written(1) == [0, 1, 2, 4]
    assert run.snapshot_path(1, 4) == run.path / "images" / "cat"
    assert (run.snapshot_images(1, 4) == fake_images(run, 1, 4)).all()
    Image.new("RGB", (8, 8)).save(run.image_path(1, 2))
    with pytest.raises(RunError, match="holds 4 images, but a row takes some of one size"):
        run.snapshot_images(1, 4)
    half.image_path(1, 0).parent.mkdir(parents=True)  # of a run at work its images are not all there yet
    assert half.rounds_written(1) == [0, 1, 2]


def test_selection_is_read_back(tmp_path) -> None:
    run = prepare(tmp_path / "a")
    found = [(image.class_index, image.index, image.start_round) for image in run.selection()]
    assert found[:5] == [(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4), (1, 0, 1)]
    assert run.selection()[0].patches[0].source == "train/astronaut/00000"
    with pytest.raises(RunError, match="no selection.csv yet"):
        Run.create(tmp_path / "b", fake_experiment()).selection()


def test_stop_requests_go_through_the_control_file(tmp_path) -> None:
    run = Run.create(tmp_path / "a", fake_experiment())
    assert run.requested() is None
    run.request("pause")
    assert Run(run.path).requested() == "pause"
    run.request(None)
    run.request(None)
    assert run.requested() is None
    (run.path / "control").write_text("dance")
    assert run.requested() is None


def test_class_folders_keep_the_order_of_the_classes() -> None:
    assert class_folders(("airplane", "cat")) == ("airplane", "cat")
    assert class_folders(("cat", "airplane")) == ("0-cat", "1-airplane")
    assert class_folders(("a/b", "a:b")) == ("0-a_b", "1-a_b")
    assert class_folders(("", "..")) == ("0", "1")
    many = class_folders(tuple(f"class {99 - number}" for number in range(100)))
    assert list(many) == sorted(many)
    assert class_folders(("Cat", "cat"))[0] != class_folders(("Cat", "cat"))[1]


def test_paths_in_the_settings_are_given_in_full(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "net.pt").write_bytes(b"")
    full = with_absolute_paths(fake_experiment().replace(dataset="mine", teacher="net.pt"))
    assert (full.dataset, full.teacher) == (str(tmp_path / "mine"), str(tmp_path / "net.pt"))
    assert with_absolute_paths(fake_experiment()).dataset == "photos"


def record() -> RunRecord:
    return RunRecord(id="a", experiment=fake_experiment("cda", classes=("cat", "coffee")), created=now())


def test_a_record_is_read_back_as_it_was_written() -> None:
    written = record().changed(process=ProcessRecord(pid=1, created=2.5, hostname="here"), notes=("one",), threads=2)
    assert read_record(written.to_json(), "a") == written


def test_names_of_a_later_version_are_left_aside() -> None:
    values = {**json.loads(record().to_json()), "colour": "red"}
    assert read_record(json.dumps(values), "a") == record().changed(created=values["created"])


def test_changes_are_checked() -> None:
    assert record().changed(status="paused").status == "paused"
    with pytest.raises(RunError, match="no entry named 'colour'"):
        record().changed(colour="red")
    with pytest.raises(RunError, match="seconds"):
        record().changed(seconds="long")
