"""What the images of a run start from, as far as it can be known without torch: the selection and its pictures.

Where the ranking was made before, the start images are there a moment after the run's process began, and while it
still waits for its device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from delt_engine.patches.ranking import Ranking, cached_ranking
from delt_engine.patches.selection import SelectedImage, patch_pixels, select, write_selection
from delt_engine.pipeline.inputs import Inputs
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.runs.images import Pictures
from delt_engine.runs.store import Run

UPFRONT_BYTES = 64 * 2**20
"""Start images of all batches are pictured before the first one when they are no larger than this."""

Slot = tuple[int, int]
"""Class index, and index within the class."""


def begin(run: Run, inputs: Inputs) -> None:
    """Select and picture the start images, if this run starts from patches that are ranked already."""
    if run.experiment.recover.initialization != "patches":
        return
    if not (run.path / "selection.csv").is_file():
        ranking = known_ranking(run, inputs, inputs.card.fingerprint) if inputs.card else None
        if ranking is None:
            return
        write_selected(run, inputs, ranking)
    plans = plan_batches(inputs.classes, run.experiment.recover)
    if is_small(inputs, plans):
        selection = run.selection()
        for plan in plans:
            slots = slots_of(plan)
            pictures(run, inputs, slots).write_round(start_pixels(inputs, selection, slots), 0)


def known_ranking(run: Run, inputs: Inputs, teacher_fingerprint: str) -> Ranking | None:
    """Return the ranking made before for this data and teacher, or None."""
    experiment = run.experiment
    classes = None if experiment.classes is None else inputs.classes
    return cached_ranking(inputs.dataset.fingerprint, teacher_fingerprint, experiment.rank, experiment.seed, classes)


def write_selected(run: Run, inputs: Inputs, ranking: Ranking) -> None:
    """Select from a ranking and write the run's selection.

    Raises:
        DataError: a class has too few patches.
    """
    experiment, dataset = run.experiment, inputs.dataset
    selected = select(
        ranking,
        dataset.train.names,
        experiment.recover.schedule,
        experiment.select,
        seed=experiment.seed,
        classes=inputs.classes,
    )
    write_selection(run.path / "selection.csv", selected, dataset.spec.class_names)
    run.event({"kind": "stage", "stage": "select", "done": len(selected), "total": len(selected)})


def start_pixels(inputs: Inputs, selection: Sequence[SelectedImage], slots: Sequence[Slot]) -> np.ndarray:
    """Return the patches that images start from: uint8 (n, S, S, 3)."""
    selected = {(image.class_index, image.index): image for image in selection}
    return np.stack([patch_pixels(inputs.dataset, selected[slot]) for slot in slots])


def slots_of(plan: BatchPlan) -> list[Slot]:
    """Return which images a batch holds."""
    return [(slot.class_index, slot.index) for slot in plan.slots]


def pictures(run: Run, inputs: Inputs, slots: Sequence[Slot]) -> Pictures:
    """Return what writes the pictures of a batch."""
    options, config = run.record().options, run.experiment.recover
    shown = inputs.classes[: options.snapshot_classes]
    return Pictures(run, slots, config.ipc, config.schedule.num_rounds, shown, options.live_seconds)


def is_small(inputs: Inputs, plans: Sequence[BatchPlan]) -> bool:
    """Return whether the start images of all batches may be pictured at once."""
    return 3 * inputs.dataset.spec.image_size**2 * sum(len(plan.slots) for plan in plans) <= UPFRONT_BYTES
