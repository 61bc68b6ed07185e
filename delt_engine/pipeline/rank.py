"""The teacher of a run, the ranking of its patches by it or by a ranker of its own, and the selection from it.

Both are compared with those that the run began with, and measured the first time they are needed. A ranking made
before is found again; else all ranks make it together.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from delt_engine.errors import CheckpointError, RunError
from delt_engine.models.health import keep_check
from delt_engine.models.teachers import Teacher, check_teacher, load_teacher
from delt_engine.patches.ranking import Ranking, joined, keep_ranking, partial_path, rank, ranking_key, shares
from delt_engine.patches.selection import SelectedImage
from delt_engine.pipeline.context import RankCounts, StageContext
from delt_engine.pipeline.coreset_scores import coreset_scores
from delt_engine.pipeline.inputs import known_ranking, read_selection, write_selected
from delt_engine.runs.checkpoint import FOLDER, remove_checkpoint
from delt_engine.runs.events import StageEvent
from delt_engine.runs.record import TeacherRecord
from delt_engine.training.relabel import teacher_for

EVENT_SECONDS = 0.25
"""Shortest time between two events of a ranking."""


def rank_stage(context: StageContext) -> None:
    """Score every patch and keep the ranking, in the run and where later runs look for it."""
    ranking = ranking_of(context, None if context.inputs.ranker else loaded_teacher(context))
    if ranking is not None:
        ranking.save(context.run.path / "ranking.npz")


def selection_of(context: StageContext, teacher: Teacher) -> tuple[SelectedImage, ...]:
    """Return the run's selection; made once, then read back, and made anew where it cannot be read whole."""
    if context.first(lambda: read_selection(context.run, context.inputs) is None):
        ranking = ranking_of(context, teacher)
        context.first(lambda: None if ranking is None else _select(context, teacher, ranking))
    return context.run.selection()


def _select(context: StageContext, teacher: Teacher, ranking: Ranking) -> None:
    write_selected(context.run, context.inputs, ranking, coreset_scores(context, teacher))


def ranking_of(context: StageContext, teacher: Teacher | None) -> Ranking | None:
    """Make the ranking, or find the one made before for this data; return it in the first rank alone.

    Args:
        teacher: what ranks where the run has no ranker of its own, which is loaded only where it has to score.
    """
    fingerprint = teacher.card.fingerprint if teacher else None
    found: list[Ranking | None] = []
    context.first(lambda: found.append(known_ranking(context.run, context.inputs, fingerprint)))
    ranking = found[0] if found else None
    if context.first(lambda: ranking is not None):
        if ranking is not None:
            context.event(StageEvent(stage="rank", done=len(ranking), total=len(ranking), cached=True))
        return ranking
    ranker, spec = context.inputs.ranker, context.inputs.dataset.spec
    scorer = loaded_other(context, ranker.path, "ranker", spec.class_names) if ranker else teacher
    assert scorer is not None
    labels, classes = context.inputs.dataset.train.labels, context.experiment.classes
    images = len(labels) if classes is None else int(np.isin(labels, context.inputs.classes).sum())
    count = shares(images, context.experiment.rank, context.rank.size)
    counts, total = RankCounts(context.run.path, context.rank, "rank"), images * max(1, context.experiment.rank.crops)
    with context.sharing():
        for number in context.rank.share(range(count)):
            ranking = _scored(context, scorer, (number, count), counts, total)
            if count > 1:
                ranking.save(_part_path(context, number))
    if not context.rank.is_first:
        return None
    if count > 1:
        ranking = joined([Ranking.load(_part_path(context, number)) for number in range(count)])
        remove_checkpoint(context.run)
    assert ranking is not None  # the first rank always has a share
    keep_ranking(ranking)
    return ranking


