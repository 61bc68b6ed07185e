"""The recover stage of a run: batch by batch through the loop, leaving events, pictures and checkpoints behind.

Batches that have all their images are passed over, the one with a checkpoint goes on where it was, and what is drawn
at random is keyed by seed and batch; so a run that was stopped anywhere ends in the images of one that never was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from delt_engine.data.pixels import denormalise, normalise, to_pixels, to_u8
from delt_engine.errors import RunCancelled
from delt_engine.models.device import peak_memory
from delt_engine.pipeline.memory import memory_record, predicted_mb, spared
from delt_engine.pipeline.recover_job import RecoverJob, settled
from delt_engine.pipeline.sharing import Shared
from delt_engine.pipeline.start_images import is_small, pictures, slots_of, start_pixels
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, pack_batches, plan_batches
from delt_engine.recovery.loop import BatchState, RecoverStep, recover, start_noise
from delt_engine.recovery.speed import FastPath
from delt_engine.runs.checkpoint import Position, positions, read_checkpoint, remove_checkpoint, write_checkpoint
from delt_engine.runs.images import are_written, remove_live, write_images
from delt_engine.runs.predictions import is_due, write_predictions
from delt_engine.runs.store import Run
from delt_engine.seeding import generator

EVENT_SECONDS = 0.25
"""Shortest time between two step events; it grows to :data:`LONG_EVENT_SECONDS` on long runs."""

LONG_EVENT_SECONDS = 2.0
CHECKPOINT_GAP = 1.0
"""Seconds below which the end of a round writes no further checkpoint: rounds may be shorter than a disk's sync."""

MOST_GROUPS = 24
"""Start groups whose cross-entropy a step tells; of more rounds, evenly chosen ones, first and last kept."""


def image_iterations(plan: BatchPlan, iterations: int, round_iterations: int) -> int:
    """Return how many image-iterations a batch has behind it after its first ``iterations``."""
    full, part = divmod(iterations, round_iterations)
    done = sum(plan.joined(number) for number in range(1, full + 1)) * round_iterations
    return done + (part * plan.joined(full + 1) if part else 0)


def spread(numbers: Sequence[int], most: int) -> list[int]:
    """Return at most ``most`` of the numbers, evenly chosen, first and last kept.

    >>> spread([1, 2, 3, 4, 5], 3)
    [1, 3, 5]
    """
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[round(at * (len(numbers) - 1) / (most - 1))] for at in range(most)]


def recover_batches(job: RecoverJob) -> Iterator[dict[str, Any]]:
    """Recover all batches of a run; yield its events after they are written.

    Raises:
        RunCancelled: asked to stop; what resume needs is written.
    """
    config = job.experiment.recover
    fast = yield from settled(job)
    plans = pack_batches(plan_batches(job.inputs.classes, config), fast.pack)
    tally = _Tally(job.run, plans)
    _write_start_images(job, plans)
    size = job.inputs.dataset.spec.image_size
    pending = [plan for plan in plans if not are_written(job.run, slots_of(plan), size)]
    tally.begin(pending)
    predicted = predicted_mb(job.prepared, config, fast, size, pending or plans, job.device)
    job.run.update(memory=memory_record(predicted, job.device))
    yield _emit(job.run, {"kind": "memory", "predicted_mb": predicted})
    shared = Shared(job.run, "recover", [plan.batch_index for plan in pending], tally.adapted)
    try:
        for event in _recovered(job, [plan for plan in pending if plan.batch_index in shared.mine], tally, fast):
            yield event
            yield from shared.news()
        yield from shared.rest(job.wishes)
    except RunCancelled:
        shared.settle()
        tally.keep()
        raise
    remove_live(job.run)
    tally.keep()
    job.run.update(memory=memory_record(predicted, job.device))


