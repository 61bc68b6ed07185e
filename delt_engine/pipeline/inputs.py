"""What a run starts from, without torch: data, classes, teacher's file, students' images, selection, start pictures.

Everything that can be wrong with the question itself is found here, before anything is computed or a folder is made.
Where the ranking was made before, the start images are there a moment after the run's process began, and while it
still waits for its device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from delt_engine import files
from delt_engine.config import Experiment
from delt_engine.data.catalogue import dataset_ref, load_dataset
from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError, ConfigError, DataError, RunError
from delt_engine.models.card import TeacherCard, find_other, find_teacher, has_card, read_card, teacher_files
from delt_engine.models.committee import SECOND, find_committee
from delt_engine.patches.coresets import needs_scores, stored_scores
from delt_engine.patches.ranker import Ranker, find_ranker
from delt_engine.patches.ranking import Ranking, cached_ranking
from delt_engine.patches.selection import SelectedImage, patch_pixels, select, write_selection
from delt_engine.recovery.batches import BatchPlan, plan_batches
from delt_engine.runs.events import StageEvent
from delt_engine.runs.images import Pictures, remove_damaged
from delt_engine.runs.record import DatasetRecord, TeacherRecord
from delt_engine.runs.sources import Source, asks_for_teacher
from delt_engine.runs.store import Run
from delt_engine.training.image_table import ImageTable, from_folder, from_run, real, test_table

Report = Callable[[str, int, int], None]

UPFRONT_BYTES = 64 * 2**20
"""Start images of all batches are pictured before the first one when they are no larger than this."""

Slot = tuple[int, int]
"""Class index, and index within the class."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The data, which of its classes are worked on, and the teacher.

    Attributes:
        dataset: ready to be read.
        classes: class indices, ascending.
        teacher_path: the teacher's file; None for a squeeze, which makes one.
        card: what the file says of itself; None for a checkpoint from elsewhere.
        ranker: what ranks the patches; None where the teacher does.
        relabeller: file and card of what labels; None where the teacher does.
        committee: file and card of the teachers that take turns after the teacher.
        train: images that students learn from, where they were read already.
    """

    dataset: Dataset
    classes: tuple[int, ...]
    teacher_path: Path | None = None
    card: TeacherCard | None = None
    ranker: Ranker | None = None
    relabeller: tuple[Path, TeacherCard] | None = None
    committee: tuple[tuple[Path, TeacherCard], ...] = ()
    train: ImageTable | None = None

    @property
    def teacher_ref(self) -> str:
        """What finds the teacher again: its name where it has one, else its file."""
        names = [name for name, path in teacher_files() if path == self.teacher_path]
        return names[0] if names else str(self.teacher_path)

    @property
    def relabeller_record(self) -> TeacherRecord | None:
        """What run.json keeps of a network of its own that labels."""
        return None if self.relabeller is None else _record_of(*self.relabeller)

    @property
    def committee_records(self) -> tuple[TeacherRecord, ...]:
        """What run.json keeps of the teachers that take turns after the teacher."""
        return tuple(_record_of(path, card) for path, card in self.committee)

    @property
    def ranker_record(self) -> TeacherRecord | None:
        """What run.json keeps of a ranker of its own."""
        if self.ranker is None:
            return None
        if self.ranker.card is not None:
            return TeacherRecord.of(self.ranker.card, self.ranker.ref)
        own = self.ranker
        return TeacherRecord(name=own.name, network="", fingerprint=own.fingerprint, ref=own.ref)

    @property
    def dataset_record(self) -> DatasetRecord:
        """What run.json keeps of the dataset."""
        spec = self.dataset.spec
        return DatasetRecord(
            name=spec.name,
            title=spec.title,
            fingerprint=self.dataset.fingerprint,
            image_size=spec.image_size,
            class_names=spec.class_names,
            mean=spec.mean,
            std=spec.std,
            resize=self.dataset.train.resize,
        )


def _record_of(path: Path, card: TeacherCard) -> TeacherRecord:
    return TeacherRecord.of(card, next((name for name, known in teacher_files() if known == path), str(path)))


def load_inputs(
    experiment: Experiment,
    report: Report | None = None,
    *,
    needs_teacher: bool = True,
    needs_ranker: bool = True,
    needs_committee: bool = False,
    teacher: str | None = None,
    committee: Sequence[str] = (),
    ranker: str | None = None,
    relabeller: str = "",
) -> Inputs:
    """Read the dataset, number the classes, and find teacher, committee, ranker and relabeller.

    Args:
        experiment: dataset, image size, classes, teacher and ranker are looked at.
        report: called with how far reading is: what, done, total.
        needs_teacher: False for a squeeze, and for a ranking by a ranker of its own.
        needs_ranker: False for what ranks nothing.
        needs_committee: True for what recovers; the settings say whether there is one.
        teacher: a teacher other than the experiment's, for a run that goes on with the one it began with.
        committee: likewise of those that take turns after it.
        ranker: likewise.
        relabeller: of an evaluation whose images another network labels.

    Raises:
        DataError: no such dataset, nothing in it, or no such class.
        CheckpointError: no such teacher, ranker or relabeller, or one with other classes.
        ConfigError: a committee for a method that recovers from one teacher.
    """
    has_committee = needs_committee and experiment.recover.committee
    if needs_committee and experiment.teachers and not has_committee:
        raise ConfigError(
            f"teachers: {', '.join(experiment.teachers)} given, but {experiment.recover.method} recovers from one "
            "teacher, --teacher; several take turns with --method gvbsm or --committee."
        )
    dataset = load_dataset(experiment.dataset, experiment.image_size, report=report, resize=experiment.resize)
    spec = dataset.spec
    names = experiment.classes if experiment.classes is not None else spec.class_names
    classes = tuple(sorted({dataset.class_index(name) for name in names}))
    named = (ranker or experiment.ranker) if needs_ranker else ""
    found = find_ranker(named, dataset) if named else None
    if found is not None and found.card is None:  # read now, so that it is known to fit
        found.known_ranking(dataset, experiment.rank, experiment.seed)
    labels: tuple[Path, TeacherCard] | None = None
    if relabeller:
        known = [spec.class_names[number] for number in classes]
        labels = find_other(relabeller, "relabeller", known, spec.image_size)
    if not needs_teacher:
        return Inputs(dataset, classes, ranker=found, relabeller=labels)
    named_teacher = teacher or experiment.teacher
    if has_committee and named_teacher == "auto" and experiment.teachers and experiment.teachers[0] != SECOND:
        named_teacher = experiment.teachers[0]
    path = find_teacher(named_teacher, dataset_ref(dataset), spec.image_size, spec.class_names)
    card = read_card(path) if has_card(path) else None
    if card is not None and card.num_classes != spec.num_classes:
        raise CheckpointError(
            f"teacher: {card.name} has {card.num_classes} classes, but {spec.name} has {spec.num_classes}."
        )
    others = committee or experiment.teachers
    members = find_committee(others, path, dataset_ref(dataset), spec.class_names) if has_committee else ()
    return Inputs(dataset, classes, path, card, found, labels, members)


def training_images(source: Source, inputs: Inputs) -> ImageTable:
    """Return the images of a source, of the classes that the run has.

    Raises:
        DataError: a run that is not finished, files that cannot be read, or classes that do not match.
    """
    source.check_ready()
    if source.run is not None:
        return from_run(source.run)
    names = tuple(inputs.dataset.spec.class_names[number] for number in inputs.classes)
    if source.folder is not None:
        return from_folder(source.folder, inputs.dataset, classes=names)
    return real(inputs.dataset, names)


def evaluation_inputs(experiment: Experiment, source: Source, report: Report | None = None) -> Inputs:
    """Look up everything an evaluation needs, and refuse what does not fit together.

    Args:
        experiment: of the evaluation.
        source: what students are trained on; a run that is still at work is looked at later.
        report: called with how far reading is.

    Raises:
        DataError: no such dataset, a source that cannot be used, or classes that are not those of the test images.
        CheckpointError: no teacher where one is needed.
    """
    inputs = load_inputs(
        experiment,
        report,
        needs_teacher=asks_for_teacher(experiment, source),
        needs_ranker=False,
        relabeller=experiment.evaluate.relabeller,
    )
    if source.run is not None and source.run.is_active:
        return inputs
    train = training_images(source, inputs)
    test_table(inputs.dataset, train)
    return replace(inputs, train=train)


def begin(run: Run, inputs: Inputs) -> None:
    """Select and picture the start images, if this run starts from patches that are ranked already."""
    remove_damaged(run)
    if run.experiment.recover.initialization != "patches":
        return
    selection = read_selection(run, inputs)
    if selection is None:
        ranking = known_ranking(run, inputs, inputs.card.fingerprint if inputs.card else None)
        scores = known_scores(run, inputs)
        if ranking is None or (scores is None and needs_scores(run.experiment.select)):
            return
        selection = write_selected(run, inputs, ranking, scores)
    plans = plan_batches(inputs.classes, run.experiment.recover)
    selected = by_slot(selection)
    picture_all(run, inputs, plans, lambda plan: start_pixels(inputs, selected, slots_of(plan)))


def picture_all(
    run: Run, inputs: Inputs, plans: Sequence[BatchPlan], pixels_of: Callable[[BatchPlan], np.ndarray]
) -> None:
    """Picture the start images of all classes at once where they are small and one is missing.

    Args:
        run: where to.
        inputs: of the run.
        plans: all batches.
        pixels_of: returns the start images of a batch, uint8 (n, S, S, 3).
    """
    if not is_small(inputs, plans) or all(0 in run.rounds_written(c) for c in shown_classes(run, inputs)):
        return
    found = {slot: image for plan in plans for slot, image in zip(slots_of(plan), pixels_of(plan), strict=True)}
    slots_by_class: dict[int, list[Slot]] = {class_index: [] for class_index in inputs.classes}
    for slot in sorted(found):
        slots_by_class[slot[0]].append(slot)
    for class_index in shown_classes(run, inputs):
        slots = slots_by_class[class_index]
        pictures(run, inputs, slots).write_round(np.stack([found[slot] for slot in slots]), 0)


def shown_classes(run: Run, inputs: Inputs) -> tuple[int, ...]:
    """Return the classes that get snapshots and live strips."""
    return inputs.classes[: run.record().options.snapshot_classes]


def known_ranking(run: Run, inputs: Inputs, teacher_fingerprint: str | None) -> Ranking | None:
    """Return the ranking made before for this data by the run's ranker, else by the teacher, or None."""
    config, seed = run.experiment.rank, run.experiment.seed
    classes = None if run.experiment.classes is None else inputs.classes
    if inputs.ranker is not None:
        return inputs.ranker.known_ranking(inputs.dataset, config, seed, classes)
    if teacher_fingerprint is None:
        return None
    return cached_ranking(inputs.dataset.fingerprint, teacher_fingerprint, config, seed, classes)


