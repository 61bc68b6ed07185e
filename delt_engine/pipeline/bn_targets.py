"""What a run's BatchNorm statistics are matched with, where that is not the teacher's running ones.

The moments of the training images by class, or by class and difficulty, take a pass over all of them, so they are kept,
by network, data and ranking, and found again by later runs.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from delt_engine.errors import DataError
from delt_engine.models.card import TeacherCard
from delt_engine.models.teachers import Teacher
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import SelectedImage
from delt_engine.paths import cache_dir
from delt_engine.pipeline.committees import training_batches
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.rank import ranking_of
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.folding import PreparedTeacher, Targets
from delt_engine.recovery.group_moments import THIRDS, GroupMoments, moments_by_group, thirds


@dataclass(frozen=True, eq=False)
class BatchTargets:
    """What the batches of a run are matched with, by teacher; of running statistics there is nothing to say.

    ``groups`` are those of the moments, by class and index of the synthetic image: of each image that it starts from.
    """

    moments: tuple[GroupMoments, ...]
    groups: dict[tuple[int, int], tuple[int, ...]]
    device: str

    def of(self, plan: BatchPlan) -> tuple[Targets, ...]:
        """Return what each teacher's groups of images are matched with; empty where they are matched as a batch."""
        if not self.moments:
            return ()
        rows = {key: row for row, key in enumerate(plan.class_groups)}
        shares = np.zeros((len(rows), len(self.moments[0].first)))
        for slot, batch in zip(plan.slots, plan.batches, strict=True):
            for group in self.groups[slot.class_index, slot.index]:
                shares[rows[batch, slot.class_index], group] += 1
        shares /= shares.sum(1, keepdims=True)
        return tuple(one.targets(shares, self.device) for one in self.moments)


def batch_targets(
    context: StageContext, teacher: Teacher, prepared: PreparedTeacher, selection: Sequence[SelectedImage]
) -> BatchTargets:
    """Return what the batches of a run are matched with, in every rank; the first one gathers what was not kept.

    Raises:
        DataError: the disk refuses to keep the moments.
    """
    config = context.experiment.recover
    if not config.is_optimised or config.bn_targets == "running":
        return BatchTargets((), {}, context.device)
    cards = [teacher.card, *(card for _, card in context.inputs.committee)]
    paths = [_path(context, card, teacher) for card in cards]
    ranking = None
    if config.bn_targets == "difficulty" and context.first(lambda: any(_kept(path) is None for path in paths)):
        ranking = ranking_of(context, teacher)
    for member, card, path in zip(prepared.members, cards, paths, strict=True):
        context.first(partial(_gather, context, member.network, card, path, ranking))
    moments = tuple(map(GroupMoments.load, paths))
    group = dict(zip(moments[0].images.tolist(), moments[0].group.tolist(), strict=True))
    slots = [(class_index, index) for class_index in context.inputs.classes for index in range(config.ipc)]
    if config.bn_targets == "class":
        place = {class_index: number for number, class_index in enumerate(context.inputs.classes)}
        return BatchTargets(moments, {slot: (place[slot[0]],) for slot in slots}, context.device)
    started = {
        (image.class_index, image.index): tuple(group[patch.image_index] for patch in image.patches)
        for image in selection
    }
    return BatchTargets(moments, started, context.device)


def _path(context: StageContext, card: TeacherCard, teacher: Teacher) -> Path:
    """Return where the moments of a network are kept."""
    experiment, dataset = context.experiment, context.inputs.dataset
    key: tuple[object, ...] = (card.fingerprint, dataset.fingerprint, dataset.spec.image_size, context.inputs.classes)
    if experiment.recover.bn_targets == "difficulty":
        ranker = context.inputs.ranker
        scored = experiment.rank.model_dump(exclude={"batch_size"})
        key = (*key, THIRDS, ranker.fingerprint if ranker else teacher.card.fingerprint, scored, experiment.seed)
    return cache_dir() / "bn-statistics" / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}.npz"


def _kept(path: Path) -> GroupMoments | None:
    with contextlib.suppress(DataError):
        return GroupMoments.load(path)
    return None


def _gather(context: StageContext, network: nn.Module, card: TeacherCard, path: Path, ranking: Ranking | None) -> None:
    """Gather the moments of a network and keep them, if they are not kept."""
    if _kept(path) is not None:
        return
    classes, labels = np.array(context.inputs.classes), context.inputs.dataset.train.labels
    images = np.flatnonzero(np.isin(labels, classes))
    group, number = np.searchsorted(classes, labels[images]), len(classes)
    if ranking is not None:
        group, number = group * THIRDS + thirds(labels[images], _probability(ranking, images)), number * THIRDS
    moments_by_group(network, training_batches(context, network, card, images.tolist()), images, group, number).save(
        path
    )


def _probability(ranking: Ranking, images: np.ndarray) -> np.ndarray:
    """Return the probability of the true class of each image; of several crops their mean.

    The ranking may be of more classes than the images.
    """
    scored = np.isin(ranking.image_index, images)
    place = np.searchsorted(images, ranking.image_index[scored])
    total = np.bincount(place, ranking.true_class_prob[scored], minlength=len(images))
    return total / np.bincount(place, minlength=len(images))
