"""Is a teacher fit for a dataset? The one judge of what was measured; results are stored per teacher and dataset.

Torch-free: a teacher's answers come from :func:`delt_engine.models.teachers.check_teacher`. The command line, runs and
the app say what stands here.

Source: ours; RDED issues 4 and 6 and D3HR issue 2 are teachers whose class order or stem was another one than meant,
found only after the last stage.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from delt_engine.data.catalogue import find_entry
from delt_engine.data.class_lists import class_title
from delt_engine.data.dataset import DatasetSpec
from delt_engine.errors import RunError
from delt_engine.files import KeyedStore
from delt_engine.models.card import PUBLISHED_PREFIXES, TeacherCard

if TYPE_CHECKING:
    from delt_engine.data.dataset import Dataset

Level = Literal["good", "warning", "bad", "unknown"]

MOST_OFF = 2.0
"""Points below the reference from which a teacher is off."""

Verdict = Literal["good", "weak", "class order?"]

_CHECKS = KeyedStore("checks")
_WEAK_BELOW = 40.0  # percent; ours: the weakest teacher in DELT's tables is right on more
_ORDER_GAIN = 30.0  # points another class order must gain; ours: a random teacher gains less at 20 images a class
_ORDER_IMAGES = 20  # sampled images a class below which no other class order is tried
_ALIKE = 0.02  # mean and std, of pixels in [0, 1], that differ by less are the same statistics rounded otherwise


@dataclass(frozen=True)
class CheckRecord:
    """What a teacher got right on test images of a dataset; accuracy and chance in percent."""

    teacher: str
    teacher_fingerprint: str
    dataset: str
    dataset_fingerprint: str
    accuracy: float
    sample: int
    test_size: int
    chance: float
    verdict: str
    message: str
    measured: str  # when, ISO 8601 in UTC


@dataclass(frozen=True)
class Health:
    """A teacher's state: a level, the verdict in a few words, and what speaks for or against it."""

    level: Level  # unknown while nothing was measured
    title: str
    reasons: tuple[str, ...] = ()  # sentences, the first suspect first
    reference: float | None = None  # percent that the measured accuracy is held to
    reference_origin: str = ""

    def sentence(self, check: CheckRecord) -> str:
        """Return title and measurement as the command line says them."""
        return f"{self.title}{'' if self.title.endswith('?') else '.'} {check.message}"


