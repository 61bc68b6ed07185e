"""Record the early-versus-late lab: the same patch joining in different rounds, with everything else the same.

One run of recovery is the base: every image joins when its class's schedule says. A twin is that run once more with
one slot moved to another round: same companions, same crops, same learning rate and curriculum, same seed. Only the
patch's own start differs, and whether it takes part in the batch's statistics before.

Source: ours; the loop is DELT's (Sec. 3, Eq. 6-8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from delt_engine.analysis.diversity import network_outputs
from delt_engine.analysis.similarity import halves_cosine, pixel_change, pixel_vectors
from delt_engine.config import RecoverConfig
from delt_engine.data.dataset import Dataset
from delt_engine.data.pixels import denormalise, normalise, to_pixels, to_u8
from delt_engine.errors import ConfigError
from delt_engine.lab.iteration import TakenApart, stages_of, take_apart
from delt_engine.lab.material import HalvesRecord, LabPlan, SubjectRecord, TwinRecord
from delt_engine.models.teachers import Teacher
from delt_engine.patches.selection import SelectedImage, patch_pixels
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, recover
from delt_engine.seeding import generator

Key = tuple[int, int]  # class index, index in the class


@dataclass
class LabMaterial:
    """What was recorded: records, and sheets of tiles uint8 (rows, columns, S, S, 3) by file name."""

    subjects: list[SubjectRecord] = field(default_factory=list)
    halves: list[HalvesRecord] = field(default_factory=list)
    sheets: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LabWork:
    """What a lab is recorded from.

    The teacher is on the device that is used, the selection is of all ``classes``, and crops are those of a run with
    the same seed.

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
        if self.config.bn_targets != "running":
            raise ConfigError(
                f"lab: bn_targets: {self.config.bn_targets} given, but it shows running statistics alone."
            )

    def selected(self, key: Key) -> SelectedImage:
        """Return where an image starts from."""
        return next(image for image in self.selection if (image.class_index, image.index) == key)


def twin_plan(plan: BatchPlan, key: Key, start_round: int) -> BatchPlan:
    """Return the batch with one image joining in another round; all other images keep their order.

    Raises:
        ConfigError: the batch has no such image.

    >>> from delt_engine.recovery.batches import Slot
    >>> plan = BatchPlan(0, (Slot(0, 0, 1), Slot(0, 1, 1), Slot(0, 2, 2)))
    >>> [(slot.index, slot.start_round) for slot in twin_plan(plan, (0, 0), 2).slots]
    [(1, 1), (0, 2), (2, 2)]
    """
    keys = _keys(plan)
    if key not in keys:
        raise ConfigError(f"key: image {key} given, but batch {plan.batch_index} does not hold it.")
    slots = list(plan.slots)
    slots[keys.index(key)] = replace(slots[keys.index(key)], start_round=start_round)
    return BatchPlan(plan.batch_index, tuple(sorted(slots, key=lambda slot: slot.start_round)))


def _keys(plan: BatchPlan) -> list[Key]:
    return [(slot.class_index, slot.index) for slot in plan.slots]


def record_lab(work: LabWork, report: Callable[[int, int], None] = lambda _done, _total: None) -> LabMaterial:
    """Record sheets, iterations and similarities; ``report`` gets how many iterations are done, of how many.

    Raises:
        ShapeError, CheckpointError: as the loop raises them.
    """
    material, done = LabMaterial(), 0
    batches = plan_batches(work.classes, work.config)
    twins = {  # of each batch: the patches that get a film, in rounds other than that of the base run
        plan.batch_index: [
            (key, start_round)
            for key in sorted(key for key in _keys(plan) if key[1] < work.plan.patches)
            for start_round in work.plan.start_rounds
            if start_round != plan.slots[_keys(plan).index(key)].start_round
        ]
        for plan in batches
    }
    total = work.config.iterations * sum(1 + len(pairs) for pairs in twins.values())

    def take(recording: _Recording) -> _Recording:
        nonlocal done
        recording.run(lambda completed: report(done + completed, total))
        done += work.config.iterations
        return recording

    for plan in batches:
        pixels = {key: patch_pixels(work.dataset, work.selected(key)) for key in _keys(plan)}
        subjects = sorted(key for key in _keys(plan) if key[1] < work.plan.patches)
        base = take(_Recording(work, plan, pixels, subjects, is_base=True))
        films = {
            (key, start_round): take(_Recording(work, twin_plan(plan, key, start_round), pixels, [key], is_base=False))
            for key, start_round in twins[plan.batch_index]
        }
        for key in subjects:
            recordings = {number: films.get((key, number), base) for number in work.plan.start_rounds}
            _add_subject(material, work, base, key, recordings)
        for class_index in sorted({slot.class_index for slot in plan.slots}):
            _add_halves(material, work, base, class_index)
    return material


