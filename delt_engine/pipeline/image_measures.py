"""Numbers of finished images that no student is needed for: similarity within a class, and an outside network's word.

Source: DELT Fig. 2 (mean cosine of a class's images in the features of a ResNet-18); CDA Table 9 and Sec. 3.7 (top-1
of a MobileNet-V2 on synthetic and real images, whole and as the mean of ten random crops).
Differs: the features are those of the teacher that recovered. The outside network is a MobileNet-V2 where there is one
for the dataset, else the second network (:mod:`delt_engine.models.held_out`). Crops are torchvision's random resized
ones from 0.08 of the area on; of real images at most :data:`MOST_REAL` a class are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from delt_engine.analysis.diversity_store import stored_path
from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError
from delt_engine.files import KeyedStore
from delt_engine.models.card import TeacherCard, read_card
from delt_engine.models.held_out import command
from delt_engine.papers.cells import Cell
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.inputs import load_inputs, training_images
from delt_engine.pipeline.measure import measured, stored_result
from delt_engine.pipeline.paper_teachers import add_command, judge_of, outside_network, published_ref, teacher_of
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run

CROPS, MOST_REAL, SEED = 10, 100, 0
"""Random crops an image, real images a class, and the seed of both."""

_JUDGED = KeyedStore("judged")
_BATCH, _MIN_CROP = 256, 0.08


def measure_folders() -> tuple[Path, Path]:
    """Return where :func:`stored_measure` looks among what this user measured: similarities, and words of networks."""
    return stored_path("any").parent, _JUDGED.path("any").parent


def stored_measure(cell: Cell, run: Run | None) -> float | None:
    """Return a number of a run's images, or of real ones without a run, that was measured before; None otherwise."""
    if cell.measure == "cosine" and run is not None:
        found = stored_result(of_run(run))
        return found.mean if found else None
    path = outside_network(teacher_of(cell)) if cell.measure == "judge" else None
    record = _JUDGED.read(_key(cell, read_card(path), run)) if path else None
    return float(record[cell.value.metric]) if isinstance(record, dict) else None


def measure_images(cell: Cell, run: Run | None, device: str = "auto") -> None:
    """Measure a number of a run's images, or of real ones without a run, and store it.

    Raises:
        CheckpointError: there is no outside network; the sentence says how to get one.
        DataError: images cannot be read.
    """
    if cell.measure == "cosine" and run is not None:
        measured(of_run(run), device=device)
    elif cell.measure == "judge":
        path = judge_file(cell)
        batches = _batches(cell.experiment if run is None else run.experiment, run)
        _JUDGED.write(_key(cell, read_card(path), run), _accuracies(path, batches, device))


def judge_fingerprint(cell: Cell) -> str:
    """Return the fingerprint of the outside network that says a cell's number; "" where none does or is there."""
    path = outside_network(teacher_of(cell)) if cell.measure == "judge" else None
    return read_card(path).fingerprint if path else ""


def judge_file(cell: Cell) -> Path:
    """Return the file of the outside network of a cell.

    Raises:
        CheckpointError: there is none; the sentence says how to get one.
    """
    teacher, judge = teacher_of(cell), judge_of(cell)
    path = outside_network(teacher)
    if path is not None:
        return path
    ref = published_ref(judge) if judge else ""
    get = f"train one with `{command(teacher.dataset, teacher.image_size, teacher.network)}`"
    get = f"fetch one with `{add_command(ref)}`" if ref else get
    raise CheckpointError(
        f"There is no outside network for {teacher.dataset} at {teacher.image_size} px, which is another one than the "
        f"teacher; {get}."
    )


def _key(cell: Cell, judge: TeacherCard, run: Run | None) -> tuple[str, ...]:
    images = f"{run.id} {run.record().finished}" if run is not None else f"real {cell.experiment.dataset} {MOST_REAL}"
    return images, judge.fingerprint


def _batches(experiment: Experiment, run: Run | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield uint8 images (B, S, S, 3) and their labels (B,): those of a run, or real ones of every class."""
    inputs = load_inputs(experiment, needs_teacher=False, needs_ranker=False)
    if run is not None:
        table = training_images(find_source(run.path), inputs)
        for first in range(0, len(table), _BATCH):
            yield table.image_u8[first : first + _BATCH], table.labels[first : first + _BATCH]
        return
    train, draws = inputs.dataset.train, np.random.default_rng(SEED)
    for number in range(inputs.dataset.spec.num_classes):
        rows = train.of_class(number)
        rows = np.sort(draws.choice(rows, min(MOST_REAL, len(rows)), replace=False))
        yield train.pixels(rows), np.full(len(rows), number)


def _accuracies(judge: Path, batches: Iterable[tuple[np.ndarray, np.ndarray]], device: str) -> dict[str, float]:
    """Return top-1 in percent on whole images, and as the mean over random crops of each."""
    import torch

    from delt_engine.data.pixels import normalise
    from delt_engine.models.device import pick_device
    from delt_engine.models.teachers import load_teacher
    from delt_engine.training.augmentation import cropped_and_mirrored

    place = pick_device(device)
    teacher, draws = load_teacher(str(judge), device=place), torch.Generator().manual_seed(SEED)
    network, card = teacher.network, teacher.card
    right, count = {"whole": 0, "crops": 0}, 0
    with torch.inference_mode():
        for image_u8, label in batches:
            pixels = torch.tensor(image_u8, device=place).permute(0, 3, 1, 2).float().div_(255.0)
            images, labels = normalise(pixels, card.mean, card.std), torch.tensor(label, device=place)
            right["whole"] += int((network(images).argmax(dim=1) == labels).sum())
            for _ in range(CROPS):
                crops = cropped_and_mirrored(images, _MIN_CROP, flip=False, draws=draws)
                right["crops"] += int((network(crops).argmax(dim=1) == labels).sum())
            count += len(labels)
    return {"whole": 100 * right["whole"] / count, "crops": 100 * right["crops"] / count / CROPS}
