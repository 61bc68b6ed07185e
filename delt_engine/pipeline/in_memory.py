"""Recovery and students without a run folder, for notebooks and scripts: ``delt_engine.recover`` and ``evaluate``.

Both are generators of records that know no files; to stop is to stop asking. With the same settings, seed and device
the images are those of `delt recover`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from delt_engine.config import EvaluateConfig, RecoverConfig
from delt_engine.data.dataset import Dataset
from delt_engine.data.pixels import denormalise, normalise, to_pixels, to_u8
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.device import pick_device
from delt_engine.models.teachers import Teacher
from delt_engine.patches.selection import SelectedImage, patch_pixels
from delt_engine.recovery import loop
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import RecoverStep, start_noise
from delt_engine.seeding import generator
from delt_engine.training import students
from delt_engine.training.image_table import ImageTable, test_table
from delt_engine.training.recipe import resolve
from delt_engine.training.records import StudentResult, StudentStep
from delt_engine.training.relabel import teacher_for
from delt_engine.training.students import TrainedEpoch


def recover(
    dataset: Dataset,
    teacher: Teacher,
    config: RecoverConfig,
    selection: Sequence[SelectedImage] = (),
    *,
    seed: int = 0,
    classes: Sequence[int] | None = None,
    device: str = "auto",
) -> Iterator[RecoverStep | ImageTable]:
    """Recover synthetic images, batch after batch.

    Args:
        dataset: whose classes and image size the images have.
        teacher: of :func:`delt_engine.models.teachers.load_teacher`.
        config: method, IPC, MI, RI and the rest; a method that recovers from one teacher.
        selection: the patches that images start from, of :func:`delt_engine.patches.selection.select`; not needed
            where they start from noise.
        seed: of noise and crops.
        classes: class numbers; all when not given.
        device: as in the settings.

    Yields:
        RecoverStep after every iteration, at the end an ImageTable of the N images, class by class.

    Raises:
        ConfigError: a method that optimises nothing, or needs a committee.
        DataError: no patch for an image that starts from one.
    """
    if not config.is_optimised or config.committee or config.conv_statistics:
        raise ConfigError(f"method: {config.method!r} given, but here images are recovered from one teacher.")
    place, numbers = pick_device(device), range(dataset.spec.num_classes) if classes is None else classes
    teacher.network.to(place)
    prepared, card = PreparedTeacher.of(teacher), teacher.card
    patches = {(image.class_index, image.index): image for image in selection}
    found: dict[tuple[int, int], np.ndarray] = {}
    for plan in plan_batches(tuple(numbers), config):
        images = _start_images(dataset, teacher, plan, patches, config, seed).to(place)
        labels = torch.tensor([slot.class_index for slot in plan.slots], device=place)
        rows = crop_plan(config, dataset.spec.image_size, generator(seed, "crops", plan.batch_index))
        for step in loop.recover(images, labels, prepared, plan, config, rows):
            images = step.state.images
            yield step
        finished = to_u8(denormalise(images, card.mean, card.std))
        found |= {(slot.class_index, slot.index): image for slot, image in zip(plan.slots, finished, strict=True)}
    names = dataset.spec.class_names
    yield ImageTable(
        image_u8=np.stack([found[number, index] for number in numbers for index in range(config.ipc)]),
        labels=np.repeat(np.arange(len(numbers), dtype=np.int64), config.ipc),
        class_names=tuple(names[number] for number in numbers),
        mean=dataset.spec.mean,
        std=dataset.spec.std,
        ipc=config.ipc,
        title=config.method,
        all_class_names=tuple(names),
    )


def _start_images(
    dataset: Dataset,
    teacher: Teacher,
    plan: BatchPlan,
    patches: dict[tuple[int, int], SelectedImage],
    config: RecoverConfig,
    seed: int,
) -> Tensor:
    """Return what the images of a batch start from: normalised (N, 3, S, S)."""
    if config.initialization != "patches":
        return start_noise(plan, dataset.spec.image_size, seed=seed)
    slots = [(slot.class_index, slot.index) for slot in plan.slots]
    missing = next((slot for slot in slots if slot not in patches), None)
    if missing is not None:
        name = dataset.spec.class_names[missing[0]]
        raise DataError(f"selection: image {missing[1]} of {name!r} has no patch, but it is to start from one.")
    image_u8 = np.stack([patch_pixels(dataset, patches[slot]) for slot in slots])
    return normalise(to_pixels(image_u8), teacher.card.mean, teacher.card.std)


def evaluate(
    train: ImageTable,
    dataset: Dataset,
    teacher: Teacher | None,
    config: EvaluateConfig,
    *,
    seed: int = 0,
    device: str = "auto",
) -> Iterator[StudentStep | TrainedEpoch | StudentResult]:
    """Train one student on images and test it on the dataset's test images.

    Args:
        train: of :func:`recover`, or of :func:`delt_engine.training.image_table.from_run`.
        dataset: whose test images it is tested on.
        teacher: labels softly on the fly; None for hard labels.
        config: the recipe, such as ``EvaluateConfig.for_recipe("delt")``; what it leaves open follows its rules.
        seed: of this student.
        device: as in the settings.

    Yields:
        StudentStep after every step, TrainedEpoch after every epoch, StudentResult at the end.

    Raises:
        DeltError: what does not fit together; see :func:`delt_engine.training.students.evaluate`.
    """
    place = pick_device(device)
    network = None
    if teacher is not None:
        network = teacher_for(teacher.network.to(place), teacher.card.class_names, train.class_names)
    resolved = resolve(config, card=teacher.card if teacher else None, train=train, dataset_name=dataset.spec.name)
    test = test_table(dataset, train)
    yield from students.evaluate(train, test, network, resolved, seed=seed, device=place)
