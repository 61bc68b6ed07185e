"""What a run does once it has its device: rank, select and recover, or rank alone; and how it gets its teacher."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from delt_engine.errors import CheckpointError, RunCancelled, RunError
from delt_engine.jobs.ranks import this_rank
from delt_engine.jobs.worker import Wishes
from delt_engine.models.device import pick_device
from delt_engine.models.health import keep_check
from delt_engine.models.teachers import Teacher, check_record, check_teacher, load_teacher
from delt_engine.patches.ranking import Ranking, joined, keep_ranking, partial_path, rank, ranking_key, shares
from delt_engine.patches.selection import SelectedImage
from delt_engine.pipeline.inputs import Inputs, share_inputs
from delt_engine.pipeline.recover import recover_batches, recover_some
from delt_engine.pipeline.recover_job import RecoverJob
from delt_engine.pipeline.sharing import Shared
from delt_engine.pipeline.start_images import known_ranking, write_selected
from delt_engine.pipeline.take import take_patches
from delt_engine.runs.checkpoint import FOLDER, remove_checkpoint
from delt_engine.runs.record import NO_ROUNDS, TeacherRecord
from delt_engine.runs.store import Run

Event = dict[str, Any]


def recover_stage(run: Run, inputs: Inputs, wishes: Wishes) -> Iterator[Event]:
    """Rank (or take a ranking made before), select, and recover all images, or take them as they are."""
    config, began = run.experiment.recover, time.monotonic()
    if config.early_late and not config.schedule.has_rounds and config.ipc == 1:
        yield from run.note(NO_ROUNDS)
    teacher = yield from loaded_teacher(run, inputs, wishes)
    selection: tuple[SelectedImage, ...] = ()
    if config.initialization == "patches":
        selection = yield from _selection(run, inputs, teacher, wishes)
    job = _job(run, inputs, teacher, selection, wishes)
    yield from recover_batches(job) if config.is_optimised else take_patches(job, began)
    remove_checkpoint(run)


def recover_share(run: Run, batches: Sequence[int], wishes: Wishes) -> Iterator[Event]:
    """Recover some batches of a run that another rank owns."""
    teacher = yield from shared_teacher(run, wishes)
    is_selected = run.experiment.recover.initialization == "patches"
    selection = run.selection() if is_selected else ()
    yield from recover_some(_job(run, share_inputs(run), teacher, selection, wishes), batches)


def _job(
    run: Run, inputs: Inputs, teacher: Teacher, selection: tuple[SelectedImage, ...], wishes: Wishes
) -> RecoverJob:
    return RecoverJob(run, inputs, teacher, selection, pick_device(run.record().device or "cpu"), wishes)


def shared_teacher(run: Run, wishes: Wishes) -> Iterator[Event]:
    """Load the teacher of a run that another rank owns; return it."""
    return (yield from loaded_teacher(run, shared_inputs(run, wishes), wishes))


def shared_inputs(run: Run, wishes: Wishes) -> Inputs:
    """Look up what a run starts from that another rank owns, and compute with as many threads as it does."""
    threads = run.record().threads
    if threads is not None:
        torch.set_num_threads(threads)
    with wishes.at_once():
        return share_inputs(run)


def rank_stage(run: Run, inputs: Inputs, wishes: Wishes) -> Iterator[Event]:
    """Score every patch and keep the ranking, in the run and where later runs look for it."""
    teacher = yield from loaded_teacher(run, inputs, wishes)
    ranking = yield from _ranking(run, inputs, teacher, wishes)
    ranking.save(run.path / "ranking.npz")


def loaded_teacher(run: Run, inputs: Inputs, wishes: Wishes) -> Iterator[Event]:
    """Load the teacher and, the first time, measure it on a sample; return it."""
    record = run.record()
    squeezed = record.experiment.squeeze
    assert inputs.teacher_path is not None  # looked up for every run but a squeeze
    with wishes.at_once():
        teacher = load_teacher(
            str(inputs.teacher_path),
            dataset=inputs.dataset,
            network=squeezed.network,
            width=squeezed.width,
            stem=None if squeezed.stem == "auto" else squeezed.stem,
            device=record.device or "cpu",
        )
    if record.teacher is not None and record.teacher.fingerprint != teacher.card.fingerprint:
        raise RunError(f"run {run.id}: teacher {record.teacher.name} has changed since the run began.")
    if record.teacher is None:
        yield from _checked(run, inputs, teacher, wishes)
    return teacher


def _checked(run: Run, inputs: Inputs, teacher: Teacher, wishes: Wishes) -> Iterator[Event]:
    """Measure the teacher before it is used, and keep what was measured."""
    card = teacher.card
    record = TeacherRecord(
        name=card.name,
        network=card.network,
        fingerprint=card.fingerprint,
        ref=inputs.teacher_ref,
        accuracy=card.accuracy,
    )
    if run.record().options.teacher_check and len(inputs.dataset.test):
        with wishes.at_once():
            check = check_teacher(teacher, inputs.dataset)
        keep_check(check_record(teacher, inputs.dataset, check))
        record = record.model_copy(update={"measured_accuracy": check.accuracy, "measured_sample": check.sample})
        if check.verdict == "class order?":
            raise CheckpointError(f"teacher: {check.message}")
        if check.verdict == "weak":
            yield from run.note(check.message)
    run.update(teacher=record)


def _selection(run: Run, inputs: Inputs, teacher: Teacher, wishes: Wishes) -> Iterator[Event]:
    """Return the run's selection; made once, then read back."""
    if not (run.path / "selection.csv").is_file():
        ranking = yield from _ranking(run, inputs, teacher, wishes)
        write_selected(run, inputs, ranking)
    return run.selection()


