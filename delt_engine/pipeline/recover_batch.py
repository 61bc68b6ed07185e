"""One batch of a recovery on its way through the loop, with the events, pictures and checkpoints that it leaves."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from delt_engine.errors import RunCancelled, RunError
from delt_engine.models.device import peak_memory
from delt_engine.pipeline.compute import Tally, within_memory
from delt_engine.pipeline.inputs import is_small, pictures, slots_of
from delt_engine.pipeline.real_batches import matching_steps
from delt_engine.pipeline.recover_job import RecoverJob
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.loop import BatchState, RecoverStep, recover
from delt_engine.recovery.matching import drop_plan
from delt_engine.recovery.speed import FastPath
from delt_engine.runs.checkpoint import Position, read_checkpoint, write_checkpoint
from delt_engine.runs.events import RoundEvent, StepEvent
from delt_engine.runs.images import remove_live, write_images
from delt_engine.runs.predictions import is_due
from delt_engine.seeding import generator

EVENT_SECONDS = 0.25
"""Shortest time between two step events; it grows to :data:`LONG_EVENT_SECONDS` on long runs."""

LONG_EVENT_SECONDS = 2.0
CHECKPOINT_GAP = 1.0
"""Seconds below which the end of a round writes no further checkpoint: rounds may be shorter than a disk's sync."""

MOST_GROUPS = 24
"""Start groups whose cross-entropy is in a step event; of more rounds, evenly chosen ones, first and last kept."""


class BatchRecovery:
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


def spread(numbers: Sequence[int], most: int) -> list[int]:
    """Return at most ``most`` of the numbers, evenly chosen, first and last kept.

    >>> spread([1, 2, 3, 4, 5], 3)
    [1, 3, 5]
    """
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[round(at * (len(numbers) - 1) / (most - 1))] for at in range(most)]
