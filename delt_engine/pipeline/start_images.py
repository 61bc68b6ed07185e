"""What the images of a run start from, as far as it can be known without torch: the selection and its pictures.

Where the ranking was made before, the start images are there a moment after the run's process began, and while it
still waits for its device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from delt_engine import files
from delt_engine.errors import DataError, RunError
from delt_engine.patches.ranking import Ranking, cached_ranking
from delt_engine.patches.selection import SelectedImage, patch_pixels, select, write_selection
from delt_engine.pipeline.inputs import Inputs
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.runs.events import StageEvent
from delt_engine.runs.images import Pictures, remove_damaged
from delt_engine.runs.store import Run

UPFRONT_BYTES = 64 * 2**20
"""Start images of all batches are pictured before the first one when they are no larger than this."""

Slot = tuple[int, int]
"""Class index, and index within the class."""


def begin(run: Run, inputs: Inputs) -> None:
    """Select and picture the start images, if this run starts from patches that are ranked already."""
    remove_damaged(run)
    if run.experiment.recover.initialization != "patches":
        return
    selection = read_selection(run, inputs)
    if selection is None:
        ranking = known_ranking(run, inputs, inputs.card.fingerprint) if inputs.card else None
        if ranking is None:
            return
        selection = write_selected(run, inputs, ranking)
    plans = plan_batches(inputs.classes, run.experiment.recover)
    picture_all(run, inputs, plans, lambda plan: start_pixels(inputs, selection, slots_of(plan)))


def picture_all(
    run: Run, inputs: Inputs, plans: Sequence[BatchPlan], pixels_of: Callable[[BatchPlan], np.ndarray]
) -> None:
    """Picture the start images of all classes at once where they are small and one is missing.

    Args:
        run: where to.
        inputs: its data and classes.
        plans: all batches of the run.
        pixels_of: returns the start images of a batch, uint8 (n, S, S, 3).
    """
    if not is_small(inputs, plans) or all(0 in run.rounds_written(c) for c in shown_classes(run, inputs)):
        return
    found = {slot: image for plan in plans for slot, image in zip(slots_of(plan), pixels_of(plan), strict=True)}
    for class_index in shown_classes(run, inputs):
        slots = sorted(slot for slot in found if slot[0] == class_index)
        pictures(run, inputs, slots).write_round(np.stack([found[slot] for slot in slots]), 0)


def shown_classes(run: Run, inputs: Inputs) -> tuple[int, ...]:
    """Return the classes that get snapshots and live strips."""
    return inputs.classes[: run.record().options.snapshot_classes]


def known_ranking(run: Run, inputs: Inputs, teacher_fingerprint: str) -> Ranking | None:
    """Return the ranking made before for this data and teacher, or None."""
    experiment = run.experiment
    classes = None if experiment.classes is None else inputs.classes
    return cached_ranking(inputs.dataset.fingerprint, teacher_fingerprint, experiment.rank, experiment.seed, classes)


def read_selection(run: Run, inputs: Inputs) -> tuple[SelectedImage, ...] | None:
    """Return the run's selection; None where there is none yet, or one that is damaged or not whole."""
    try:
        selection = run.selection()
    except (RunError, DataError):
        return None
    tiles = run.experiment.select.mosaic**2
    expected = len(inputs.classes) * run.experiment.recover.ipc
    is_whole = len(selection) == expected and all(len(image.patches) == tiles for image in selection)
    return selection if is_whole else None


def write_selected(run: Run, inputs: Inputs, ranking: Ranking) -> tuple[SelectedImage, ...]:
    """Select from a ranking, and write the run's selection to the disk.

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
    path = run.path / "selection.csv"
    write_selection(path, selected, dataset.spec.class_names)
    files.sync(path)
    run.event(StageEvent(stage="select", done=len(selected), total=len(selected)))
    return run.selection()


def start_pixels(inputs: Inputs, selection: Sequence[SelectedImage], slots: Sequence[Slot]) -> np.ndarray:
    """Return the patches that images start from: uint8 (n, S, S, 3)."""
    selected = {(image.class_index, image.index): image for image in selection}
    return np.stack([patch_pixels(inputs.dataset, selected[slot]) for slot in slots])


def slots_of(plan: BatchPlan) -> list[Slot]:
    """Return which images a batch holds."""
    return [(slot.class_index, slot.index) for slot in plan.slots]


def pictures(run: Run, inputs: Inputs, slots: Sequence[Slot]) -> Pictures:
    """Return what writes the pictures of a batch."""
    config, live_seconds = run.experiment.recover, run.record().options.live_seconds
    return Pictures(run, slots, config.ipc, config.schedule.num_rounds, shown_classes(run, inputs), live_seconds)


def is_small(inputs: Inputs, plans: Sequence[BatchPlan]) -> bool:
    """Return whether the start images of all batches may be pictured at once."""
    return 3 * inputs.dataset.spec.image_size**2 * sum(len(plan.slots) for plan in plans) <= UPFRONT_BYTES