class _Recording:
    """One run of a batch: the subjects at every moment, and more of the base run."""

    def __init__(
        self, work: LabWork, plan: BatchPlan, pixels: Mapping[Key, np.ndarray], subjects: list[Key], *, is_base: bool
    ) -> None:
        self.work, self.plan, self.subjects, self.is_base = work, plan, subjects, is_base
        self.device = next(work.teacher.network.parameters()).device
        self.start_u8 = np.stack([pixels[key] for key in _keys(plan)])
        self.places = {key: place for place, key in enumerate(_keys(plan))}
        self.labels = torch.tensor([slot.class_index for slot in plan.slots], device=self.device)
        self.moments = set(work.plan.moments(work.config))
        self.frames: dict[Key, dict[int, np.ndarray]] = {key: {} for key in subjects}  # by completed iterations
        self.probabilities: dict[Key, dict[int, float]] = {key: {} for key in subjects}
        self.rounds: list[tuple[Tensor, np.ndarray]] = []  # features and pixels of all images at each round's end
        self.taken_apart: list[TakenApart] = []

    def run(self, report: Callable[[int], None]) -> None:
        """Take the batch to its end; ``report`` gets how many iterations are completed."""
        work, config, card = self.work, self.work.config, self.work.teacher.card
        images = normalise(to_pixels(self.start_u8, self.device), card.mean, card.std)
        rows = crop_plan(config, images.shape[-1], generator(work.seed, "crops", self.plan.batch_index))
        shares = work.plan.taken_apart if self.is_base else ()
        apart = {min(int(share * config.iterations), config.iterations - 1) for share in shares}
        states = [BatchState.start(images)] if 0 in apart else []
        self._look(images, 0)
        for step in recover(images, self.labels, PreparedTeacher.of(work.teacher), self.plan, config, rows):
            completed = step.state.iteration
            if completed in apart:
                copied = {name: tensor.to(self.device) for name, tensor in step.state.to_tensors().items()}
                states.append(BatchState.from_tensors(copied))
            self._look(step.state.images, completed)
            report(completed)
        network = work.teacher.network
        self.taken_apart = [
            take_apart(state, self.labels, network, self.plan, config, rows, mean=card.mean, std=card.std)
            for state in states
        ]

    def _look(self, images: Tensor, completed: int) -> None:
        card, network = self.work.teacher.card, self.work.teacher.network
        if completed in self.moments:
            chosen = images[[self.places[key] for key in self.subjects]].contiguous()
            probabilities = network_outputs(network, chosen).probabilities
            image_u8 = to_u8(denormalise(chosen, card.mean, card.std))
            for number, key in enumerate(self.subjects):
                self.frames[key][completed] = image_u8[number]
                self.probabilities[key][completed] = float(probabilities[number, key[0]])
        if self.is_base and completed % self.work.config.round_iterations == 0:
            image_u8 = to_u8(denormalise(images, card.mean, card.std))
            self.rounds.append((network_outputs(network, images.contiguous()).features, image_u8))


def _add_subject(
    material: LabMaterial, work: LabWork, base: _Recording, key: Key, recordings: Mapping[int, _Recording]
) -> None:
    """Add a patch: its twins with their film, uint8 (twins, P, S, S, 3), and the iterations taken apart."""
    moments, size = work.plan.moments(work.config), work.dataset.spec.image_size
    film = np.zeros((len(recordings), len(moments), size, size, 3), np.uint8)
    twins = []
    for row, (start_round, recording) in enumerate(recordings.items()):
        first = moments.index((start_round - 1) * work.config.round_iterations)
        # A batch without an image of round 1 begins later; until then its images are as they started.
        images, probabilities = recording.frames[key], recording.probabilities[key]
        frames = np.stack([images.get(moment, images[0]) for moment in moments[first:]])
        film[row, : len(frames)] = frames
        change, distance = pixel_change(frames, frames[:1])
        measured = {"change": _rounded(change, 2), "distance": _rounded(distance)}
        measured["probability"] = _rounded([probabilities.get(moment, probabilities[0]) for moment in moments[first:]])
        twins.append(TwinRecord(start_round=start_round, row=row, first=first, **measured))
    stages, sheet = stages_of(base.taken_apart, base.places[key], key[0], work.teacher, work.config)
    name = f"{key[0]:04d}-{key[1]:02d}.png"
    material.sheets |= {f"film-{name}": film, f"stages-{name}": sheet}
    origin = work.selected(key)
    patch = origin.patches[0]
    record = SubjectRecord(
        class_index=key[0],
        index=key[1],
        source=patch.source,
        true_class_prob=patch.true_class_prob,
        rank=patch.rank,
        natural_round=origin.start_round,
        film=f"film-{name}",
        stages_sheet=f"stages-{name}",
        twins=tuple(twins),
        stages=stages,
    )
    material.subjects.append(record)


def _add_halves(material: LabMaterial, work: LabWork, base: _Recording, class_index: int) -> None:
    """Add how alike the halves of a class are after every round, and the class at both ends."""
    places = [place for (number, _), place in sorted(base.places.items()) if number == class_index]
    card = work.teacher.card
    by_features = [halves_cosine(features[places].numpy()) for features, _ in base.rounds]
    by_pixels = [halves_cosine(pixel_vectors(image_u8[places], card.mean, card.std)) for _, image_u8 in base.rounds]
    both = zip(*by_features, strict=True), zip(*by_pixels, strict=True)
    early, late, pixel_early, pixel_late = (_rounded(values) for halves in both for values in halves)
    sheet = f"halves-{class_index:04d}.png"
    material.sheets[sheet] = np.stack([base.rounds[0][1][places], base.rounds[-1][1][places]])
    cosines = {"early": early, "late": late, "pixel_early": pixel_early, "pixel_late": pixel_late}
    material.halves.append(HalvesRecord(class_index=class_index, sheet=sheet, **cosines))


def _rounded(values: Sequence[float] | np.ndarray, digits: int = 4) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
