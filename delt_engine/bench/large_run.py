"""A finished run of many images to measure the app with: random pictures, made in seconds, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from delt_engine import files
from delt_engine.config import Experiment, RecoverConfig
from delt_engine.patches.selection import Patch, SelectedImage, write_selection
from delt_engine.runs import strips
from delt_engine.runs.events import RoundEvent, StepEvent
from delt_engine.runs.export import image_text
from delt_engine.runs.image_facts import selected_of
from delt_engine.runs.processes import this_process
from delt_engine.runs.record import DatasetRecord, TeacherRecord, now
from delt_engine.runs.store import Run

SIZE, ROUNDS, ROUND_ITERATIONS = 32, 8, 100


def make_large_run(path: Path, *, num_classes: int = 1000, ipc: int = 50, has_images: bool = False) -> Run:
    """Make the run; all classes show the pictures of the first, by links. ``has_images`` writes the finished ones."""
    config = RecoverConfig(ipc=ipc, iterations=ROUNDS * ROUND_ITERATIONS, round_iterations=ROUND_ITERATIONS)
    run = Run.create(path, Experiment(dataset="large", device="cpu", recover=config), command=["delt", "recover"])
    names = tuple(f"class {number:04d}" for number in range(num_classes))
    run.update(
        dataset=DatasetRecord(
            name="large",
            title="Large",
            fingerprint="large",
            image_size=SIZE,
            class_names=names,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
        ),
        teacher=TeacherRecord(name="large", network="resnet18", fingerprint="large", accuracy=70.0),
        classes=tuple(range(num_classes)),
        device="cpu",
        device_name="CPU",
        threads=2,
    )
    write_selection(run.path / "selection.csv", _selected(run), names)
    _write_strips(run)
    if has_images:
        _write_images(run)
    run.set_status("running", started=now(), process=this_process())
    _write_events(run)
    run.set_status("finished", finished=now(), seconds=100.0, process=None)
    return run


def _selected(run: Run) -> list[SelectedImage]:
    schedule, draw, found = run.experiment.recover.schedule, np.random.default_rng(0), []
    for class_index in run.classes:
        for index, joins in enumerate(zip(schedule.start_rounds, schedule.image_iterations_each, strict=True)):
            image_id, prob = f"train/{class_index:04d}/{index:05d}", round(float(draw.uniform()), 6)
            patch = Patch(class_index * 100 + index, image_id, (0, 0, SIZE, SIZE), class_index, prob, index)
            found.append(SelectedImage(class_index, index, (patch,), *joins))
    return found


def _write_strips(run: Run) -> None:
    """Write the pictures of the first class, and link them for the others."""
    schedule, draw = run.experiment.recover.schedule, np.random.default_rng(0)
    images = draw.integers(0, 256, (schedule.ipc, SIZE, SIZE, 3), dtype=np.uint8)
    for number in range(ROUNDS + 1):
        joined = schedule.joined(number) if number else 0
        images[:joined] = draw.integers(0, 256, images[:joined].shape, dtype=np.uint8)
        files.write_bytes(run.snapshot_path(0, number), strips.png_bytes(strips.join_strip(images), level=1))
    _link(run, "snapshots")


def _write_images(run: Run) -> None:
    """Write the finished images of the first class with their settings, and link them for the others."""
    selected = {image.index: image for image in selected_of(run, 0)}
    for index, image_u8 in enumerate(run.snapshot_images(0, ROUNDS)):
        text = image_text(run, 0, index, ROUNDS, selected[index])
        files.write_bytes(run.image_path(0, index), strips.png_bytes(image_u8, text))
    _link(run, "images")


def _link(run: Run, kind: str) -> None:
    """Link the files of the first class for the others."""
    root, folders = run.path / kind, [run.class_folder(class_index) for class_index in run.classes]
    paths = sorted((root / folders[0]).iterdir())
    for name in folders[1:]:
        (root / name).mkdir(parents=True)
        for path in paths:
            (root / name / path.name).hardlink_to(path)


def _write_events(run: Run) -> None:
    schedule, classes = run.experiment.recover.schedule, len(run.classes)
    total, iterations = schedule.image_iterations(classes), run.experiment.recover.iterations
    for number in range(1, ROUNDS + 1):
        iteration, joined = number * ROUND_ITERATIONS, classes * schedule.joined(number)
        place: dict[str, Any] = {"t": float(number), "batch": 0, "batches": 1, "round": number, "rounds": ROUNDS}
        run.event(
            StepEvent(
                **place,
                iteration=iteration - 1,
                iterations=iterations,
                joined=joined,
                ce_loss=2 / number,
                bn_loss=30 / number,
                total_loss=2.3 / number,
                learning_rate=0.25,
                crop_min=0.5,
                image_iterations=total * number // ROUNDS,
                image_iterations_total=total,
            )
        )
        run.event(RoundEvent(**place, classes=run.classes, iteration=iteration))
