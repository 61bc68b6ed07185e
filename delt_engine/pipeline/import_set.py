"""A set that others published as a finished run: checked against a dataset, copied pixel for pixel, all or nothing.

Gallery, similarity, students and everything else that reads a run then treat it like one of ours. Where it is from
stands in the run's ``origin``. Images are never resized: a set of another size is held against the dataset at that
size. Its pictures become PNG, which loses nothing of what a JPEG holds.

Shapes: N images, K classes, S side in pixels.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from delt_engine import files
from delt_engine.config import Experiment, RecoverConfig
from delt_engine.config.methods import IMPORTED
from delt_engine.data.catalogue import dataset_ref, find_entry
from delt_engine.data.dataset import Dataset
from delt_engine.data.foreign import ForeignSet
from delt_engine.data.published_sets import read_foreign
from delt_engine.data.unpack import remove_upload, unpack_zip
from delt_engine.errors import CheckpointError, ConfigError, DataError
from delt_engine.models.card import find_teacher, read_card
from delt_engine.paths import expanded
from delt_engine.pipeline import inputs
from delt_engine.pipeline.inputs import Inputs, Report
from delt_engine.runs import strips
from delt_engine.runs.images import Pictures, write_images
from delt_engine.runs.predictions import write_predictions
from delt_engine.runs.record import ImportRecord, TeacherRecord, new_run_path, now
from delt_engine.runs.store import Run, check_free
from delt_engine.training.image_table import class_of

LONGEST_NAME = 40
"""Letters of what a method is called."""

_AT_ONCE = 128
Slot = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Checked:
    """A set whose classes are those of a dataset: of each of its images the class, and how many there are in each."""

    source: ForeignSet
    classes: tuple[int, ...]
    ipc: int


def import_set(
    path: str | Path,
    experiment: Experiment,
    *,
    method: str = "",
    pixels: str = "auto",
    out: Path | None = None,
    command: Sequence[str] = (),
    report: Report | None = None,
) -> Run:
    """Make a finished run of a published set.

    Args:
        path: a folder, a zip of one, a tensor file or a parquet file; see :mod:`delt_engine.data.published_sets`.
        experiment: says the dataset it belongs to, at which image size, and the teacher that labels it; without one
            that is found by ``auto`` the run has none.
        method: what it is called; by default like the file or folder.
        pixels: what numbers in tensors mean, one of :data:`delt_engine.data.tensor_files.PIXELS`.
        out: folder of the run, by default a new one among this user's.
        command: the command line that makes it again.
        report: called with how far it is: what, done, total.

    Raises:
        DataError: not such a set, other classes or sizes than the dataset's, or unequal numbers of images.
        CheckpointError: the named teacher is not there or does not fit.
        ConfigError: a name that is too long.
        RunError: the folder of the run is not free, or cannot be written. Nothing is left of it in any case.
    """
    name = " ".join(method.split()) or expanded(path).absolute().stem
    if len(name) > LONGEST_NAME and method:
        raise ConfigError(f"method_name: {len(name)} letters given, but it has at most {LONGEST_NAME}.")
    if out is not None:
        check_free(out)
    dataset = inputs.load_dataset(experiment.dataset, experiment.image_size, report=report, resize=experiment.resize)
    found = _teacher(experiment, dataset)
    with _unpacked(path, report) as place:
        source = read_foreign(place, dataset.spec.num_classes, (dataset.spec.mean, dataset.spec.std), pixels)
        checked = _checked(source, dataset)
        recover = RecoverConfig(method=IMPORTED, early_late=False, iterations=0, round_iterations=1, ipc=checked.ipc)
        experiment = experiment.replace(recover=recover, image_size=dataset.spec.image_size)
        final = (out or new_run_path(experiment)).absolute()
        with files.whole_folder(final, ".import-") as made:
            run = Run.create(made, experiment, command=command)
            digest = _write(run, checked, found, report)
            teacher = None if found.card is None else _labelled(run, found, report)
            origin = ImportRecord(
                method=name[:LONGEST_NAME],
                path=str(expanded(path).absolute()),
                layout=source.layout,
                digest=digest,
            )
            run.update(origin=origin, teacher=teacher)
            for note in source.notes:
                run.note(note)
            if teacher is None:
                run.note("There is no teacher for this dataset and size: students then need --teacher or hard labels.")
            run.set_status("finished", started=run.record().created, finished=now())
    return Run(final)


def _teacher(experiment: Experiment, dataset: Dataset) -> Inputs:
    """Return dataset and teacher; no teacher where ``auto`` finds none."""
    spec, classes = dataset.spec, tuple(range(dataset.spec.num_classes))
    try:
        path = find_teacher(experiment.teacher, dataset_ref(dataset), spec.image_size, spec.class_names)
    except CheckpointError:
        if experiment.teacher != "auto":
            raise
        return Inputs(dataset, classes)
    card = read_card(path)
    if card.class_names != spec.class_names:
        raise CheckpointError(f"teacher: {card.name} has other classes than {spec.name}.")
    return Inputs(dataset, classes, path, card)


@contextmanager
def _unpacked(path: str | Path, report: Report | None) -> Iterator[Path]:
    """Yield the set itself, of a zip for as long as it is needed."""
    path = expanded(path)
    if path.suffix.lower() != ".zip":
        yield path
        return
    folder = unpack_zip(path, report)
    try:
        yield folder
    finally:
        remove_upload(folder)


def _checked(source: ForeignSet, dataset: Dataset) -> Checked:
    """Number the classes of a set as the dataset does."""
    spec, entry = dataset.spec, find_entry(dataset.spec.name)
    codes = dict(entry.class_titles) if entry else {}
    owner = {label: class_of(label, spec.class_names, codes) for label in dict.fromkeys(source.labels)}
    position = {name: number for number, name in enumerate(spec.class_names)}
    unknown = [label for label, name in owner.items() if name not in position]
    if unknown:
        raise DataError(
            f"classes: {unknown[0]!r} in {source.root} is no class of {spec.title}; a class goes by its name, its "
            f"folder there, or its number 0 to {spec.num_classes - 1}: {', '.join(spec.class_names[:3])}, ..."
        )
    classes = tuple(position[owner[label]] for label in source.labels)
    counts = Counter(classes)
    missing = [spec.class_names[number] for number in range(spec.num_classes) if number not in counts]
    if missing:
        raise DataError(
            f"classes: {source.root} has {len(counts)} of the {spec.num_classes} classes of {spec.title}; "
            f"{missing[0]!r} is missing."
        )
    (fewest, few), (most, many) = min(counts.items(), key=_by_count), max(counts.items(), key=_by_count)
    if few != many:
        raise DataError(
            f"images: {source.root} has {few} of {spec.class_names[fewest]!r} and {many} of "
            f"{spec.class_names[most]!r}, but a run has as many of each class."
        )
    return Checked(source, classes, few)


def _by_count(item: tuple[int, int]) -> int:
    return item[1]


def _write(run: Run, checked: Checked, found: Inputs, report: Report | None) -> str:
    """Write all images of a set into a run and return the fingerprint of their pixels."""
    size, total = found.dataset.spec.image_size, len(checked.classes)
    run.update(dataset=found.dataset_record, classes=found.classes)
    seen = Counter[int]()
    waiting: list[tuple[Slot, np.ndarray]] = []
    for number, (class_index, image_u8) in enumerate(zip(checked.classes, checked.source.pixels(), strict=True), 1):
        if image_u8.shape != (size, size, 3):
            height, width = image_u8.shape[:2]
            at = f"; give --image-size {height} to hold it against the dataset at its size" if height == width else ""
            raise DataError(
                f"image_size: an image of {width} x {height} px in {checked.source.root}, but "
                f"{found.dataset.spec.title} is read at {size} x {size} px{at}."
            )
        waiting.append(((class_index, seen[class_index]), image_u8))
        seen[class_index] += 1
        if len(waiting) == _AT_ONCE or number == total:
            slots, images = zip(*waiting, strict=True)
            write_images(run, slots, np.stack(images), [{"method": IMPORTED}] * len(slots))
            waiting.clear()
            if report:
                report("import", number, total)
    digest = hashlib.sha256()
    for class_index in found.classes:
        own = [(class_index, index) for index in range(checked.ipc)]
        images_u8 = _images(run, own)
        digest.update(images_u8.tobytes())
        Pictures(run, own, checked.ipc, 1, found.classes).write_round(images_u8, 0)
    return digest.hexdigest()[:16]


def _images(run: Run, slots: Sequence[Slot]) -> np.ndarray:
    return np.stack([strips.read_png(run.image_path(*slot)) for slot in slots])


def _labelled(run: Run, found: Inputs, report: Report | None) -> TeacherRecord:
    """Ask the teacher about every image, keep what it says, and note how many it takes for their class."""
    import torch

    from delt_engine.analysis.diversity import network_outputs
    from delt_engine.data.pixels import normalise, to_pixels
    from delt_engine.models.device import pick_device
    from delt_engine.models.teachers import load_teacher

    device = pick_device(run.experiment.device)
    teacher = load_teacher(str(found.teacher_path), dataset=found.dataset, device=device)
    card, ipc, right = teacher.card, run.experiment.recover.ipc, 0
    for class_index in found.classes:
        slots = [(class_index, index) for index in range(ipc)]
        images = normalise(to_pixels(_images(run, slots), torch.device(device)), card.mean, card.std)
        probabilities = network_outputs(teacher.network, images).probabilities.numpy()
        write_predictions(run, slots, probabilities, 0)
        right += int((probabilities.argmax(1) == class_index).sum())
        if report:
            report("ask the teacher", class_index + 1, len(found.classes))
    share, chance = 100 * right / (ipc * len(found.classes)), 100 / len(found.classes)
    doubt = "; its classes may stand in another order" if share < 2 * chance else ""
    run.note(f"Teacher {card.name} takes {share:.0f} % of the images for their class, chance is {chance:.3g} %{doubt}.")
    return TeacherRecord.of(card, found.teacher_ref)