def examine(card: TeacherCard, dataset: Dataset, labels: np.ndarray, predicted: np.ndarray) -> CheckRecord:
    """Return what a teacher's answers on n test images say of it; labels and answers are int64 ``(n,)``.

    The verdict is ``class order?`` where another order of the classes would explain the answers or they are near
    chance, ``weak`` where :func:`judge` finds the teacher bad or it is weak by itself, and else ``good``.
    """
    spec, count = dataset.spec, len(labels)
    accuracy, chance = 100.0 * int((predicted == labels).sum()) / count, 100.0 / spec.num_classes
    verdict, remark = _evidence(spec.class_names, labels, predicted, accuracy, chance)
    message = (
        f"{card.name} is right on {accuracy:.1f} % of {count} test images of {spec.name} "
        f"(chance {chance:.3g} %){remark}."
    )
    record = CheckRecord(
        teacher=card.name,
        teacher_fingerprint=card.fingerprint,
        dataset=spec.name,
        dataset_fingerprint=dataset.fingerprint,
        accuracy=accuracy,
        sample=count,
        test_size=len(dataset.test),
        chance=chance,
        verdict=verdict,
        message=message,
        measured=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    health = judge(card, spec, record)
    if verdict == "good" and health.level == "bad":
        return replace(record, verdict="weak", message=f"{message} {health.reasons[0]}")
    return record


def _evidence(
    names: Sequence[str], labels: np.ndarray, predicted: np.ndarray, accuracy: float, chance: float
) -> tuple[Verdict, str]:
    """Return the verdict on the answers alone, and what the message adds for it."""
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(confusion, (predicted, labels), 1)
    best, count = confusion.argmax(axis=1), len(labels)
    reordered = 100.0 * confusion.max(axis=1).sum() / count
    if count >= _ORDER_IMAGES * len(names) and reordered - accuracy > _ORDER_GAIN:
        wrong = next(index for index in range(len(names)) if confusion[index].any() and best[index] != index)
        return "class order?", (
            f", but would be on {reordered:.1f} % with its classes in another order: class order? Where the dataset "
            f"has {names[wrong]!r}, the teacher means {names[best[wrong]]!r}"
        )
    if accuracy <= chance + 3 * (chance * (100 - chance) / count) ** 0.5:
        return "class order?", ", which is near chance: class order? Or other weights, or other mean and std"
    if accuracy < max(_WEAK_BELOW, 2 * chance if chance < 25 else 0):
        return "weak", ", which is weak: its patches and images will be poor"
    return "good", ""


def keep_check(record: CheckRecord) -> None:
    """Keep what was measured, if the disk lets us.

    A check of fewer images does not replace one of more: the same weights on the same images give the same answers.
    """
    known = find_check(record.teacher_fingerprint, record.dataset_fingerprint)
    if known is None or known.sample <= record.sample:
        with contextlib.suppress(RunError):
            _CHECKS.write(f"{record.teacher_fingerprint}-{record.dataset_fingerprint}", asdict(record))


def find_check(teacher_fingerprint: str, dataset_fingerprint: str) -> CheckRecord | None:
    """Return what was measured last of these weights on these images, or None; a damaged file counts as none."""
    values = _CHECKS.read(f"{teacher_fingerprint}-{dataset_fingerprint}")
    try:
        return CheckRecord(**{field.name: values[field.name] for field in fields(CheckRecord)})
    except (KeyError, TypeError):
        return None


def judge(card: TeacherCard, spec: DatasetSpec, check: CheckRecord | None) -> Health:
    """Say whether a teacher is fit for a dataset.

    It is bad when classes or image size are others, the check suspects the class order, or the accuracy is more than
    two points below the reference beyond the error of the sample; a warning when it may be, or the statistics differ.
    """
    reason = misfit(card, spec)
    reference, origin = reference_of(card, spec)
    if reason:
        return Health("bad", "Does not fit this dataset", (reason,), reference, origin)
    if check is None:
        return Health("unknown", "Not checked yet", (), reference, origin)
    notes: tuple[str, ...] = ()
    if not (are_alike(card.mean, spec.mean) and are_alike(card.std, spec.std)):
        notes = ("Its mean and std are not the dataset's; ranking and recovery both use the teacher's.",)
    if check.verdict == "class order?":
        return Health("bad", "Class order?", (check.message, *notes), reference, origin)
    if reference is not None and reference - check.accuracy > MOST_OFF:
        off = (
            f"{check.accuracy:.1f} % measured, {reference:.1f} % {origin}. First suspect: class order? Then other mean "
            "and std, another stem or image size, other test images."
        )
        is_sure = reference - check.accuracy - sampling_error(check) > MOST_OFF
        title = "Off: class order?" if is_sure else "Perhaps off: check more images"
        return Health("bad" if is_sure else "warning", title, (off, *notes), reference, origin)
    if check.verdict == "weak":
        return Health("warning", "Weak", (check.message, *notes), reference, origin)
    if reference is None:
        notes = ("There is no accuracy to hold it to, neither on its card nor published.", *notes)
        return Health("warning" if len(notes) > 1 else "good", "Knows this dataset", notes, reference, origin)
    return Health("warning" if notes else "good", "Healthy", notes, reference, origin)


def misfit(card: TeacherCard, spec: DatasetSpec, asked: str = "") -> str:
    """Return in a sentence why a teacher cannot be used on a dataset at all; empty where it can.

    Classes have to be the same in the same order, ImageNet's by folder or by name, and so has the image size:
    BatchNorm statistics hold for the size they were measured at.
    """
    if card.num_classes != spec.num_classes:
        ranks = {*map(class_title, spec.class_names)} <= {*map(class_title, card.class_names)}
        hint = " It knows all of these among them, so it can rank the patches, with --ranker." if ranks else ""
        return f"{card.name} has {card.num_classes} classes, but {spec.name} has {spec.num_classes}.{hint}"
    for index, (own, given) in enumerate(zip(card.class_names, spec.class_names, strict=True)):
        if class_title(own) != class_title(given):
            is_order = sorted(map(class_title, card.class_names)) == sorted(map(class_title, spec.class_names))
            what = "the same classes in another order" if is_order else "other classes"
            return (
                f"{card.name} was trained on {what} than {spec.name} has: class {index} is {own!r} in the teacher and "
                f"{given!r} in the dataset."
            )
    if card.image_size != spec.image_size:
        words = ["delt", "squeeze", "--dataset", asked or spec.name, "--image-size", str(spec.image_size)]
        return (
            f"{card.name} was trained at {card.image_size} px, but {spec.name} is read at {spec.image_size} px; train "
            f"one with `{shlex.join(words)}`."
        )
    return ""


def sampling_error(check: CheckRecord) -> float:
    """Return 1.96 standard errors of the accuracy in points; 0 when all test images were looked at.

    >>> record = CheckRecord("", "", "", "", 90.0, 100, 1000, 10.0, "good", "", "")
    >>> round(sampling_error(record), 2)
    5.58
    """
    if check.sample >= check.test_size:
        return 0.0
    left_out = 1 - (check.sample - 1) / max(1, check.test_size - 1)  # drawn without putting back
    return 1.96 * (check.accuracy * (100 - check.accuracy) / check.sample * left_out) ** 0.5


def are_alike(own: tuple[float, ...], given: tuple[float, ...]) -> bool:
    """Return whether two means, or two stds, are the same statistics rounded or sampled otherwise.

    >>> are_alike((0.4914, 0.4822, 0.4465), (0.49, 0.48, 0.45)), are_alike((0.485,), (0.4465,))
    (True, False)
    """
    return all(abs(a - b) <= _ALIKE for a, b in zip(own, given, strict=True))


def reference_of(card: TeacherCard, spec: DatasetSpec) -> tuple[float | None, str]:
    """Return the accuracy a check is held to and where it is from: the card's, else the published one if it applies.

    The published teachers are ResNet-18 of full width at the dataset's own size; other networks are not held to them.
    """
    if card.accuracy is not None:
        is_theirs = card.added_from.startswith(PUBLISHED_PREFIXES)
        return card.accuracy, "published with its weights" if is_theirs else "measured when it was trained"
    entry = find_entry(spec.name)
    if entry is None or entry.teacher_accuracy is None:
        return None, ""
    is_published_kind = card.network == "resnet18" and card.width == 1.0 and card.image_size == entry.image_size
    return (entry.teacher_accuracy, "published") if is_published_kind else (None, "")
