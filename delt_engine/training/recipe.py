"""Fill in what a recipe leaves open: batch size, learning rate, RandAugment, crops and the student's network.

Source: the rules of :mod:`delt_engine.config.students`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from delt_engine.config.students import EvaluateConfig, filled_in
from delt_engine.errors import ConfigError
from delt_engine.models.card import TeacherCard
from delt_engine.models.networks import build_network, stem_of
from delt_engine.training.image_table import ImageTable


def resolve(
    config: EvaluateConfig,
    *,
    card: TeacherCard | None,
    train: ImageTable,
    dataset_name: str = "",
    image_size: int | None = None,
    labeller: str = "",
) -> EvaluateConfig:
    """Return the settings with nothing left open; what was given stays as it is.

    The precision stays ``auto``, since it is a matter of the device.

    Args:
        config: as the user gave it.
        card: of the teacher, if there is one.
        train: what the student learns from: its classes and images decide the batch size.
        dataset_name: a name of the catalogue, for the rules that single out datasets.
        image_size: side of the images; the table's when not given.
        labeller: network that labels; the teacher's when not given.

    Raises:
        ConfigError: unknown student, a width, stem or image size it cannot have, or ``auto`` without a teacher.
    """
    size = image_size or train.image_size
    student, width = config.student, config.student_width or 1.0
    if student == "auto":
        if card is None:
            raise ConfigError(
                "student: 'auto' given, but there is no teacher to take the network from; name one, such as resnet18."
            )
        student, width = card.network, config.student_width or card.width
    num_classes = len(train.class_names)
    stem = _stem(student, width, config.student_stem, num_classes, size)
    return filled_in(
        config.replace(student=student, student_width=width, student_stem=stem),
        ipc=train.ipc or -(-len(train) // num_classes),
        images=len(train),
        num_classes=num_classes,
        image_size=size,
        dataset=dataset_name,
        teacher=labeller or (card.network if card else ""),
    )


def recipe_changes(config: EvaluateConfig, **known: Any) -> dict[str, tuple[Any, Any]]:
    """Return what differs from the recipe once both are resolved: name to (the recipe's, this one's).

    Args:
        config: as given, or resolved.
        known: what :func:`resolve` takes.
    """
    same = {name: getattr(config, name) for name in ("student", "student_width", "student_stem")}
    plain = resolve(EvaluateConfig.for_recipe(config.recipe, **same), **known)
    own = resolve(config, **known)
    names = (name for name in own.changes() if getattr(plain, name) != getattr(own, name))
    return {name: (getattr(plain, name), getattr(own, name)) for name in names}


def check_student(config: EvaluateConfig, num_classes: int, image_size: int) -> None:
    """Refuse a student that cannot be built for such images; ``auto`` is the teacher's network, which can.

    Raises:
        ConfigError: an unknown network, or a width, stem or image size that it cannot have.
    """
    if config.student != "auto":
        _stem(config.student, config.student_width or 1.0, config.student_stem, num_classes, image_size)


def _stem(student: str, width: float, stem: str, num_classes: int, image_size: int) -> str:
    """Return the stem the student has, and refuse a student that cannot be built."""
    build = partial(build_network, student, num_classes, width=width, stem=stem, image_size=image_size)
    try:
        with torch.device("meta"):  # without memory for the weights
            network = build()
    except ConfigError:  # some families compute their layout on tensors
        with torch.random.fork_rng(devices=[]):
            network = build()
    return stem_of(network, stem, image_size)
