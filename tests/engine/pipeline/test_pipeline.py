"""From queued to finished: what is left behind, what is refused, and how a run goes on."""

import errno
import os

import pytest
import torch
from tiny_data import tiny_dataset
from tiny_world import finished, run_until_stopped, stop_at

from delt_engine import files
from delt_engine.errors import CheckpointError, DataError, RunCancelled, RunError
from delt_engine.jobs import worker
from delt_engine.models import processor
from delt_engine.models.checkpoints import save_teacher
from delt_engine.models.teachers import load_teacher
from delt_engine.paths import teachers_dir
from delt_engine.pipeline import inputs
from delt_engine.pipeline.inputs import load_inputs
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.events import NoteEvent, RoundEvent, StatusEvent
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


def test_a_run_leaves_images_strips_events_and_a_record(world, settings) -> None:
    run = finished(world / "a", settings(seed=3))
    record = run.record()
    assert run.status == "finished"
    assert record.process is None
    assert record.image_iterations == settings().recover.schedule.image_iterations(3) == 60
    assert record.seconds > 0
    assert record.seconds == pytest.approx(60 / record.image_iterations_per_second, abs=6e-4)  # kept to milliseconds
    assert record.first_snapshot_seconds <= record.seconds
    assert (record.dataset.name, record.teacher.name, record.teacher.measured_accuracy) == ("colours", "colours", 100.0)
    assert (record.device, record.threads, record.seed) == ("cpu", torch.get_num_threads(), 3)
    assert record.created <= record.started <= record.finished
    left = {path.name for path in run.path.iterdir()}
    assert left >= {"run.json", "events.jsonl", "selection.csv", "images", "snapshots"}
    assert not left & {"checkpoint", "live", "control"}
    assert [run.rounds_written(class_index) for class_index in run.classes] == [[0, 1, 2, 3, 4]] * 3
    assert [event.status for event in run.events(StatusEvent)] == ["running", "finished"]


def test_a_run_has_the_threads_it_began_with_and_the_next_one_those_of_the_process(world, settings) -> None:
    seen = set()
    run = Run.create(world / "a", settings())
    own = torch.get_num_threads()
    run.update(threads=own + 1)  # as one that another process began
    run_experiment(run, report=lambda event: seen.add((event.kind, torch.get_num_threads())))
    assert ("round", own + 1) in seen
    assert (run.record().threads, torch.get_num_threads()) == (own + 1, own)
    assert finished(world / "b", settings()).record().threads == own


def test_a_run_does_not_go_on_with_other_data_or_another_teacher(world, settings, monkeypatch) -> None:
    run = Run.create(world / "a", settings())
    with monkeypatch.context() as patched:
        stop_at(patched, 1)
        run_until_stopped(run)
    with monkeypatch.context() as patched:
        other = tiny_dataset(train=25)
        object.__setattr__(other, "fingerprint", "another")
        patched.setattr(inputs, "load_dataset", lambda *a, **k: other)
        with pytest.raises(RunError, match="colours has changed since the run began"):
            run_experiment(run)
    teacher = load_teacher("colours", dataset=tiny_dataset())
    with torch.no_grad():
        next(teacher.network.parameters()).add_(0.5)
    save_teacher(teachers_dir() / "colours.safetensors", teacher.network, teacher.card)
    with pytest.raises(RunError, match="teacher colours has changed since the run began"):
        run_experiment(run)
    assert run.status == "failed"


def test_a_stop_request_from_before_is_not_taken_for_a_new_one(world, settings, monkeypatch) -> None:
    run = Run.create(world / "a", settings())
    with monkeypatch.context() as patched:
        stop_at(patched, 1)
        run_until_stopped(run)
    run.request("cancel")
    run_experiment(run)
    assert run.status == "finished"
    died = Run.create(world / "b", settings())  # its process was killed before it took the run and heard of it
    (died.path / "job.json").write_text(worker.this_process().model_copy(update={"created": 1.0}).model_dump_json())
    died.request("pause")
    run_experiment(died)
    assert died.status == "finished"


