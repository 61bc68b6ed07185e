"""Record the early-versus-late lab: the same patch joining in different rounds, with everything else the same.

One run of recovery is the base: every image joins when its class's schedule says. A twin is that run once more with
one slot moved to another round: same companions, same crops, same learning rate and curriculum, same seed. Only the
patch's own start differs, and whether it takes part in the batch's statistics before.

Source: ours; the loop is DELT's (Sec. 3, Eq. 6-8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from delt_engine.analysis.features import look
from delt_engine.analysis.similarity import halves_cosine, pixel_change, pixel_vectors
from delt_engine.config import RecoverConfig
from delt_engine.data.dataset import Dataset
from delt_engine.data.pixels import denormalise, normalise, to_pixels, to_u8
from delt_engine.errors import ConfigError
from delt_engine.lab.iteration import TakenApart, take_apart
from delt_engine.lab.iteration_stages import stages_of
from delt_engine.lab.material import HalvesRecord, LabPlan, SubjectRecord, TwinRecord
from delt_engine.models.teachers import Teacher
from delt_engine.patches.selection import SelectedImage, patch_pixels
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, Slot, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, recover
from delt_engine.seeding import generator

Key = tuple[int, int]  # class index, index in the class


@dataclass(frozen=True)
class LabProgress:
    """How far the recording is, in iterations of all its runs."""

    done: int
    total: int


@dataclass
class LabMaterial:
    """What was recorded: records, and sheets of tiles uint8 (rows, columns, S, S, 3) by file name."""

    subjects: list[SubjectRecord] = field(default_factory=list)
    halves: list[HalvesRecord] = field(default_factory=list)
    sheets: dict[str, np.ndarray] = field(default_factory=dict)


def twin_plan(plan: BatchPlan, key: Key, start_round: int) -> BatchPlan:
    """Return the batch with one image joining in another round; all other images keep their order.

    Raises:
        ConfigError: the batch has no such image.

    >>> plan = BatchPlan(0, (Slot(0, 0, 1), Slot(0, 1, 1), Slot(0, 2, 2)))
    >>> [(slot.index, slot.start_round) for slot in twin_plan(plan, (0, 0), 2).slots]
    [(1, 1), (0, 2), (2, 2)]
    """
    if key not in {(slot.class_index, slot.index) for slot in plan.slots}:
        raise ConfigError(f"key: image {key} given, but batch {plan.batch_index} does not hold it.")
    moved = (
        replace(slot, start_round=start_round) if (slot.class_index, slot.index) == key else slot for slot in plan.slots
    )
    return BatchPlan(plan.batch_index, tuple(sorted(moved, key=lambda slot: slot.start_round)))


@dataclass(frozen=True, eq=False)
class LabWork:
    """What a lab is recorded from.

    Args:
        dataset: the real images.
        teacher: on the device that is used.
        selection: which patch starts which image, of all ``classes``.
        classes: class indices.
        config: of the recovery.
        plan: what is recorded.
        seed: the experiment's; crops are those of a run with the same seed.

    Raises:
        ConfigError: the plan does not fit the settings.
    """

    dataset: Dataset
    teacher: Teacher
    selection: Sequence[SelectedImage]
    classes: Sequence[int]
    config: RecoverConfig
    plan: LabPlan
    seed: int

    def __post_init__(self) -> None:
        self.plan.check(self.config)
        if self.config.batching != "classes" or self.config.initialization != "patches":
            raise ConfigError("lab: it needs images that start from patches, in batches of whole classes.")

    @property
    def device(self) -> torch.device:
        """Where the teacher is."""
        return next(self.teacher.network.parameters()).device

    def subjects(self, plan: BatchPlan) -> list[Key]:
        """Return the images of a batch that get a film."""
        keys = [(slot.class_index, slot.index) for slot in plan.slots if slot.index < self.plan.patches]
        return sorted(keys)

    def selected(self, key: Key) -> SelectedImage:
        """Return where an image starts from."""
        return next(image for image in self.selection if (image.class_index, image.index) == key)


def record_lab(work: LabWork) -> Iterator[LabProgress | LabMaterial]:
    """Record films, iterations and likeness; the last record yielded is the material.

    Raises:
        ShapeError, CheckpointError: as the loop raises them.
    """
    config, material = work.config, LabMaterial()
    batches = plan_batches(work.classes, config)
    runs = {plan.batch_index: 1 + sum(len(_others(work, plan, key)) for key in work.subjects(plan)) for plan in batches}
    total, done = config.iterations * sum(runs.values()), 0
    for plan in batches:
        pixels = {_key(slot): patch_pixels(work.dataset, work.selected(_key(slot))) for slot in plan.slots}
        base = _Recording(work, plan, pixels, work.subjects(plan), is_base=True)
        films: dict[tuple[Key, int], _Recording] = {}
        for completed in base.run():
            yield LabProgress(done + completed, total)
        done += config.iterations
        for key in work.subjects(plan):
            for start_round in _others(work, plan, key):
                twin = _Recording(work, twin_plan(plan, key, start_round), pixels, [key], is_base=False)
                for completed in twin.run():
                    yield LabProgress(done + completed, total)
                done += config.iterations
                films[key, start_round] = twin
        _gather(material, work, base, films)
    yield material


def _key(slot: Slot) -> Key:
    return slot.class_index, slot.index


def _others(work: LabWork, plan: BatchPlan, key: Key) -> list[int]:
    """Return the start rounds of the twins that are not the base run's own."""
    own = next(slot.start_round for slot in plan.slots if _key(slot) == key)
    return [number for number in work.plan.start_rounds if number != own]


