"""Run folders from random images, made in a blink and without torch: a finished one and a half-done one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import events_of_runs
import numpy as np

from delt_engine import files
from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.config.methods import METHOD_TITLES, is_optimised
from delt_engine.patches.selection import Patch, SelectedImage, write_selection
from delt_engine.runs import strips
from delt_engine.runs.predictions import write_predictions
from delt_engine.runs.processes import this_process
from delt_engine.runs.record import DatasetRecord, ProcessRecord, TeacherRecord, now
from delt_engine.runs.store import Run
from delt_engine.training.records import EvaluationResult, Source, StudentResult

CLASS_NAMES = ("astronaut", "cat", "coffee")


def dataset_record(
    name: str = "photos", class_names: tuple[str, ...] = CLASS_NAMES, size: int = 32, **values
) -> DatasetRecord:
    usual = {"title": name.capitalize(), "fingerprint": "f00d", "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    return DatasetRecord(name=name, class_names=class_names, image_size=size, **(usual | values))


def process_of(alive: bool) -> ProcessRecord:
    """This process, or one that is gone."""
    return this_process() if alive else this_process().model_copy(update={"created": 1.0})


def fake_experiment(
    method: str = "delt", ipc: int = 4, mi: int = 40, ri: int = 10, classes: tuple[str, ...] | None = None
) -> Experiment:
    """Settings as the app or the command line would make them."""
    rounds = {"iterations": mi, "round_iterations": ri} if is_optimised(method) else {}
    recover = {"ipc": ipc, **rounds}
    return Experiment.for_method(method, size=32, recover=recover, dataset="photos", device="cpu", classes=classes)


def prepare(
    path: Path, experiment: Experiment | None = None, class_names: tuple[str, ...] = CLASS_NAMES, size: int = 32
) -> Run:
    """A queued run that already knows its data and its selection."""
    experiment = experiment or fake_experiment()
    run = Run.create(path, experiment, command=["delt", "recover", "--dataset", "photos", "--out", str(path)])
    chosen = experiment.classes or class_names
    classes = tuple(class_names.index(name) for name in chosen)
    run.update(
        dataset=dataset_record(class_names=class_names, size=size),
        teacher=TeacherRecord(name="photos", network="resnet18", fingerprint="beef", accuracy=94.0),
        classes=classes,
        device="cpu",
        device_name="CPU",
        threads=2,
    )
    write_fake_selection(run)
    for class_index in classes:
        write_fake_round(run, class_index, 0)
    return run


def write_fake_selection(run: Run) -> None:
    """One random patch an image, as selection.csv holds them."""
    schedule, draw = run.experiment.recover.schedule, np.random.default_rng(0)
    starts = list(zip(schedule.start_rounds, schedule.image_iterations_each, strict=True))

    def patch(class_index: int, index: int) -> Patch:
        source = f"train/{run.class_names[class_index]}/{index:05d}"
        probability = round(float(draw.uniform()), 6)
        return Patch(class_index * 100 + index, source, (0, 0, 32, 32), class_index, probability, index)

    images = [
        SelectedImage(class_index, index, (patch(class_index, index),), start, iterations)
        for class_index in run.classes
        for index, (start, iterations) in enumerate(starts)
    ]
    write_selection(run.path / "selection.csv", images, run.class_names)


def fake_images(run: Run, class_index: int, round_number: int) -> np.ndarray:
    """Random images, the same for the same class and round; waiting ones as they start."""
    schedule, size = run.experiment.recover.schedule, run.image_size
    shape = (schedule.ipc, size, size, 3)
    images = np.random.default_rng([class_index, 0]).integers(0, 256, shape, dtype=np.uint8)
    joined = schedule.joined(round_number)
    moved = np.random.default_rng([class_index, round_number]).integers(0, 256, shape, dtype=np.uint8)
    images[:joined] = moved[:joined]
    return images


def write_fake_round(run: Run, class_index: int, round_number: int) -> None:
    strip = strips.join_strip(fake_images(run, class_index, round_number))
    files.write_bytes(run.snapshot_path(class_index, round_number), strips.png_bytes(strip, level=1))


def write_fake_events(run: Run, rounds: int) -> None:
    """Falling losses, three steps a round."""
    config = run.experiment.recover
    schedule, num_classes = config.schedule, len(run.classes)
    total, done, length = schedule.image_iterations(num_classes), 0, config.round_iterations
    for number in range(1, rounds + 1):
        joined = num_classes * schedule.joined(number)
        place = {"round": number, "rounds": schedule.num_rounds}
        for within in (part * (length - 1) // 2 for part in range(3)):
            iteration = (number - 1) * length + within
            ce_loss, bn_loss = round(2 / (1 + iteration), 5), round(30 / (2 + iteration), 5)
            total_loss = round(2 / (1 + iteration) + 0.3 / (2 + iteration), 5)
            losses = {"ce_loss": ce_loss, "bn_loss": bn_loss, "total_loss": total_loss, "joined": joined}
            when = {"t": round(iteration * 0.01, 3), "iteration": iteration, "iterations": config.iterations}
            work = {"image_iterations": done + joined * (within + 1), "image_iterations_total": total}
            run.event(events_of_runs.step(**place, **when, **losses, **work))
        done += joined * length
        when = {"t": round(number * 0.1, 3), "iteration": number * length}
        run.event(events_of_runs.round_written(**place, **when, classes=run.classes))


def make_finished_run(path: Path, experiment: Experiment | None = None, **shape) -> Run:
    """A run with every snapshot, its images and its measured cost."""
    run = prepare(path, experiment, **shape)
    schedule = run.experiment.recover.schedule
    run.set_status("running", started=now(), process=this_process())
    write_fake_events(run, schedule.num_rounds)
    for class_index in run.classes:
        for round_number in range(1, schedule.num_rounds + 1):
            write_fake_round(run, class_index, round_number)
        for index, image in enumerate(fake_images(run, class_index, schedule.num_rounds)):
            text = {
                "method": run.experiment.recover.method,
                "class": run.class_names[class_index],
                "index": index,
                "seed": 0,
                "start_round": schedule.start_rounds[index],
                "iterations": schedule.image_iterations_each[index],
            }
            files.write_bytes(run.image_path(class_index, index), strips.png_bytes(image, text))
    done = schedule.image_iterations(len(run.classes))
    run.set_status(
        "finished",
        finished=now(),
        seconds=2.0,
        image_iterations=done,
        image_iterations_per_second=done / 2,
        first_snapshot_seconds=0.1,
        process=None,
    )
    return run


def make_half_done_run(path: Path, experiment: Experiment | None = None, *, alive: bool = True, **shape) -> Run:
    """A run in the middle of its rounds: ``alive`` belongs to this process, else to one that is gone."""
    run = prepare(path, experiment, **shape)
    run.set_status("running", started=now(), process=process_of(alive))
    schedule = run.experiment.recover.schedule
    rounds = 0 if schedule.is_still else max(1, schedule.num_rounds // 2)  # one that optimises nothing has no steps
    write_fake_events(run, rounds)
    for class_index in run.classes:
        for round_number in range(1, rounds + 1):
            write_fake_round(run, class_index, round_number)
        strip = strips.join_strip(fake_images(run, class_index, rounds + 1))
        files.write_bytes(run.live_path(class_index), strips.png_bytes(strip, level=1))
    return run


def write_fake_predictions(run: Run, rounds: Sequence[int] | None = None) -> None:
    """What a teacher might say: surer with every round, of image 0 the surest."""
    schedule = run.experiment.recover.schedule
    for class_index in run.classes:
        for number in range(schedule.num_rounds + 1) if rounds is None else rounds:
            joined = schedule.joined(number) if number else schedule.ipc
            true = np.array([max(0.05, 0.9 * number / schedule.num_rounds - 0.1 * i) for i in range(joined)])
            others = len(run.class_names) - 1
            table = np.repeat((1 - true)[:, None] / others, others + 1, 1)
            table[:, class_index] = true
            write_predictions(run, [(class_index, index) for index in range(joined)], table, number)


def fake_student(seed: int, top1: float, epochs: int, num_classes: int, ema: bool = False) -> StudentResult:
    """A student whose accuracy rises to ``top1`` at the last epoch, one point above it just before."""
    tested = [epoch for epoch in range(1, epochs + 1) if epoch in (1, epochs) or epoch % 10 == 0]
    curve = tuple((epoch, round(top1 * epoch / epochs, 3)) for epoch in tested[:-2])
    curve += tuple(zip(tested[-2:], (top1 + 1, top1), strict=True))
    per_class = tuple(top1 + 10 * (number - (num_classes - 1) / 2) for number in range(num_classes))
    return StudentResult(
        seed=seed,
        top1_last=top1,
        top1_best=top1 + 1,
        best_epoch=tested[-2],
        top1_ema=top1 + 2 if ema else None,
        top1_ema_best=top1 + 2 if ema else None,
        top5_last=min(100.0, top1 + 30),
        per_class=per_class,
        curve=curve,
        ema_curve=curve if ema else (),
        seconds=float(epochs),
    )


def make_evaluation(
    path: Path,
    source: Run | str,
    top1: Sequence[float] = (40.0, 42.0, 44.0),
    *,
    recipe: str = "delt",
    epochs: int = 60,
    dataset: DatasetRecord | None = None,
    ema: bool = False,
    teacher: TeacherRecord | None = None,
    **settings,
) -> Run:
    """A finished evaluation of a run, or of the whole real set, with one student an accuracy."""
    usual = {"student": "resnet18", "student_width": 0.25, "student_stem": "small", "learning_rate": 0.001}
    config = EvaluateConfig.for_recipe(
        recipe, **({"epochs": epochs, "seeds": len(top1), "batch_size": 50} | usual | settings)
    )
    if isinstance(source, Run):
        record, recover = source.record(), source.experiment.recover
        data, title = dataset or record.dataset, METHOD_TITLES[recover.method]
        made = (recover.ipc * len(data.class_names), record.seconds, record.image_iterations)
        about = Source(source.id, f"{title}, IPC {recover.ipc}", recover.method, title, recover.ipc, *made)
        experiment = source.experiment.replace(evaluate=config)
    else:
        data, method = dataset or dataset_record(), "real" if source == "real" else "folder"
        title = METHOD_TITLES[method]
        about = Source(source, title, method, title, None, 500 * len(data.class_names))
        experiment = Experiment(dataset=data.name, device="cpu", evaluate=config)
    count = len(data.class_names)
    run = Run.create(path, experiment, "evaluate", ["delt", "evaluate", about.id], source=about.id)
    run.update(dataset=data, teacher=teacher, device="cpu", device_name="CPU", threads=2)
    run.set_status("running", started=now(), process=this_process())
    students = tuple(fake_student(seed, value, epochs, count, ema) for seed, value in enumerate(top1))
    write_fake_epochs(run, students, epochs)
    changes = {name: pair for name, pair in config.changes().items() if name not in ("batch_size", "learning_rate")}
    result = EvaluationResult(
        students=students,
        source=about,
        config=config,
        changes=changes,
        dataset=data.name,
        dataset_title=data.title,
        dataset_fingerprint=data.fingerprint,
        class_names=data.class_names,
        teacher="photos",
        teacher_fingerprint="beef",
        image_size=data.image_size,
        test_images=100 * count,
        seconds=float(epochs),
    )
    run.set_status("finished", finished=now(), seconds=float(epochs), result=result.summary(), process=None)
    return run


def write_fake_epochs(run: Run, students: Sequence[StudentResult], epochs: int, until: int | None = None) -> None:
    """Steps and epochs of students; of the last one up to epoch ``until``."""
    for number, student in enumerate(students):
        tested, of = dict(student.curve), {"student": number, "students": run.experiment.evaluate.seeds}
        last = epochs if until is None or number < len(students) - 1 else until
        for epoch in range(1, last + 1):
            when = {"epoch": epoch, "epochs": epochs, "t": float(number * epochs + epoch)}
            shared = {**of, **when, "loss": round(2 / epoch, 5), "learning_rate": 0.001}
            run.event(events_of_runs.student_step(**shared, step=2, steps=2))
            top1 = tested.get(epoch)
            run.event(events_of_runs.student_epoch(**shared, top1=top1, top5=top1, top1_ema=None))


def make_training(path: Path, source: Run, *, epochs: int = 60, until: int = 20, alive: bool = True) -> Run:
    """An evaluation in the middle of its second student of two."""
    experiment = source.experiment.replace(evaluate=EvaluateConfig(epochs=epochs, seeds=2, student="resnet18"))
    command = ["delt", "evaluate", source.id, "--epochs", str(epochs)]
    run = Run.create(path, experiment, "evaluate", command, source=source.id)
    run.update(dataset=source.record().dataset, device="cpu", device_name="CPU", threads=2)
    run.set_status("running", started=now(), process=process_of(alive))
    write_fake_epochs(run, [fake_student(seed, 40.0, epochs, 3) for seed in range(2)], epochs, until)
    return run