def _scored(context: StageContext, teacher: Teacher, share: tuple[int, int], counts: RankCounts, total: int) -> Ranking:
    """Score a share of the patches."""
    experiment, dataset = context.experiment, context.inputs.dataset
    classes = None if experiment.classes is None else context.inputs.classes
    key = ranking_key(dataset.fingerprint, teacher.card.fingerprint, experiment.rank, experiment.seed, classes)
    items = rank(
        dataset,
        teacher,
        experiment.rank,
        seed=experiment.seed,
        device=context.device,
        classes=classes,
        kept=partial_path(key if share[1] == 1 else f"{key}-{share[0]}-of-{share[1]}"),
        share=share,
        columns=context.inputs.ranker.columns(dataset) if context.inputs.ranker else None,
    )
    next_event = 0.0
    with contextlib.closing(items):  # type: ignore[type-var]  # a generator; closed at once when the run is stopped, so what is scored is kept
        for item in items:
            context.stop.check()
            if isinstance(item, Ranking):
                return item
            if item.note:
                context.note(item.note)
            if item.done == item.total or time.monotonic() >= next_event:
                next_event = time.monotonic() + EVENT_SECONDS
                timing = {"timing": item.timing.to_record()} if item.timing else {}
                context.event(StageEvent(stage="rank", done=counts.total(item.done), total=total, **timing))
    raise AssertionError("the last record of a ranking is its result")


def _part_path(context: StageContext, number: int) -> Path:
    return context.run.path / FOLDER / f"ranking-{number}.npz"


def loaded_teacher(context: StageContext) -> Teacher:
    """Load the teacher in every rank; the first one measures it on a sample, once a run.

    Raises:
        CheckpointError: it cannot be read, or its classes stand in another order.
        RunError: it is another one than the run began with.
    """
    record, inputs, squeezed = context.run.record(), context.inputs, context.experiment.squeeze
    with context.stop.loading():
        teacher = load_teacher(
            str(inputs.teacher_path), dataset=inputs.dataset, device=context.device, **squeezed.checkpoint
        )
    context.first(lambda: _check(context, teacher) if record.teacher is None else None)
    began_with = context.run.record().teacher
    if began_with is not None and began_with.fingerprint != teacher.card.fingerprint:
        raise RunError(f"run {context.run.id}: teacher {began_with.name} has changed since the run began.")
    return teacher


def loaded_other(context: StageContext, path: Path, role: str, classes: Sequence[str]) -> Teacher:
    """Load a network beside the teacher in every rank; the first one measures it on a sample, once a run.

    Args:
        role: what it does, the name of its entry in run.json: ``ranker`` or ``relabeller``.
        classes: of the dataset; of what it knows beside them nothing can be measured here.

    Raises:
        CheckpointError: it cannot be read, or its classes stand in another order.
    """
    with context.stop.loading():
        loaded = load_teacher(str(path), device=context.device)
    record: TeacherRecord | None = getattr(context.run.record(), role)
    if record is not None and record.measured_accuracy is None:
        context.first(lambda: context.update(**{role: measured_other(context, loaded, classes, record, role)}))
    return loaded


def measured_other(
    context: StageContext, loaded: Teacher, classes: Sequence[str], record: TeacherRecord, role: str
) -> TeacherRecord:
    """Return the record of a network beside the teacher with what a sample of test images says of it.

    Raises:
        CheckpointError: its classes stand in another order.
    """
    asked = Teacher(
        teacher_for(loaded.network, loaded.card.class_names, classes),
        replace(loaded.card, num_classes=len(classes), class_names=tuple(classes)),
    )
    return _measured(context, asked, record, role)


def _check(context: StageContext, teacher: Teacher) -> None:
    """Measure the teacher before it is used, and keep what was measured."""
    record = TeacherRecord.of(teacher.card, context.inputs.teacher_ref)
    context.update(teacher=_measured(context, teacher, record, "teacher"))


def _measured(context: StageContext, teacher: Teacher, record: TeacherRecord, role: str) -> TeacherRecord:
    """Return a network's record with what a sample of test images says of it, if that is to be measured."""
    dataset = context.inputs.dataset
    if not context.run.record().options.teacher_check or not len(dataset.test):
        return record
    with context.stop.loading():
        check = check_teacher(teacher, dataset)
    keep_check(check)
    if check.verdict == "class order?":
        raise CheckpointError(f"{role}: {check.message}")
    if check.verdict == "weak":
        context.note(check.message)
    return record.model_copy(update={"measured_accuracy": check.accuracy, "measured_sample": check.sample})