class _Recording:
    """One run of a batch, and what is kept of it: the subjects at every moment, and more of the base run."""

    def __init__(
        self, work: LabWork, plan: BatchPlan, pixels: Mapping[Key, np.ndarray], subjects: list[Key], *, is_base: bool
    ) -> None:
        self.work, self.plan, self.subjects, self.is_base = work, plan, subjects, is_base
        self.start_u8 = np.stack([pixels[_key(slot)] for slot in plan.slots])
        self.places = {_key(slot): place for place, slot in enumerate(plan.slots)}
        self.labels = torch.tensor([slot.class_index for slot in plan.slots], device=work.device)
        self.moments = set(work.plan.moments(work.config))
        self.frames: dict[Key, dict[int, np.ndarray]] = {key: {} for key in subjects}  # by completed iterations
        self.probabilities: dict[Key, dict[int, float]] = {key: {} for key in subjects}
        self.rounds: list[tuple[Tensor, np.ndarray]] = []  # features and pixels of all images at each round's end
        self.taken_apart: list[TakenApart] = []

    def run(self) -> Iterator[int]:
        """Take the batch to its end; yield how many iterations are completed."""
        work, config, card = self.work, self.work.config, self.work.teacher.card
        images = normalise(to_pixels(self.start_u8, work.device), card.mean, card.std)
        rows = crop_plan(config, images.shape[-1], generator(work.seed, "crops", self.plan.batch_index))
        apart = {min(int(share * config.iterations), config.iterations - 1) for share in work.plan.taken_apart}
        kept = [BatchState.start(images)] if 0 in apart else []
        self._keep(images, 0)
        for step in recover(images, self.labels, PreparedTeacher.of(work.teacher), self.plan, config, rows):
            completed = step.state.iteration
            if self.is_base and completed in apart:
                kept.append(BatchState.from_tensors({k: v.to(work.device) for k, v in step.state.to_tensors().items()}))
            self._keep(step.state.images, completed)
            yield completed
        if self.is_base:
            network = work.teacher.network
            self.taken_apart = [
                take_apart(state, self.labels, network, self.plan, config, rows, mean=card.mean, std=card.std)
                for state in kept
            ]

    def _keep(self, images: Tensor, completed: int) -> None:
        card, network = self.work.teacher.card, self.work.teacher.network
        if completed in self.moments:
            places = [self.places[key] for key in self.subjects]
            chosen = images[places].contiguous()
            seen = look(network, chosen)
            image_u8 = to_u8(denormalise(chosen, card.mean, card.std))
            for number, key in enumerate(self.subjects):
                self.frames[key][completed] = image_u8[number]
                self.probabilities[key][completed] = float(seen.probabilities[number, key[0]])
        if self.is_base and completed % self.work.config.round_iterations == 0:
            image_u8 = to_u8(denormalise(images, card.mean, card.std))
            self.rounds.append((look(network, images.contiguous()).features, image_u8))


