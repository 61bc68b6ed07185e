"""The recover stage of a run: batch by batch through the loop, leaving events, pictures and checkpoints behind.

Batches that have all their images are passed over, the one with a checkpoint goes on where it was, and what is drawn
at random is keyed by seed and batch; so a run that was stopped anywhere ends in the images of one that never was, with
any number of ranks, which share the batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from delt_engine.data.pixels import denormalise, normalise, to_pixels, to_u8
from delt_engine.errors import RunCancelled, RunError
from delt_engine.models.device import peak_memory
from delt_engine.models.teachers import Teacher
from delt_engine.patches.selection import Patch, SelectedImage
from delt_engine.pipeline.bn_targets import BatchTargets, batch_targets
from delt_engine.pipeline.committees import prepare
from delt_engine.pipeline.compute import MemoryRecord, Tally, fast_path, predicted_mb, within_memory
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.inputs import (
    Inputs,
    Slot,
    by_slot,
    is_small,
    picture_all,
    pictures,
    shown_classes,
    slots_of,
    start_pixels,
)
from delt_engine.pipeline.rank import loaded_teacher, selection_of
from delt_engine.pipeline.real_batches import matching_steps
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, pack_batches, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, RecoverStep, recover, start_noise
from delt_engine.recovery.matching import drop_plan
from delt_engine.recovery.speed import FastPath
from delt_engine.runs.checkpoint import Position, read_checkpoint, remove_checkpoint, write_checkpoint
from delt_engine.runs.events import MemoryEvent, RoundEvent, StageEvent, StepEvent
from delt_engine.runs.images import are_written, remove_live, write_images
from delt_engine.runs.predictions import is_due, write_predictions
from delt_engine.runs.record import NO_ROUNDS
from delt_engine.runs.store import Run
from delt_engine.seeding import generator

EVENT_SECONDS = 0.25
"""Shortest time between two step events; it grows to :data:`LONG_EVENT_SECONDS` on long runs."""

LONG_EVENT_SECONDS = 2.0
CHECKPOINT_GAP = 1.0
"""Seconds below which the end of a round writes no further checkpoint: rounds may be shorter than a disk's sync."""

MOST_GROUPS = 24
"""Start groups whose cross-entropy is in a step event; of more rounds, evenly chosen ones, first and last kept."""


@dataclass(frozen=True, eq=False)
class RecoverJob:
    """What all batches of a run are recovered with.

    ``prepared`` is the teacher as the loop uses it, ``targets`` what it matches in place of the running statistics.
    """

    context: StageContext
    teacher: Teacher
    selection: tuple[SelectedImage, ...]
    prepared: PreparedTeacher
    targets: BatchTargets

    @property
    def image_size(self) -> int:
        """S, side in pixels."""
        return self.context.inputs.dataset.spec.image_size

    @cached_property
    def selected(self) -> dict[Slot, SelectedImage]:
        """The selection by class and index."""
        return by_slot(self.selection)

    def start_u8(self, plan: BatchPlan) -> np.ndarray:
        """Return what the images of a batch start from as it is shown: uint8 (N, S, S, 3)."""
        if self.selection:
            return start_pixels(self.context.inputs, self.selected, slots_of(plan))
        return self.pixels(self.start_images(plan))

    def start_images(self, plan: BatchPlan) -> torch.Tensor:
        """Return what the images of a batch start from: normalised (N, C, H, W)."""
        device = torch.device(self.context.device)
        if not self.selection:
            return start_noise(plan, self.image_size, seed=self.context.experiment.seed).to(device)
        image_u8 = start_pixels(self.context.inputs, self.selected, slots_of(plan))
        return normalise(to_pixels(image_u8), self.teacher.card.mean, self.teacher.card.std).to(device)

    def pixels(self, images: torch.Tensor) -> np.ndarray:
        """Return normalised images as they are shown and written: uint8 (N, S, S, 3)."""
        return to_u8(denormalise(images, self.teacher.card.mean, self.teacher.card.std))

    @torch.no_grad()
    def predict_shown(self, plan: BatchPlan, images: torch.Tensor, round_number: int) -> None:
        """Ask the teacher about the first images of a batch, those whose class is shown.

        While the loop is open its hooks measure this forward pass as well; the next one begins anew, so no image is
        changed by it.
        """
        run, slots = self.context.run, slots_of(plan)[: len(images)]
        shown = set(shown_classes(run, self.context.inputs))
        rows = [row for row, (class_index, _) in enumerate(slots) if class_index in shown]
        if rows:
            asked = images if len(rows) == len(images) else images[rows]
            probabilities = self.teacher.network(asked).float().softmax(1)
            write_predictions(run, [slots[row] for row in rows], probabilities.cpu().numpy(), round_number)

    def _patches(self, class_index: int, index: int) -> tuple[Patch, ...]:
        found = self.selected.get((class_index, index))
        return found.patches if found else ()

    def texts(self, plan: BatchPlan) -> list[dict[str, Any]]:
        """Return the settings that go into each image of a batch."""
        experiment, config = self.context.experiment, self.context.experiment.recover
        names = self.context.inputs.dataset.spec.class_names
        committee = self.context.inputs.committee_records
        shared = {
            "method": config.method,
            "seed": experiment.seed,
            "dataset": experiment.dataset,
            "resize": experiment.resize,
            "teacher": self.teacher.card.name,
            **({"committee": [one.network for one in committee]} if committee else {}),
            **({"ranker": self.context.inputs.ranker.ref} if self.selection and self.context.inputs.ranker else {}),
            "rank": experiment.rank.model_dump(),
            "select": experiment.select.model_dump(),
            "settings": config.model_dump(),
        }
        return [
            {
                **shared,
                "class": names[slot.class_index],
                "class_index": slot.class_index,
                "index": slot.index,
                "start_round": slot.start_round,
                "iterations": config.iterations - (slot.start_round - 1) * config.round_iterations,
                "patches": [
                    {
                        "source": patch.source,
                        "crop_box": list(patch.crop_box),
                        "true_class_prob": patch.true_class_prob,
                        "rank": patch.rank,
                    }
                    for patch in self._patches(slot.class_index, slot.index)
                ],
            }
            for slot in plan.slots
        ]


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
            _Batch(job, plan, tally, fast).recover()
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


