"""What student training says while it goes on, and the result that an evaluation keeps.

Accuracies are in percent everywhere; epochs count from 1; ``student`` counts the seeds being trained from 0.

Source: the measures are those of DELT Tables 1 to 3 (top-1 with its spread over seeds). Differs: published code
reports the best of several tests on the test set; here the last epoch stands first and the best beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from delt_engine.config.students import RECIPE_TITLES, EvaluateConfig


@dataclass(frozen=True)
class StudentStep:
    """After a training step; ``loss`` is the mean over the epoch as last read from the device, maybe an epoch ago."""

    student: int
    students: int
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class StudentEpoch:
    """After an epoch: mean loss, and accuracies in percent, None where the epoch was not tested."""

    student: int
    students: int
    epoch: int
    epochs: int
    loss: float
    learning_rate: float
    top1: float | None
    top5: float | None
    top1_ema: float | None


@dataclass(frozen=True)
class StudentResult:
    """One trained student.

    Attributes:
        top1_last: after the last epoch.
        top1_best: the highest of all tested epochs, which was chosen on the test set.
        best_epoch: the first epoch that reached it.
        top1_ema: of the averaged weights after the last epoch; None without them.
        top1_ema_best: the highest of all tested epochs.
        top5_last: top-5, or top-K with fewer than five classes.
        per_class: top-1 of each class after the last epoch.
        curve: (epoch, top-1) of the tested epochs.
        ema_curve: likewise for the averaged weights.
        seconds: of training and testing.
    """

    seed: int
    top1_last: float
    top1_best: float
    best_epoch: int
    top1_ema: float | None
    top1_ema_best: float | None
    top5_last: float
    per_class: tuple[float, ...]
    curve: tuple[tuple[int, float], ...]
    ema_curve: tuple[tuple[int, float], ...]
    seconds: float

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> StudentResult:
        """Read a result from the plain values of ``dataclasses.asdict``, also after they went through JSON."""
        values = dict(values)
        values["per_class"] = tuple(values["per_class"])
        for name in ("curve", "ema_curve"):
            values[name] = tuple((int(epoch), float(top1)) for epoch, top1 in values[name])
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Source:
    """What the students were trained on.

    Attributes:
        id: of a run, the path of a folder, or ``real``.
        method: of the run; ``real`` for the whole training set, ``folder`` for a foreign folder.
        ipc: images per class; None where the classes have different numbers of images.
        synthesis_seconds, image_iterations: what making them took, where it is known.
    """

    id: str
    title: str
    method: str
    method_title: str
    ipc: int | None
    images: int
    synthesis_seconds: float | None = None
    image_iterations: int | None = None


@dataclass(frozen=True)
class EvaluationResult:
    """All students of one evaluation, with everything needed to compare it with another one.

    Attributes:
        students: one result a seed, at least one.
        config: resolved.
        changes: what differs from the recipe, name to (the recipe's, this one's);
            see :func:`delt_engine.training.recipe.recipe_changes`.
        dataset: name of the dataset whose test images were used.
        class_names: the classes that were tested, in the order of ``per_class``.
        teacher: name of the teacher, or None for hard labels.
        relabeller: name of the network that labelled, where it was another one.
        image_size: side of the images in pixels.
        test_images: how many there were.
        test_fingerprint: of the test images, see :attr:`delt_engine.data.dataset.Dataset.test_fingerprint`.
        label_epochs: of stored labels how many epochs of them there were, replayed in turn; None for others.
    """

    students: tuple[StudentResult, ...]
    source: Source
    config: EvaluateConfig
    changes: Mapping[str, tuple[Any, Any]]
    dataset: str
    dataset_title: str
    dataset_fingerprint: str
    class_names: tuple[str, ...]
    teacher: str | None
    teacher_fingerprint: str | None
    image_size: int
    test_images: int
    seconds: float
    relabeller: str | None = None
    relabeller_fingerprint: str | None = None
    label_epochs: int | None = None
    test_fingerprint: str = ""

    @property
    def chance(self) -> float:
        """Accuracy of guessing, in percent."""
        return 100.0 / len(self.class_names)

    def summary(self) -> dict[str, Any]:
        """Return the ``result`` entry of an evaluation's run.json: plain values, means over the seeds."""
        students, config, source = self.students, self.config, self.source
        return {
            "source": source.id,
            "source_title": source.title,
            **{name: getattr(source, name) for name in ("method", "method_title", "ipc", "images")},
            **{name: getattr(self, name) for name in ("dataset", "dataset_title", "dataset_fingerprint")},
            "test_fingerprint": self.test_fingerprint or self.dataset_fingerprint,
            "class_names": list(self.class_names),
            "teacher": self.teacher,
            "teacher_fingerprint": self.teacher_fingerprint,
            "relabeller": self.relabeller,
            "relabeller_fingerprint": self.relabeller_fingerprint,
            "recipe": config.recipe,
            "recipe_title": RECIPE_TITLES[config.recipe],
            "is_shortened": config.is_shortened,
            "changes": {name: list(pair) for name, pair in self.changes.items()},
            **{name: getattr(config, name) for name in ("student", "student_width", "student_stem")},
            "image_size": self.image_size,
            **{name: getattr(config, name) for name in ("epochs", "batch_size", "learning_rate", "labels")},
            "label_epochs": self.label_epochs,
            "seeds": [student.seed for student in students],
            **_mean_and_std("top1_last", [student.top1_last for student in students]),
            **_mean_and_std("top1_best", [student.top1_best for student in students]),
            **_mean_and_std("top1_ema", [student.top1_ema for student in students]),
            "top5_last": fmean(student.top5_last for student in students),
            "per_class": [fmean(column) for column in zip(*(each.per_class for each in students), strict=True)],
            "chance": self.chance,
            "test_images": self.test_images,
            "seconds": self.seconds,
            "synthesis_seconds": source.synthesis_seconds,
            "image_iterations": source.image_iterations,
            "students": [json.loads(json.dumps(asdict(student))) for student in students],
        }


def _mean_and_std(name: str, values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {name: None, f"{name}_std": None}
    return {name: fmean(known), f"{name}_std": stdev(known) if len(known) > 1 else 0.0}