def _ranking(run: Run, inputs: Inputs, teacher: Teacher, wishes: Wishes) -> Iterator[Event]:
    """Return the ranking made before for this data and teacher, or make it and keep it."""
    found = known_ranking(run, inputs, teacher.card.fingerprint)
    if found is not None:
        yield _emit(run, {"kind": "stage", "stage": "rank", "done": len(found), "total": len(found), "cached": True})
        return found
    count, told, ranking = _rank_shares(run, inputs), {}, None

    def adapted(event: Event) -> Event:
        told[event.get("rank", 0)] = event["done"]
        return {**event, "done": sum(told.values()), "total": _patches(run, inputs)}

    shared = Shared(run, "rank", range(count), adapted)
    try:
        for item in _scored(run, inputs, teacher, wishes, (0, count)):
            if isinstance(item, Ranking):
                ranking = item
            else:
                yield item if item["kind"] == "note" else _emit(run, adapted(item))
            yield from shared.news()
        yield from shared.rest(wishes)
    except RunCancelled:
        shared.settle()
        raise
    assert ranking is not None  # the last record of rank is its result
    ranking = joined([ranking, *(Ranking.load(_part_path(run, number)) for number in range(1, count))])
    keep_ranking(ranking)
    if count > 1:
        remove_checkpoint(run)
    return ranking


def rank_share(run: Run, shares: Sequence[int], wishes: Wishes) -> Iterator[Event]:
    """Score shares of the patches of a run that another rank owns, and leave them where that finds them."""
    teacher, inputs = (yield from shared_teacher(run, wishes)), share_inputs(run)
    for number in shares:
        for item in _scored(run, inputs, teacher, wishes, (number, _rank_shares(run, inputs))):
            if isinstance(item, Ranking):
                item.save(_part_path(run, number))
            elif item["kind"] != "note":
                yield _emit(run, item)


def _scored(
    run: Run, inputs: Inputs, teacher: Teacher, wishes: Wishes, share: tuple[int, int]
) -> Iterator[Event | Ranking]:
    """Score a share of the patches; yield how far it is now and then, and the ranking of the share."""
    experiment = run.experiment
    classes = None if experiment.classes is None else inputs.classes
    key = ranking_key(inputs.dataset.fingerprint, teacher.card.fingerprint, experiment.rank, experiment.seed, classes)
    name = key if share[1] == 1 else f"{key}-{share[0]}-of-{share[1]}"
    items = rank(
        inputs.dataset,
        teacher,
        experiment.rank,
        seed=experiment.seed,
        device=run.record().device or "cpu",
        classes=classes,
        kept=partial_path(name),
        share=share,
    )
    next_event = 0.0
    with contextlib.closing(items):  # closed at once when the run is stopped, so what is scored is kept
        for item in items:
            wishes.check()
            if isinstance(item, Ranking):
                yield item
                continue
            if item.note:
                yield from run.note(item.note)
            if item.done == item.total or time.monotonic() >= next_event:
                next_event = time.monotonic() + 0.25
                timing = {"timing": item.timing.to_record()} if item.timing else {}
                yield {"kind": "stage", "stage": "rank", "done": item.done, "total": item.total, **timing}


def _rank_shares(run: Run, inputs: Inputs) -> int:
    """Return into how many shares the ranking is cut, the same in every rank."""
    return shares(_ranked_images(run, inputs), run.experiment.rank, this_rank().size)


def _patches(run: Run, inputs: Inputs) -> int:
    return _ranked_images(run, inputs) * max(1, run.experiment.rank.crops)


def _ranked_images(run: Run, inputs: Inputs) -> int:
    labels = inputs.dataset.train.labels
    return len(labels) if run.experiment.classes is None else int(np.isin(labels, inputs.classes).sum())


def _part_path(run: Run, number: int) -> Path:
    return run.path / FOLDER / f"ranking-{number}.npz"


def _emit(run: Run, event: Event) -> Event:
    run.event(event)
    return event
