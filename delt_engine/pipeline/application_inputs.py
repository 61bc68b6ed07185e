"""What applications of a set of images have in common: its device, teacher and labels, its facts and its key."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from delt_engine.config import Experiment
from delt_engine.config.students import RECIPE_TITLES, EvaluateConfig
from delt_engine.data.dataset import Dataset
from delt_engine.errors import DataError, RunCancelled, RunError, RunPaused
from delt_engine.jobs.worker import DeviceLock, StopRequests, device_lock_name, listening
from delt_engine.models.card import columns_of, find_other, find_teacher
from delt_engine.models.processor import this_machine
from delt_engine.models.teachers import Teacher, load_teacher
from delt_engine.pipeline.inputs import Inputs
from delt_engine.runs.record import versions
from delt_engine.runs.sources import Source, needs_teacher
from delt_engine.training.image_table import ImageTable
from delt_engine.training.records import Source as DescribedSource

Report = Callable[[str, int, int], None]
"""Takes what is done, how much of it, and of how much."""


@contextlib.contextmanager
def holding(device: torch.device, kept: str) -> Iterator[StopRequests]:
    """Wait for the device and hold it; a request to stop becomes one sentence that begins with what is ``kept``."""
    lock = DeviceLock(device_lock_name(str(device)))
    with listening(None) as stop:
        try:
            lock.wait(stop.check)
            try:
                yield stop
            finally:
                lock.release()
        except RunCancelled as stopped:
            kind = RunPaused if str(stopped) == "pause" else RunCancelled
            raise kind(f"{kept}, and the same command goes on.") from None


def check_all_classes(source: Source, train: ImageTable, dataset: Dataset, why: str) -> None:
    """Refuse images of some classes; ``why`` ends the sentence.

    Raises:
        DataError: not all classes of the dataset, in its order.
    """
    spec = dataset.spec
    if train.class_names != tuple(spec.class_names):
        raise DataError(
            f"source: {source.ref} has {len(train.class_names)} of the {spec.num_classes} classes of {spec.title}, but "
            f"{why}"
        )


def image_teacher(
    source: Source, inputs: Inputs, experiment: Experiment, network: str, device: torch.device, stop: StopRequests
) -> Teacher | None:
    """Return the teacher of the images, which labels them; None where nothing asks it.

    ``network`` is what is trained; ``auto`` takes the teacher's.

    Raises:
        CheckpointError: it is missing or does not fit.
        RunError: it is not the one any more that the images were made with.
    """
    if not needs_teacher(experiment.evaluate.replace(student=network)):
        return None
    spec, made_with = inputs.dataset.spec, source.run.record().teacher if source.run else None
    path = inputs.teacher_path
    if made_with is not None:
        path = find_teacher(made_with.ref, spec.name, spec.image_size, spec.class_names)
    with stop.loading():
        teacher = load_teacher(str(path), dataset=inputs.dataset, device=device, **experiment.squeeze.checkpoint)
    if made_with is not None and teacher.card.fingerprint != made_with.fingerprint:
        raise RunError(f"teacher: {made_with.name} is not the one any more that run {source.ref} was made with.")
    return teacher


def labelling_teacher(
    inputs: Inputs, train: ImageTable, teacher: Teacher | None, config: EvaluateConfig, device: torch.device
) -> Teacher | None:
    """Return the network that labels: one of its own where the settings name it, else the teacher."""
    if not config.relabeller:
        return teacher
    spec = inputs.dataset.spec
    path, card = find_other(config.relabeller, "relabeller", spec.class_names, spec.image_size)
    columns_of(card.class_names, train.class_names, f"relabeller: {card.name}")
    return load_teacher(str(path), device=device)


def facts_of(
    source: DescribedSource,
    dataset: Dataset,
    test_images: int,
    labeller: Teacher | None,
    training: EvaluateConfig,
    device: torch.device,
) -> dict[str, Any]:
    """Return which images stand for the data, what labels them, and where they are trained on, as plain values."""
    spec = dataset.spec
    return {
        "source": source.id,
        "source_title": source.title,
        **{name: getattr(source, name) for name in ("method", "method_title", "ipc", "images")},
        "dataset": spec.name,
        "dataset_title": spec.title,
        "dataset_fingerprint": dataset.fingerprint,
        "image_size": spec.image_size,
        "test_images": test_images,
        "teacher": labeller.card.name if labeller else None,
        "teacher_fingerprint": labeller.card.fingerprint if labeller else None,
        "recipe": training.recipe,
        "recipe_title": RECIPE_TITLES[training.recipe],
        "device": str(device),
        "machine": this_machine(torch.get_num_threads()),
        "versions": versions(),
    }


def question_key(dataset: Dataset, train: ImageTable, asked: Mapping[str, Any]) -> str:
    """Return what an answer is called: its dataset, and a hash of the images and of everything that was asked."""
    digest = hashlib.sha256(json.dumps([dataset.fingerprint, asked], sort_keys=True).encode())
    for array in (train.image_u8, train.labels):
        digest.update(array.tobytes())
    return f"{dataset.spec.name}-{digest.hexdigest()[:12]}"
