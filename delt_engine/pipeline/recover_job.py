"""What all batches of a recovery share: the teacher, the selection, start images, and what is written beside images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from delt_engine.data.pixels import denormalise, normalise, to_pixels, to_u8
from delt_engine.models.teachers import Teacher
from delt_engine.patches.selection import SelectedImage
from delt_engine.pipeline.bn_targets import BatchTargets
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.inputs import Slot, by_slot, shown_classes, slots_of, start_pixels
from delt_engine.recovery.batches import BatchPlan
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import start_noise
from delt_engine.runs.predictions import write_predictions


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

    def _patches(self, class_index: int, index: int) -> list[dict[str, Any]]:
        found = self.selected.get((class_index, index))
        return [patch.facts for patch in found.patches] if found else []

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
                "patches": self._patches(slot.class_index, slot.index),
            }
            for slot in plan.slots
        ]
