"""The batches of real images that DM and DC match, and their loop on a run's data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from delt_engine.config import Experiment
from delt_engine.data.dataset import ImageSet
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.recovery.batch_to_batch import match_batches
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, RecoverStep
from delt_engine.seeding import generator


def matching_steps(
    train: ImageSet,
    teacher: PreparedTeacher,
    experiment: Experiment,
    images: Tensor,
    labels: Tensor,
    plan: BatchPlan,
    crop_rows: Tensor,
    *,
    state: BatchState | None = None,
    low_memory: bool = False,
) -> Iterator[RecoverStep]:
    """Return the loop of DM or DC; see :func:`delt_engine.recovery.batch_to_batch.match_batches`.

    Args:
        train: images of the dataset that batches are drawn from.
        teacher: its mean and std normalise all images, as they did the start images.
        experiment: seed and settings.
    """
    config, seed = experiment.recover, experiment.seed
    real = partial(real_batch, train, teacher, seed, config.real_batch, images.device)
    return match_batches(
        images,
        labels,
        real,
        plan,
        config,
        crop_rows,
        seed=seed,
        mean=teacher.mean,
        std=teacher.std,
        state=state,
        low_memory=low_memory,
    )


def real_batch(
    train: ImageSet,
    teacher: PreparedTeacher,
    seed: int,
    number: int,
    device: torch.device,
    iteration: int,
    class_index: int,
) -> Tensor:
    """Return up to ``number`` images of a class, none twice: the same for the same seed, iteration and class."""
    indices = train.of_class(class_index)
    order = torch.randperm(len(indices), generator=generator(seed, "real batch", iteration, class_index))
    return normalise(to_pixels(train.pixels(indices[order[:number].numpy()]), device), teacher.mean, teacher.std)
