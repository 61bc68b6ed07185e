"""The last stage of a run that optimises nothing: its images are the selected patches, as they are.

Source: RDED, whose images are mosaics of real crops; random real images as the baseline of every table.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from delt_engine.pipeline.recover import image_texts, predict_shown, start_images
from delt_engine.pipeline.recover_job import RecoverJob
from delt_engine.pipeline.start_images import pictures, slots_of, start_pixels
from delt_engine.recovery.batches import plan_batches
from delt_engine.runs.images import are_written, write_images


def take_patches(job: RecoverJob, began: float) -> Iterator[dict[str, Any]]:
    """Write the start images as the finished ones, with what the teacher says of them.

    Args:
        job: its selection is made.
        began: when the work began, on the monotonic clock; ranking and selecting are all that such a method costs.

    Yields:
        The run's events, after they are written.

    Raises:
        RunCancelled: asked to stop; what is written stays.
    """
    run, size = job.run, job.inputs.dataset.spec.image_size
    plans = plan_batches(job.inputs.classes, job.experiment.recover)
    total, done = sum(len(plan.slots) for plan in plans), 0
    for plan in plans:
        job.wishes.check()
        slots = slots_of(plan)
        if not are_written(run, slots, size):
            image_u8 = start_pixels(job.inputs, job.selection, slots)
            pictures(run, job.inputs, slots).write_round(image_u8, 0)
            predict_shown(job, plan, start_images(job, plan), 0)
            write_images(run, slots, image_u8, image_texts(job, plan))
        done += len(slots)
        event = {"kind": "stage", "stage": "images", "done": done, "total": total}
        run.event(event)
        yield event
    run.update(seconds=round(run.record().seconds + time.monotonic() - began, 3))
