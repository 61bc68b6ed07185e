"""The evaluate stage: students of a run, a folder and all real images; the same numbers wherever it was stopped."""

import shutil
from operator import itemgetter

import pytest
import torch
from tiny_world import finished, run_until_stopped

from delt_engine.config import EvaluateConfig
from delt_engine.errors import RunError
from delt_engine.jobs import worker
from delt_engine.jobs.evaluations import Evaluation, evaluation_experiment, evaluations
from delt_engine.pipeline import evaluate
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.events import NoteEvent, StudentEpochEvent, StudentEvent, TimedEvent
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run
from delt_engine.training.image_table import from_run

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

SHORT = EvaluateConfig(epochs=4, validate_every=2, rand_augment="none", seeds=2)


@pytest.fixture
def source(world, settings) -> Run:
    return finished(world / "home" / "runs" / "source", settings("random", seed=5))


def queued(path, source: Run | str, config: EvaluateConfig = SHORT, **changes) -> Run:
    found = find_source(source.path if isinstance(source, Run) else source)
    return Run.create(path, evaluation_experiment(found, config, **changes), "evaluate", source=found.ref)


def evaluated(path, source: Run | str, config: EvaluateConfig = SHORT, **changes) -> Run:
    run = queued(path, source, config, **changes)
    run_experiment(run)
    return run


def bytes_of(run: Run) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def without_times(result: dict) -> dict:
    plain = {name: value for name, value in result.items() if name != "seconds"}
    return {**plain, "students": [{**each, "seconds": 0} for each in result["students"]]}


def test_the_result_says_what_was_trained_on_what(world, source) -> None:
    before = bytes_of(source)
    run = evaluated(world / "a", source)
    result = run.record().result
    assert (result["source"], result["method"], result["method_title"]) == ("source", "random", "Random real")
    assert (result["ipc"], result["images"]) == (4, 12)
    assert (result["source_title"], result["recipe"], result["is_shortened"]) == ("Random real, IPC 4", "delt", True)
    assert (result["student"], result["student_width"], result["epochs"]) == ("convnet-3", 0.0625, 4)
    assert result["changes"]["epochs"] == [300, 4]
    assert run.record().teacher == source.record().teacher
    assert result["teacher_fingerprint"] == source.record().teacher.fingerprint
    assert (result["dataset_fingerprint"], result["test_images"], result["image_size"]) == ("tiny", 36, 8)
    assert result["chance"] == pytest.approx(100 / 3)
    assert result["seeds"] == [5, 6]  # the run's own seed, and the next one
    assert (result["image_iterations"], result["synthesis_seconds"]) == (0, source.record().seconds)
    assert result["top1_last"] == pytest.approx(sum(each["top1_last"] for each in result["students"]) / 2)
    assert [epoch for epoch, _ in result["students"][1]["curve"]] == [1, 3, 4]
    assert bytes_of(source) == before
    assert not (run.path / "checkpoint").exists()
    epochs = run.events(StudentEpochEvent)
    numbers = [(student, 2, epoch, 4) for student in range(2) for epoch in range(1, 5)]
    assert [(event.student, event.students, event.epoch, event.epochs) for event in epochs] == numbers
    assert [event.top1 is None for event in epochs[:4]] == [False, True, False, False]
    times = [event.t for event in run.events(TimedEvent)]
    assert times == sorted(times)
    assert [event.top1_last for event in run.events(StudentEvent)] == [each["top1_last"] for each in result["students"]]


@pytest.mark.parametrize("stop", [(0, 2), (1, 1), (1, 3)])
def test_stopped_anywhere_it_ends_in_the_same_numbers(world, source, monkeypatch, stop) -> None:
    whole = evaluated(world / "whole", source)
    run = queued(world / "a", source)
    with monkeypatch.context() as patched:
        stop_at(patched, *stop)
        run_until_stopped(run)
    assert run.status == "paused"
    assert [event.student for event in run.events(StudentEvent)] == [0] * stop[0]
    before = len(run.events(StudentEpochEvent))
    run_experiment(run)
    went_on = run.events(StudentEpochEvent)[before]
    assert (went_on.student, went_on.epoch) == (stop[0], stop[1] + 1)
    assert without_times(run.record().result) == without_times(whole.record().result)


def stop_at(monkeypatch, student: int, epoch: int) -> None:
    """Ask for a pause in the last step of an epoch."""
    train = evaluate.evaluate

    def watched(*args, **kwargs):
        for record in train(*args, **kwargs):
            place = (getattr(record, "student", -1), getattr(record, "epoch", -1))
            if place == (student, epoch):
                monkeypatch.setattr(worker.StopRequests, "asked", lambda self: "pause")
            yield record

    monkeypatch.setattr(evaluate, "evaluate", watched)


def test_all_real_images_and_a_folder_of_images(world, source, settings) -> None:
    real = evaluated(world / "real", "real", SHORT.replace(seeds=1), dataset="colours", device="cpu")
    result = real.record().result
    assert (result["source"], result["method"], result["ipc"], result["images"]) == ("real", "real", 24, 72)
    assert (result["synthesis_seconds"], result["teacher"]) == (None, real.record().teacher.name)
    folder = world / "pictures"
    shutil.copytree(source.path / "images", folder)
    own = evaluated(world / "folder", folder, SHORT.replace(seeds=1), dataset="colours", device="cpu", seed=5)
    told, of_run = own.record().result, evaluated(world / "of-run", source, SHORT.replace(seeds=1)).record().result
    assert (told["source"], told["method"], told["ipc"]) == (str(folder), "folder", 4)
    assert told["top1_last"] == of_run["top1_last"]  # the same images, so the same student
    assert told["students"][0]["curve"] == of_run["students"][0]["curve"]