class _Batch:
    """One batch on its way through the loop."""

    def __init__(self, job: RecoverJob, plan: BatchPlan, tally: Tally, fast: FastPath) -> None:
        self.job, self.plan, self.tally, self.fast = job, plan, tally, fast
        self.context, self.run = job.context, job.context.run
        self.config, self.options = self.context.experiment.recover, self.run.record().options
        self.pictures = pictures(self.run, self.context.inputs, slots_of(plan))
        self._next_event, self._checkpointed = 0.0, time.monotonic()

    def recover(self) -> None:
        """Take the batch from its start, or from its checkpoint, to its finished images."""
        found, device = read_checkpoint(self.run, self.plan.batch_index), torch.device(self.context.device)
        state = found and BatchState.from_tensors({name: tensor.to(device) for name, tensor in found[0].items()})
        for step in within_memory(self.context, self._loop(state), state, self.fast):
            state = step.state
            self._after(step)
        assert state is not None  # MI is at least 1
        write_images(self.run, slots_of(self.plan), self.job.pixels(state.images), self.job.texts(self.plan))

    def _loop(self, state: BatchState | None) -> Any:
        """Return what begins the loop at a state, after the start of the batch was shown."""
        job, plan, config = self.job, self.plan, self.config
        images = job.start_images(plan)
        has_strips = all(0 in self.run.rounds_written(c) for c in self.pictures.classes)
        if not has_strips or (state is None and not is_small(self.context.inputs, self.tally.plans)):
            self.pictures.write_round(job.start_u8(plan), 0)
        if state is None:
            job.predict_shown(plan, images, 0)
        labels = torch.tensor([slot.class_index for slot in plan.slots], device=images.device)
        draws = (generator(self.context.experiment.seed, "crops", member) for member in plan.members)
        rows = torch.stack([crop_plan(config, images.shape[-1], draw) for draw in draws])  # (G, MI, 7)

        # Batches with a drop plan are never packed.
        dropped = drop_plan(config, job.prepared, generator(self.context.experiment.seed, "drop", plan.batch_index))

        more: dict[str, Any] = {"dropped": dropped, "targets": job.targets.of(plan)}

        def start(state: BatchState | None, fast: FastPath) -> Iterator[RecoverStep]:
            if config.is_batch_to_batch:
                train, about = self.context.inputs.dataset.train, (job.prepared, self.context.experiment)
                how: dict[str, Any] = {"state": state, "low_memory": fast.low_memory}
                return matching_steps(train, *about, images, labels, plan, rows, **how)
            return recover(images, labels, job.prepared, plan, config, rows, state=state, fast=fast, **more)

        return start

    def _after(self, step: RecoverStep) -> None:
        now, completed = time.monotonic(), step.state.iteration
        self.tally.count(self.plan.batch_index, completed)
        if step.ends_round or now >= self._next_event:
            self._next_event = now + min(max(EVENT_SECONDS, self.tally.seconds / 600), LONG_EVENT_SECONDS)
            self._check_finite(step)
            self.context.event(self._step_event(step))
        if step.ends_round:
            self._note_graph(step)
            self._write_round(step, partial=False)
            if now - self._checkpointed >= CHECKPOINT_GAP and completed < self.config.iterations:
                self._checkpoint(step)
        elif self.pictures.live_due:
            self.pictures.write_live(self.job.pixels(step.state.images))
            self._note_first_picture()
        if now - self._checkpointed >= self.options.checkpoint_seconds:
            self._checkpoint(step)
        asked = self.context.stop.asked()
        if asked and completed < self.config.iterations:
            if not step.ends_round:
                self._write_round(step, partial=True)
            self._checkpoint(step)
            remove_live(self.run)
            raise RunCancelled(asked)

    def _note_graph(self, step: RecoverStep) -> None:
        """Say once a run why its steps are not replayed by a CUDA graph, where they should be."""
        speed = self.run.record().speed if step.no_graph else {}
        if step.no_graph and "no_graph" not in speed:
            self.context.update(speed={**speed, "graph": False, "no_graph": step.no_graph})
            self.context.note(f"Steps are taken one by one: {step.no_graph}.")

    def _check_finite(self, step: RecoverStep) -> None:
        """Refuse to go on, or to keep anything, once a loss or an image is not finite.

        Raises:
            RunError: the sentence says where, and with which settings.
        """
        losses = step.losses()[2:] if self.config.is_batch_to_batch else step.losses()
        if all(map(math.isfinite, losses)) and bool(torch.isfinite(step.state.images).all()):
            return
        kept = "goes on from the last checkpoint" if read_checkpoint(self.run, self.plan.batch_index) else "begins anew"
        against = f"teacher {self.job.teacher.card.name}, r_bn {self.config.r_bn:g}"
        if self.config.is_batch_to_batch:
            against = f"{self.config.real_batch} real images a class"
        raise RunError(
            f"run {self.run.id}: the loss is not finite at iteration {step.iteration + 1:,} of "
            f"{self.config.iterations:,} in batch {self.plan.batch_index + 1}, with {against}, learning rate "
            f"{step.learning_rate:g} and {self.fast.precision}; `delt resume` {kept}."
        )

    def _step_event(self, step: RecoverStep) -> StepEvent:
        ce_loss, bn_loss, total_loss = step.losses()
        start_rounds, start_ce_losses = self._ce_by_start(step)
        has_teacher = not self.config.is_batch_to_batch
        return StepEvent(
            **self._place(step),
            iteration=step.iteration,
            iterations=self.config.iterations,
            joined=step.joined,
            ce_loss=round(ce_loss, 6) if has_teacher else None,
            bn_loss=round(bn_loss, 6) if has_teacher else None,
            total_loss=round(total_loss, 6),
            start_rounds=start_rounds,
            start_ce_losses=start_ce_losses,
            learning_rate=round(step.learning_rate, 6),
            crop_min=round(step.crop_scale[0], 4),
            image_iterations=self.tally.done,
            image_iterations_total=self.tally.total,
            memory_mb=round(peak_memory(torch.device(self.context.device)) / 2**20, 1),
        )

    def _ce_by_start(self, step: RecoverStep) -> tuple[list[int], list[float]]:
        """Return start rounds with the mean cross-entropy of the images of each; none without a teacher."""
        if self.config.is_batch_to_batch:
            return [], []
        starts, losses = np.array(self.plan.start_rounds[: step.joined]), step.ce_losses().cpu().numpy()
        numbers = spread(np.unique(starts).tolist(), MOST_GROUPS)
        return numbers, [round(float(losses[starts == number].mean()), 6) for number in numbers]

    def _write_round(self, step: RecoverStep, *, partial: bool) -> None:
        self.pictures.write_round(self.job.pixels(step.state.images), step.round_number)
        self._note_first_picture()
        if not partial and is_due(step.round_number, self.config.round_iterations, self.config.schedule.num_rounds):
            self.job.predict_shown(self.plan, step.state.images[: step.joined], step.round_number)
        place = {**self._place(step), "iteration": step.state.iteration, "partial": partial}
        self.context.event(RoundEvent(**place, classes=self.pictures.classes))

    def _place(self, step: RecoverStep) -> dict[str, Any]:
        return {
            "t": round(self.tally.seconds, 3),
            "batch": self.plan.batch_index,
            "batches": len(self.tally.plans),
            "round": step.round_number,
            "rounds": self.config.schedule.num_rounds,
        }

    def _note_first_picture(self) -> None:
        if self.run.record().first_snapshot_seconds is None:
            self.context.update(first_snapshot_seconds=round(self.tally.seconds, 3))

    def _checkpoint(self, step: RecoverStep) -> None:
        self._check_finite(step)
        position = Position(self.plan.batch_index, step.state.iteration, round(self.tally.seconds, 3))
        write_checkpoint(self.run, step.state.to_tensors(), position)
        self._checkpointed = time.monotonic()


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


def spread(numbers: Sequence[int], most: int) -> list[int]:
    """Return at most ``most`` of the numbers, evenly chosen, first and last kept.

    >>> spread([1, 2, 3, 4, 5], 3)
    [1, 3, 5]
    """
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[round(at * (len(numbers) - 1) / (most - 1))] for at in range(most)]
