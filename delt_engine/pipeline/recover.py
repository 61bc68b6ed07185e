"""The recover stage of a run: batch by batch through the loop, leaving events, pictures and checkpoints behind.

Batches that have all their images are passed over, the one with a checkpoint goes on where it was, and what is drawn
at random is keyed by seed and batch; so a run that was stopped anywhere ends in the images of one that never was, with
any number of ranks, which share the batches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from delt_engine.errors import RunCancelled
from delt_engine.pipeline.bn_targets import batch_targets
from delt_engine.pipeline.committees import prepare
from delt_engine.pipeline.compute import MemoryRecord, Tally, fast_path, predicted_mb
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.inputs import Inputs, is_small, picture_all, pictures, slots_of
from delt_engine.pipeline.rank import loaded_teacher, selection_of
from delt_engine.pipeline.recover_batch import BatchRecovery
from delt_engine.pipeline.recover_job import RecoverJob
from delt_engine.recovery.batches import BatchPlan, pack_batches, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.speed import FastPath
from delt_engine.runs.checkpoint import remove_checkpoint
from delt_engine.runs.events import MemoryEvent, StageEvent
from delt_engine.runs.images import are_written, remove_live, write_images
from delt_engine.runs.record import NO_ROUNDS
from delt_engine.runs.store import Run


def recover_stage(context: StageContext) -> None:
    """Rank (or take a ranking made before), select, and recover all images, or take them as they are.

    Raises:
        RunCancelled: asked to stop; what resume needs is written.
        RunError: a loss is not finite.
    """
    config, began = context.experiment.recover, time.monotonic()
    if config.early_late and not config.schedule.has_rounds and config.ipc == 1 and context.rank.is_first:
        context.note(NO_ROUNDS)
    job, plans = _begun(context)
    if config.is_optimised:
        _recover_batches(job, plans)
    else:
        with context.sharing():
            _take_patches(job, plans if context.rank.is_first else [], began)
    if context.rank.is_first:
        remove_leftovers(context.run)


def prepare_stage(context: StageContext) -> None:
    """Do all that comes before the batches: rank, select, choose how it is computed; or all, where there are none."""
    if not context.experiment.recover.is_optimised:
        recover_stage(context)
        return
    job, _ = _begun(context)
    fast_path(context, job.prepared, job.teacher.card.fingerprint, most_packed=1)


def written_batches(run: Run, inputs: Inputs) -> Iterator[tuple[int, bool]]:
    """Yield each batch of a prepared run, and whether its images are there and whole."""
    size = inputs.dataset.spec.image_size
    plans = plan_batches(inputs.classes, run.experiment.recover)
    if run.experiment.recover.is_optimised:
        plans = pack_batches(plans, FastPath.from_record(run.record().speed).pack)
    for plan in plans:
        yield plan.batch_index, are_written(run, slots_of(plan), size)


def remove_leftovers(run: Run) -> None:
    """Remove what only a run at work needs."""
    remove_live(run)
    remove_checkpoint(run)


def _begun(context: StageContext) -> tuple[RecoverJob, Sequence[BatchPlan]]:
    """Load the teacher, select and picture the start images; return what batches need, and the batches."""
    config = context.experiment.recover
    teacher = loaded_teacher(context)
    selection = selection_of(context, teacher) if config.initialization == "patches" else ()
    prepared = prepare(context, teacher) if config.is_optimised else PreparedTeacher.of(teacher)
    job = RecoverJob(context, teacher, selection, prepared, batch_targets(context, teacher, prepared, selection))
    plans = plan_batches(context.inputs.classes, config)
    context.first(lambda: picture_all(context.run, context.inputs, plans, job.start_u8))
    return job, plans


def _recover_batches(job: RecoverJob, plans: Sequence[BatchPlan]) -> None:
    """Recover all batches of a run, every rank its share of them."""
    context, run = job.context, job.context.run
    fast = fast_path(context, job.prepared, job.teacher.card.fingerprint)
    plans = pack_batches(plans, fast.pack)

    def is_done(plan: BatchPlan) -> bool:
        return are_written(run, slots_of(plan), job.image_size)

    done = context.of_others()  # what is known need not be read
    tally = Tally(context, plans, lambda plan: done.get(plan.batch_index, 0) is None or is_done(plan))
    predicted = predicted_mb(context, job.prepared, fast, tally.pending or plans)
    memory = MemoryRecord(predicted, context.device)
    if context.rank.is_first:
        context.update(memory=memory.now())
        context.event(MemoryEvent(predicted_mb=predicted))

    def recover_one(plan: BatchPlan) -> None:
        context.stop.check()
        if not is_done(plan):  # by a worker that was lost a moment later
            BatchRecovery(job, plan, tally, fast).recover()
        tally.save()
        remove_checkpoint(run, plan.batch_index)

    try:
        with context.sharing():
            context.divide({plan.batch_index: plan for plan in tally.pending}, recover_one)
    except RunCancelled:
        tally.save()
        raise
    tally.save()
    context.update(memory=memory.now())


def _take_patches(job: RecoverJob, plans: Sequence[BatchPlan], began: float) -> None:
    """Write the start images as the finished ones, with what the teacher says of them.

    Ranking and selecting, since ``began`` on the monotonic clock, are all that such a method costs.

    Source: RDED, whose images are mosaics of real crops; random real images as the baseline of every table.
    """
    context, run = job.context, job.context.run
    total, done = sum(len(plan.slots) for plan in plans), 0
    for plan in plans:
        context.stop.check()
        slots = slots_of(plan)
        if not are_written(run, slots, job.image_size):
            image_u8 = job.start_u8(plan)
            if not is_small(context.inputs, plans):
                pictures(run, context.inputs, slots).write_round(image_u8, 0)
            job.predict_shown(plan, job.start_images(plan), 0)
            write_images(run, slots, image_u8, job.texts(plan))
        done += len(slots)
        context.event(StageEvent(stage="images", done=done, total=total))
    context.update(seconds=round(run.record().seconds + time.monotonic() - began, 3))