def test_some_classes_are_trained_and_tested_alone(world, settings) -> None:
    run = finished(world / "some", settings("random", classes=("green", "blue")))
    result = evaluated(world / "a", run, SHORT.replace(seeds=1)).record().result
    assert (result["class_names"], result["chance"], result["test_images"]) == (["green", "blue"], 50, 24)
    real = evaluated(world / "real", "real", SHORT.replace(seeds=1), dataset="colours", classes=("green", "blue"))
    assert (real.record().result["images"], real.record().result["test_images"]) == (48, 24)
    assert from_run(run).class_names == ("green", "blue")


def test_hard_labels_and_a_named_student_need_no_teacher(world, source) -> None:
    config = EvaluateConfig.for_recipe("hard", epochs=1, student="convnet-3", student_width=0.0625)
    shutil.rmtree(world / "home" / "teachers")
    result = evaluated(world / "a", source, config).record().result
    assert (result["teacher"], result["labels"]) == (None, "hard")


def test_another_teacher_than_the_images_were_made_with_is_refused(world, source, settings) -> None:
    from delt_engine.models.card import read_card
    from delt_engine.models.checkpoints import save_teacher
    from delt_engine.models.teachers import load_teacher

    path = world / "home" / "teachers" / "colours.safetensors"
    teacher = load_teacher(str(path))
    with torch.no_grad():
        next(teacher.network.parameters()).add_(1)
    save_teacher(path, teacher.network, read_card(path))
    run = queued(world / "a", source)
    with pytest.raises(RunError, match="teacher: colours is not the one any more that run source was made with"):
        run_experiment(run)


def test_finished_evaluations_are_found_by_their_source(world, source) -> None:
    run = evaluated(world / "home" / "runs" / "b", source, SHORT.replace(seeds=1))
    queued(world / "home" / "runs" / "c", source)
    own = [found for found in evaluations() if found.run.path.is_relative_to(world)]
    assert own == [Evaluation(run, run.record().result)]
    assert [found.run for found in evaluations() if found.source == "source"] == [run]
    assert "photos-cda" in {found.source for found in evaluations()}  # one that ships


def without_time(event) -> dict:
    return event.model_dump(exclude={"t", "time", "seconds"})


BESIDE = SHORT.replace(seeds=3, students_at_once=2)


def test_students_side_by_side_end_in_the_numbers_of_those_trained_in_turn(world, source) -> None:
    alone = evaluated(world / "alone", source, SHORT.replace(seeds=3))
    run = evaluated(world / "a", source, BESIDE)
    assert without_times(run.record().result) == without_times(alone.record().result)
    for kind in (StudentEpochEvent, StudentEvent):
        plain, beside = (
            sorted(map(without_time, each.events(kind)), key=itemgetter("student")) for each in (alone, run)
        )
        assert plain == beside  # of each student in the same order
    order = [event.student for event in run.events(StudentEpochEvent)]
    assert order == [0, 1] * 4 + [2] * 4
    times = [event.t for event in run.events(TimedEvent)]
    assert times == sorted(times)
    assert [note.text for note in run.events(NoteEvent)] == ["2 students are trained side by side."]
    assert not (run.path / "checkpoint").exists()


@pytest.mark.parametrize("stop", [(0, 2), (2, 1)])
def test_side_by_side_a_pause_waits_for_the_end_of_every_epoch(world, source, monkeypatch, stop) -> None:
    whole = evaluated(world / "whole", source, BESIDE)
    run = queued(world / "a", source, BESIDE)
    with monkeypatch.context() as patched:
        stop_at(patched, *stop)
        run_until_stopped(run)
    before = len(run.events(StudentEpochEvent))
    run_experiment(run)
    went_on = {event.student: event.epoch for event in reversed(run.events(StudentEpochEvent)[before:])}
    beside = (2,) if stop[0] == 2 else (0, 1)
    assert {number: went_on[number] for number in beside} == dict.fromkeys(beside, stop[1] + 1)
    assert without_times(run.record().result) == without_times(whole.record().result)


def test_out_of_memory_half_as_many_go_on_from_their_states(world, source, monkeypatch) -> None:
    whole = evaluated(world / "whole", source, SHORT)
    train = evaluate.evaluate

    def full(*args, **kwargs):
        for record in train(*args, **kwargs):
            if kwargs["shared"] and kwargs["number"] == 1:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            yield record

    monkeypatch.setattr(evaluate, "evaluate", full)
    run = evaluated(world / "a", source, SHORT.replace(students_at_once=2))
    assert "Out of memory with 2 students at once: going on with 1." in [note.text for note in run.events(NoteEvent)]
    assert without_times(run.record().result) == without_times(whole.record().result)


def test_memory_that_has_no_room_for_all_is_said(world, source, monkeypatch) -> None:
    monkeypatch.setattr("delt_engine.training.side_by_side.student_bytes", lambda *_: 8 * 2**20)
    monkeypatch.setattr("delt_engine.training.side_by_side.free_memory", lambda _: 21 * 2**20)
    run = evaluated(world / "a", source, SHORT.replace(epochs=1, seeds=3, students_at_once=3))
    assert [note.text for note in run.events(NoteEvent)] == [
        "2 of 3 students at once: one takes about 8 MB, and 21 MB are free."
    ]