def read_selection(run: Run, inputs: Inputs) -> tuple[SelectedImage, ...] | None:
    """Return the run's selection; None where there is none yet, or one that is not whole or not what was written."""
    try:
        digest = run.record().selection_digest
        if digest and digest != _digest_of(run.path / "selection.csv"):
            return None
        selection = run.selection()
    except (RunError, DataError):
        return None
    tiles = run.experiment.select.mosaic**2
    expected = len(inputs.classes) * run.experiment.recover.ipc
    is_whole = len(selection) == expected and all(len(image.patches) == tiles for image in selection)
    return selection if is_whole else None


def _digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "absent"


def known_scores(run: Run, inputs: Inputs) -> np.ndarray | None:
    """Return the scores of the training images that a coreset goes by, None where they are not computed or needed."""
    experiment = run.experiment
    if not needs_scores(experiment.select):
        return None
    return stored_scores(inputs.dataset.fingerprint, inputs.card, experiment.select, experiment.seed)


def write_selected(
    run: Run, inputs: Inputs, ranking: Ranking, scores: np.ndarray | None = None
) -> tuple[SelectedImage, ...]:
    """Select from a ranking, for a coreset by scores, and write the run's selection to the disk.

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
        scores=scores,
    )
    path = run.path / "selection.csv"
    write_selection(path, selected, dataset.spec.class_names)
    files.sync(path)
    run.update(selection_digest=_digest_of(path))
    run.event(StageEvent(stage="select", done=len(selected), total=len(selected)))
    return run.selection()


def by_slot(selection: Sequence[SelectedImage]) -> dict[Slot, SelectedImage]:
    """Return the images of a selection by class and index."""
    return {(image.class_index, image.index): image for image in selection}


def start_pixels(inputs: Inputs, selected: Mapping[Slot, SelectedImage], slots: Sequence[Slot]) -> np.ndarray:
    """Return the patches that images start from: uint8 (n, S, S, 3)."""
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
