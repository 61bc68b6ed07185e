"""How a stage gets its teacher: loaded, compared with the one the run began with, and measured the first time."""

from __future__ import annotations

from delt_engine.errors import CheckpointError, RunError
from delt_engine.models.health import keep_check
from delt_engine.models.teachers import Teacher, check_teacher, load_teacher
from delt_engine.pipeline.context import StageContext
from delt_engine.runs.record import TeacherRecord


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


def _check(context: StageContext, teacher: Teacher) -> None:
    """Measure the teacher before it is used, and keep what was measured."""
    card, dataset = teacher.card, context.inputs.dataset
    record = TeacherRecord(
        name=card.name,
        network=card.network,
        fingerprint=card.fingerprint,
        ref=context.inputs.teacher_ref,
        accuracy=card.accuracy,
    )
    if context.run.record().options.teacher_check and len(dataset.test):
        with context.stop.loading():
            check = check_teacher(teacher, dataset)
        keep_check(check)
        record = record.model_copy(update={"measured_accuracy": check.accuracy, "measured_sample": check.sample})
        if check.verdict == "class order?":
            raise CheckpointError(f"teacher: {check.message}")
        if check.verdict == "weak":
            context.note(check.message)
    context.update(teacher=record)
