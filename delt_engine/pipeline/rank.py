"""The ranking of a run: found where it was made before, else made by all ranks together; and the selection from it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np

from delt_engine.models.teachers import Teacher
from delt_engine.patches.ranking import Ranking, joined, keep_ranking, partial_path, rank, ranking_key, shares
from delt_engine.patches.selection import SelectedImage
from delt_engine.pipeline.context import RankCounts, StageContext
from delt_engine.pipeline.start_images import known_ranking, read_selection, write_selected
from delt_engine.pipeline.teacher import loaded_teacher
from delt_engine.runs.checkpoint import FOLDER, remove_checkpoint
from delt_engine.runs.events import StageEvent

EVENT_SECONDS = 0.25
"""Shortest time between two events of a ranking."""


def rank_stage(context: StageContext) -> None:
    """Score every patch and keep the ranking, in the run and where later runs look for it."""
    ranking = ranking_of(context, loaded_teacher(context))
    if ranking is not None:
        ranking.save(context.run.path / "ranking.npz")


def selection_of(context: StageContext, teacher: Teacher) -> tuple[SelectedImage, ...]:
    """Return the run's selection; made once, then read back, and made anew where it cannot be read whole."""
    if context.first(lambda: read_selection(context.run, context.inputs) is None):
        ranking = ranking_of(context, teacher)
        context.first(lambda: write_selected(context.run, context.inputs, ranking))
    return context.run.selection()


def ranking_of(context: StageContext, teacher: Teacher) -> Ranking | None:
    """Make the ranking, or find the one made before for this data and teacher; return it in the first rank alone."""
    found: list[Ranking | None] = []
    context.first(lambda: found.append(known_ranking(context.run, context.inputs, teacher.card.fingerprint)))
    ranking = found[0] if found else None
    if context.first(lambda: ranking is not None):
        if ranking is not None:
            context.event(StageEvent(stage="rank", done=len(ranking), total=len(ranking), cached=True))
        return ranking
    images = _images_to_rank(context)
    count = shares(images, context.experiment.rank, context.rank.size)
    counts, total = RankCounts(context.run.path, context.rank, "rank"), images * max(1, context.experiment.rank.crops)
    with context.sharing():
        for number in context.rank.share(range(count)):
            ranking = _scored(context, teacher, (number, count), counts, total)
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
    )
    next_event = 0.0
    with contextlib.closing(items):  # closed at once when the run is stopped, so what is scored is kept
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


def _images_to_rank(context: StageContext) -> int:
    labels = context.inputs.dataset.train.labels
    return len(labels) if context.experiment.classes is None else int(np.isin(labels, context.inputs.classes).sum())


def _part_path(context: StageContext, number: int) -> Path:
    return context.run.path / FOLDER / f"ranking-{number}.npz"
