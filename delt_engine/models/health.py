"""Is a teacher fit for a dataset? What was measured, kept per teacher and dataset, and what it says beside the card.

Torch-free: the measuring is :func:`delt_engine.models.teachers.check_teacher`; here its result is kept as JSON in the
user's home and read by the app.

Source: ours; RDED issues 4 and 6 and D3HR issue 2 are teachers whose class order or stem was another one than meant,
found only after the last stage.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, fields
from typing import Literal

from delt_engine.data.catalogue import find_entry
from delt_engine.data.dataset import DatasetSpec
from delt_engine.errors import RunError
from delt_engine.files import KeyedStore
from delt_engine.models.card import TeacherCard

Level = Literal["good", "warning", "bad", "unknown"]

MOST_OFF = 2.0
"""Points below the reference from which a teacher is off."""

_CHECKS = KeyedStore("checks")
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
    """A teacher's state: a level, one line, and what speaks for or against it.

    Attributes:
        level: good, warning, bad, or unknown while nothing was measured.
        title: the verdict in a few words.
        reasons: sentences, the first suspect first.
        reference: accuracy in percent that the measured one is held to, or None.
        reference_origin: where the reference is from.
    """

    level: Level
    title: str
    reasons: tuple[str, ...] = ()
    reference: float | None = None
    reference_origin: str = ""


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

    Args:
        card: what the teacher's file says.
        spec: of the dataset.
        check: what was measured, or None.

    Returns:
        bad when classes or image size are others, the check suspects the class order, or the accuracy is more than two
        points below the reference beyond the error of the sample; warning when it may be, or the statistics differ.
    """
    misfits = _misfits(card, spec)
    reference, origin = reference_of(card, spec)
    if misfits:
        return Health("bad", "Does not fit this dataset", misfits, reference, origin)
    if check is None:
        return Health("unknown", "Not checked yet", (), reference, origin)
    notes = _statistics_note(card, spec)
    if check.verdict == "class order?":
        return Health("bad", "Class order?", (check.message, *notes), reference, origin)
    below = 0.0 if reference is None else reference - check.accuracy
    if below > MOST_OFF:
        level = "bad" if below - sampling_error(check) > MOST_OFF else "warning"
        title = "Off: class order?" if level == "bad" else "Perhaps off: check more images"
        return Health(level, title, (_off(check, reference, origin), *notes), reference, origin)
    if check.verdict == "weak":
        return Health("warning", "Weak", (check.message, *notes), reference, origin)
    if reference is None:
        notes = ("There is no accuracy to hold it to, neither on its card nor published.", *notes)
        return Health("warning" if len(notes) > 1 else "good", "Knows this dataset", notes, reference, origin)
    return Health("warning" if notes else "good", "Healthy", notes, reference, origin)


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
        return card.accuracy, "measured when it was trained"
    entry = find_entry(spec.name)
    if entry is None or entry.teacher_accuracy is None:
        return None, ""
    is_published_kind = card.network == "resnet18" and card.width == 1.0 and card.image_size == entry.image_size
    return (entry.teacher_accuracy, "published") if is_published_kind else (None, "")


def _misfits(card: TeacherCard, spec: DatasetSpec) -> tuple[str, ...]:
    """Return why a teacher cannot be used on a dataset at all."""
    if card.num_classes != spec.num_classes:
        return (f"It has {card.num_classes} classes, {spec.title} has {spec.num_classes}.",)
    pairs = enumerate(zip(card.class_names, spec.class_names, strict=True))
    other = next(((number, own, given) for number, (own, given) in pairs if own != given), None)
    if other:
        number, own, given = other
        again = sorted(card.class_names) == sorted(spec.class_names)
        what = "Class order? The classes are the same, but" if again else "Its classes are others:"
        return (f"{what} class {number} is {own!r} in the teacher and {given!r} in {spec.title}.",)
    if card.image_size != spec.image_size:
        return (f"It was trained at {card.image_size} px, but {spec.title} is read at {spec.image_size} px.",)
    return ()


def _statistics_note(card: TeacherCard, spec: DatasetSpec) -> tuple[str, ...]:
    if are_alike(card.mean, spec.mean) and are_alike(card.std, spec.std):
        return ()
    return ("Its mean and std are not the dataset's; ranking and recovery both use the teacher's.",)


def _off(check: CheckRecord, reference: float, origin: str) -> str:
    return (
        f"{check.accuracy:.1f} % measured, {reference:.1f} % {origin}. First suspect: class order? Then other mean and "
        "std, another stem or image size, other test images."
    )