def test_a_run_that_waits_already_shows_what_it_starts_from(world, settings, monkeypatch) -> None:
    whole = finished(world / "whole", settings())
    run = Run.create(world / "a", settings())
    device = worker.DeviceLock("cpu")
    assert device.take()
    with monkeypatch.context() as patched:
        patched.setattr(worker.StopRequests, "asked", lambda self: "cancel" if run.latest_event(NoteEvent) else None)
        run_until_stopped(run)
    device.release()
    assert "Waiting for the device" in run.latest_event(NoteEvent).text
    assert (run.status, run.record().started) == ("cancelled", None)
    assert run.selection() == whole.selection()
    for class_index in run.classes:
        assert (run.snapshot_images(class_index, 0) == whole.snapshot_images(class_index, 0)).all()


def test_a_run_cancelled_before_it_began_makes_nothing(world, settings) -> None:
    run = Run.create(world / "a", settings())
    run.request("cancel")
    with pytest.raises(RunCancelled):
        run_experiment(run)
    assert run.status == "cancelled"
    assert not (run.path / "images").exists()


def test_who_listens_may_cancel(world, settings) -> None:
    run = Run.create(world / "a", settings())

    def stop(event) -> None:
        if isinstance(event, RoundEvent):
            raise RunCancelled("cancel")

    with pytest.raises(RunCancelled, match="it was cancelled"):
        run_experiment(run, report=stop)
    assert run.status == "cancelled"
    run_experiment(run)
    assert run.status == "finished"


def test_no_space_left_fails_with_a_sentence_and_nothing_half_written(world, settings, monkeypatch) -> None:
    run = Run.create(world / "a", settings())
    replace = os.replace

    def full(source, target):
        if "snapshots" in str(target) and "round-02" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "replace", full)
        with pytest.raises(RunError, match="there is no space left on the disk"):
            run_experiment(run)
    assert run.status == "failed"
    assert "no space left" in run.error
    assert not list(run.path.rglob("*.tmp"))
    run_experiment(run)
    assert run.status == "finished"


@pytest.mark.parametrize(("is_slow", "precision"), [(True, "bfloat16"), (False, "bfloat16"), (True, "auto")])
def test_a_run_in_imitated_bfloat16_is_warned(world, settings, monkeypatch, is_slow, precision) -> None:
    monkeypatch.setattr(processor, "has_slow_bfloat16", lambda: is_slow)
    record = finished(world / "a", settings(precision=precision)).record()
    warned = [note for note in record.notes if "times slower than float32 on this processor" in note]
    assert len(warned) == (is_slow and precision == "bfloat16")
    assert record.speed["precision"] == ("bfloat16" if precision == "bfloat16" else "float32")
    assert record.machine == processor.this_machine(record.threads)


def test_another_torch_than_before_is_noted(world, settings, monkeypatch) -> None:
    run = Run.create(world / "a", settings())
    with monkeypatch.context() as patched:
        stop_at(patched, 1)
        run_until_stopped(run)
    run.update(versions={**run.record().versions, "torch": "1.0"})
    run_experiment(run)
    assert "Begun with torch 1.0" in run.record().notes[0]
    assert run.record().versions["torch"] != "1.0"


def test_classes_are_numbered_and_the_teacher_is_found(world, settings) -> None:
    found = load_inputs(settings(classes=("blue", "red", "blue")))
    assert found.classes == (0, 2)
    assert found.card.name == "colours"
    assert found.teacher_ref == "colours"
    assert found.dataset_record.class_names == ("red", "green", "blue")
    assert found.dataset_record.image_size == 8
    assert load_inputs(settings()).classes == (0, 1, 2)


def test_a_teacher_without_a_name_is_found_again_by_its_file(world, settings, tiny_teacher) -> None:
    found = load_inputs(settings().replace(teacher=str(tiny_teacher)))
    assert found.teacher_ref == str(tiny_teacher)
    assert load_inputs(settings(), teacher=found.teacher_ref).teacher_path == tiny_teacher


def test_what_is_wrong_is_one_sentence(world, settings, monkeypatch) -> None:
    with pytest.raises(DataError, match="'pink' given, but colours has red, green, blue"):
        load_inputs(settings(classes=("pink",)))
    with pytest.raises(CheckpointError, match="'nobody' given, but no teacher has that name"):
        load_inputs(settings().replace(teacher="nobody"))
    monkeypatch.setattr(inputs, "load_dataset", lambda *a, **k: tiny_dataset(classes=2))
    with pytest.raises(CheckpointError, match="has 3 classes, but colours has 2"):
        load_inputs(settings())