def _gather(
    material: LabMaterial, work: LabWork, base: _Recording, films: Mapping[tuple[Key, int], _Recording]
) -> None:
    """Turn the runs of one batch into records and sheets."""
    for key in base.subjects:
        name = f"{key[0]:04d}-{key[1]:02d}"
        recordings = {number: films.get((key, number), base) for number in work.plan.start_rounds}
        twins, film = _twins(work, key, recordings)
        stages, sheet = stages_of(base.taken_apart, base.places[key], key[0], work.teacher, work.config)
        material.sheets |= {f"film-{name}.png": film, f"stages-{name}.png": sheet}
        origin = work.selected(key)
        patch = origin.patches[0]
        material.subjects.append(
            SubjectRecord(
                class_index=key[0],
                index=key[1],
                source=patch.source,
                true_class_prob=patch.true_class_prob,
                rank=patch.rank,
                natural_round=origin.start_round,
                film=f"film-{name}.png",
                stages_sheet=f"stages-{name}.png",
                twins=twins,
                stages=stages,
            )
        )
    for class_index in sorted({slot.class_index for slot in base.plan.slots}):
        record, sheet = _halves(work, base, class_index)
        material.halves.append(record)
        material.sheets[record.sheet] = sheet


def _twins(work: LabWork, key: Key, recordings: Mapping[int, _Recording]) -> tuple[tuple[TwinRecord, ...], np.ndarray]:
    """Return the records of a patch's twins and their film, uint8 (twins, P, S, S, 3)."""
    moments = work.plan.moments(work.config)
    size = work.dataset.spec.image_size
    film = np.zeros((len(recordings), len(moments), size, size, 3), np.uint8)
    records = []
    for row, (start_round, recording) in enumerate(recordings.items()):
        first = moments.index((start_round - 1) * work.config.round_iterations)
        # A batch without an image of round 1 begins later; until then its images are as they started.
        kept, seen = recording.frames[key], recording.probabilities[key]
        frames = np.stack([kept.get(moment, kept[0]) for moment in moments[first:]])
        film[row, : len(frames)] = frames
        change, distance = pixel_change(frames, frames[:1])
        records.append(
            TwinRecord(
                start_round=start_round,
                row=row,
                first=first,
                change=_rounded(change, 2),
                distance=_rounded(distance),
                probability=_rounded([seen.get(moment, seen[0]) for moment in moments[first:]]),
            )
        )
    return tuple(records), film


def _halves(work: LabWork, base: _Recording, class_index: int) -> tuple[HalvesRecord, np.ndarray]:
    """Return how alike the halves of a class are after every round, and the class at both ends."""
    places = [place for (number, _), place in sorted(base.places.items()) if number == class_index]
    card = work.teacher.card
    by_features = [halves_cosine(features[places].numpy()) for features, _ in base.rounds]
    by_pixels = [halves_cosine(pixel_vectors(image_u8[places], card.mean, card.std)) for _, image_u8 in base.rounds]
    record = HalvesRecord(
        class_index=class_index,
        sheet=f"halves-{class_index:04d}.png",
        early=_rounded([pair[0] for pair in by_features]),
        late=_rounded([pair[1] for pair in by_features]),
        pixel_early=_rounded([pair[0] for pair in by_pixels]),
        pixel_late=_rounded([pair[1] for pair in by_pixels]),
    )
    return record, np.stack([base.rounds[0][1][places], base.rounds[-1][1][places]])


def _rounded(values: Sequence[float] | np.ndarray, digits: int = 4) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