def recover_some(job: RecoverJob, batches: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Recover some batches of a run whose other ones other ranks recover.

    Raises:
        RunCancelled: asked to stop; what resume needs is written.
    """
    fast = FastPath.from_record(job.run.record().speed)
    plans = pack_batches(plan_batches(job.inputs.classes, job.experiment.recover), fast.pack)
    mine = [plan for plan in plans if plan.batch_index in set(batches)]
    yield from _recovered(job, mine, _Tally(job.run, plans), fast)


def _recovered(job: RecoverJob, plans: Sequence[BatchPlan], tally: _Tally, fast: FastPath) -> Iterator[dict[str, Any]]:
    """Take batches to their finished images, each from its checkpoint where it has one."""
    for plan in plans:
        job.wishes.check()
        found, state = read_checkpoint(job.run, plan.batch_index), None
        if found:
            state = BatchState.from_tensors({name: tensor.to(job.device) for name, tensor in found[0].items()})
        yield from _BatchWork(job, plan, tally, fast).run(state)
        tally.keep()
        remove_checkpoint(job.run, plan.batch_index)


class _Tally:
    """Counts the work of all ranks: seconds in the loop, without waiting and loading, and image-iterations."""

    def __init__(self, run: Run, plans: Sequence[BatchPlan]) -> None:
        config = run.experiment.recover
        self.batches = len(plans)
        self._run, self._plans, self._config = run, {plan.batch_index: plan for plan in plans}, config
        self._done = dict.fromkeys(self._plans, 0)
        self.total = sum(self._count(number, config.iterations) for number in self._plans)
        self._begun = positions(run)
        before = [position.seconds for position in self._begun.values()]
        self._base, self._began = max([run.record().seconds, *before]), time.monotonic()

    @property
    def seconds(self) -> float:
        return self._base + time.monotonic() - self._began

    @property
    def done(self) -> int:
        """Image-iterations that all batches have behind them."""
        return sum(self._done.values())

    def begin(self, pending: Sequence[BatchPlan]) -> None:
        """Count what was done before: all of the batches that are not pending, and of these what a resume finds."""
        left = {plan.batch_index for plan in pending}
        for number in self._plans:
            if number not in left:
                self.note(number, self._config.iterations)
            elif number in self._begun:
                self.note(number, self._begun[number].iteration)

    def note(self, batch: int, completed: int) -> None:
        """Count the completed iterations of a batch."""
        self._done[batch] = self._count(batch, completed)

    def adapted(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the event of another rank as one of the whole run."""
        if event["kind"] == "step":
            self.note(event["batch"], event["iteration"] + 1)
            event = {**event, "image_iterations": self.done}
        return {**event, "t": round(self.seconds, 3)} if "t" in event else event

    def keep(self) -> None:
        """Write what was counted into the run's record."""
        done, seconds = self.done, self.seconds
        rate = round(done / seconds, 3) if seconds > 0 else None
        self._run.update(seconds=round(seconds, 3), image_iterations=done, image_iterations_per_second=rate)

    def _count(self, batch: int, completed: int) -> int:
        return image_iterations(self._plans[batch], completed, self._config.round_iterations)


class _BatchWork:
    """One batch on its way through the loop."""

    def __init__(self, job: RecoverJob, plan: BatchPlan, tally: _Tally, fast: FastPath) -> None:
        self.job, self.plan, self.tally, self.fast = job, plan, tally, fast
        self.config, self.options = job.experiment.recover, job.run.record().options
        self.pictures = pictures(job.run, job.inputs, slots_of(plan))
        self._next_event = 0.0
        self._checkpointed = time.monotonic()

    def run(self, state: BatchState | None) -> Iterator[dict[str, Any]]:
        """Take the batch from its start, or from ``state``, to its finished images."""
        card, config = self.job.teacher.card, self.config
        images = start_images(self.job, self.plan)
        self.pictures.write_round(to_u8(denormalise(images, card.mean, card.std)), 0)
        if state is None:
            predict_shown(self.job, self.plan, images, 0)
        labels = torch.tensor([slot.class_index for slot in self.plan.slots], device=self.job.device)
        draws = (generator(self.job.experiment.seed, "crops", member) for member in self.plan.members)
        rows = torch.stack([crop_plan(config, images.shape[-1], draw) for draw in draws])  # (G, MI, 7)

        def start(state: BatchState | None, fast: FastPath) -> Iterator[RecoverStep]:
            return recover(
                images,
                labels,
                self.job.prepared,
                self.plan,
                config,
                rows,
                state=state,
                fast=fast,
            )

        for step in spared(self.job.run, start, state, self.fast, self.job.device):
            state = step.state
            yield from self._after(step)
        assert state is not None  # MI is at least 1
        write_images(self.job.run, slots_of(self.plan), self._pixels(state), image_texts(self.job, self.plan))

    def _after(self, step: RecoverStep) -> Iterator[dict[str, Any]]:
        run, now = self.job.run, time.monotonic()
        completed = step.state.iteration
        self.tally.note(self.plan.batch_index, completed)
        if step.ends_round or now >= self._next_event:
            gap = min(max(EVENT_SECONDS, self.tally.seconds / 600), LONG_EVENT_SECONDS)
            self._next_event = now + gap
            yield _emit(run, self._step_event(step))
        if step.ends_round:
            yield self._write_round(step, partial=False)
            if now - self._checkpointed >= CHECKPOINT_GAP and completed < self.config.iterations:
                self._checkpoint(step)
        elif self.pictures.live_due:
            self.pictures.write_live(self._pixels(step.state))
            self._note_first_picture()
        if now - self._checkpointed >= self.options.checkpoint_seconds:
            self._checkpoint(step)
        wish = self.job.wishes.asked()
        if wish and completed < self.config.iterations:
            if not step.ends_round:
                yield self._write_round(step, partial=True)
            self._checkpoint(step)
            remove_live(self.job.run)
            raise RunCancelled(wish)

    def _step_event(self, step: RecoverStep) -> dict[str, Any]:
        ce_loss, bn_loss, total_loss = step.losses()
        return {
            **self._place("step", step),
            "iteration": step.iteration,
            "iterations": self.config.iterations,
            "joined": step.joined,
            "ce_loss": round(ce_loss, 6),
            "bn_loss": round(bn_loss, 6),
            "total_loss": round(total_loss, 6),
            **self._ce_by_start(step),
            "learning_rate": round(step.learning_rate, 6),
            "crop_min": round(step.crop_scale[0], 4),
            "image_iterations": self.tally.done,
            "image_iterations_total": self.tally.total,
            "memory_mb": round(peak_memory(self.job.device) / 2**20, 1),
        }

    def _ce_by_start(self, step: RecoverStep) -> dict[str, list[Any]]:
        """Return the mean cross-entropy of the images that joined together, for each round in which some did."""
        starts = np.array(self.plan.start_rounds[: step.joined])
        ce_losses = step.ce_losses().cpu().numpy()
        rounds = spread(np.unique(starts).tolist(), MOST_GROUPS)
        means = [round(float(ce_losses[starts == number].mean()), 6) for number in rounds]
        return {"start_rounds": rounds, "start_ce_losses": means}

    def _write_round(self, step: RecoverStep, *, partial: bool) -> dict[str, Any]:
        self.pictures.write_round(self._pixels(step.state), step.round_number)
        self._note_first_picture()
        if not partial and is_due(step.round_number, self.config.round_iterations, self.config.schedule.num_rounds):
            predict_shown(self.job, self.plan, step.state.images[: step.joined], step.round_number)
        event = {**self._place("round", step), "iteration": step.state.iteration, "partial": partial}
        return _emit(self.job.run, {**event, "classes": self.pictures.classes})

    def _place(self, kind: str, step: RecoverStep) -> dict[str, Any]:
        return {
            "kind": kind,
            "t": round(self.tally.seconds, 3),
            "batch": self.plan.batch_index,
            "batches": self.tally.batches,
            "round": step.round_number,
            "rounds": self.config.schedule.num_rounds,
        }

    def _note_first_picture(self) -> None:
        if self.job.run.record().first_snapshot_seconds is None:
            self.job.run.update(first_snapshot_seconds=round(self.tally.seconds, 3))

    def _checkpoint(self, step: RecoverStep) -> None:
        position = Position(self.plan.batch_index, step.state.iteration, round(self.tally.seconds, 3))
        write_checkpoint(self.job.run, step.state.to_tensors(), position)
        self._checkpointed = time.monotonic()

    def _pixels(self, state: BatchState) -> np.ndarray:
        card = self.job.teacher.card
        return to_u8(denormalise(state.images, card.mean, card.std))


def _emit(run: Run, event: dict[str, Any]) -> dict[str, Any]:
    run.event(event)
    return event


def _write_start_images(job: RecoverJob, plans: Sequence[BatchPlan]) -> None:
    """Picture the start images of all batches at once where they are small; else each batch pictures its own."""
    run = job.run
    if is_small(job.inputs, plans) and not all(0 in run.rounds_written(c) for c in job.inputs.classes):
        card = job.teacher.card
        for plan in plans:
            images = start_images(job, plan)
            pictures(run, job.inputs, slots_of(plan)).write_round(to_u8(denormalise(images, card.mean, card.std)), 0)


@torch.no_grad()
def predict_shown(job: RecoverJob, plan: BatchPlan, images: torch.Tensor, round_number: int) -> None:
    """Ask the teacher about the first images of a batch, those whose class is shown.

    While the loop is open its hooks measure this forward pass as well; the next one begins anew, so no image is
    changed by it.
    """
    shown = set(job.inputs.classes[: job.run.record().options.snapshot_classes])
    slots = [slot for slot in slots_of(plan)[: len(images)] if slot[0] in shown]
    if not slots:
        return
    if len(slots) < len(images):
        images = images[[at for at, slot in enumerate(slots_of(plan)[: len(images)]) if slot[0] in shown]]
    probabilities = job.teacher.network(images).float().softmax(1)
    write_predictions(job.run, slots, probabilities.cpu().numpy(), round_number)


def start_images(job: RecoverJob, plan: BatchPlan) -> torch.Tensor:
    """Return what the images of a batch start from: normalised (N, C, H, W)."""
    card, size = job.teacher.card, job.inputs.dataset.spec.image_size
    if job.experiment.recover.initialization == "noise":
        return start_noise(plan, size, seed=job.experiment.seed).to(job.device)
    image_u8 = start_pixels(job.inputs, job.selection, slots_of(plan))
    return normalise(to_pixels(image_u8), card.mean, card.std).to(job.device)


def image_texts(job: RecoverJob, plan: BatchPlan) -> list[dict[str, Any]]:
    """Return the settings that go into each image of a batch."""
    experiment, config = job.experiment, job.experiment.recover
    selected = {(image.class_index, image.index): image for image in job.selection}
    texts = []
    for slot in plan.slots:
        image = selected.get((slot.class_index, slot.index))
        texts.append(
            {
                "method": config.method,
                "class": job.inputs.dataset.spec.class_names[slot.class_index],
                "class_index": slot.class_index,
                "index": slot.index,
                "seed": experiment.seed,
                "start_round": slot.start_round,
                "iterations": config.iterations - (slot.start_round - 1) * config.round_iterations,
                "patches": [
                    {
                        "source": patch.source,
                        "crop_box": list(patch.crop_box),
                        "true_class_prob": patch.true_class_prob,
                        "rank": patch.rank,
                    }
                    for patch in (image.patches if image else ())
                ],
                "dataset": experiment.dataset,
                "teacher": job.teacher.card.name,
                "rank": experiment.rank.model_dump(),
                "select": experiment.select.model_dump(),
                "settings": config.model_dump(),
            }
        )
    return texts
