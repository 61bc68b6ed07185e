"""What an experiment of a table costs before it runs: hours, memory and disk, from what was measured on this machine.

Where nothing was measured yet, hours follow from two known machines and are called a guess: a ResNet-18 of full width
at 32 px makes 43 image-iterations a second on two cores (ours), and an RTX 4090 makes 1,916 at 224 px.

Source: DELT Table 6 (29.0 hours for 50 images of 1,000 classes at 4,000 iterations); the rest is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from delt_engine.analysis.cost import (
    FORWARD,
    Rate,
    RateKey,
    best_rate,
    largest_batch,
    predicted_bytes,
    predicted_memory,
    predicted_seconds,
    rate_teacher,
    scaled_to_this_machine,
    targets_seconds,
)
from delt_engine.config import EvaluateConfig, Experiment, RecoverConfig, SqueezeConfig
from delt_engine.data.catalogue import find_entry
from delt_engine.jobs.measured_rates import known_rates
from delt_engine.jobs.teacher_time import network_work, training_seconds
from delt_engine.jobs.worker import device_lock_name
from delt_engine.papers.names import GIGA_OPERATIONS
from delt_engine.patches.coresets import needs_scores
from delt_engine.paths import assets_dir
from delt_engine.runs.record import RunRecord
from delt_engine.runs.store import Run

_CPU_RATE, _GPU_RATE = 43.0, 1916.0
"""Image-iterations a second of a ResNet-18: at 32 px with the small stem on two cores, at 224 px on an RTX 4090."""

_STUDENT_STEP = 1.5
"""Work of a training step on an image, for one image-iteration with the network."""

_CONVNET = 0.09
"""Multiply-adds of DM's and DC's ConvNet for those of a ResNet-18: 51 of 556 million at 32 px, with the small stem."""

_TEACHER_SHARE = {"cpu": 1.0, "cuda": 1 / 40}
"""Time of a teacher's training on a device for that on two cores."""


@dataclass(frozen=True)
class Price:
    """What something takes; ``memory_mb`` is None where nothing like it was measured here."""

    seconds: float = 0.0
    memory_mb: float | None = None
    disk_bytes: int = 0
    is_measured: bool = True

    @property
    def hours(self) -> float:
        """The time in hours."""
        return self.seconds / 3600

    def __add__(self, other: Price) -> Price:
        known = [mb for mb in (self.memory_mb, other.memory_mb) if mb is not None]
        return Price(
            self.seconds + other.seconds,
            max(known) if known else None,
            self.disk_bytes + other.disk_bytes,
            self.is_measured and other.is_measured,
        )


@dataclass(frozen=True)
class Known:
    """What was measured on this machine: rates of recovery, finished squeezes, newest first, and on which device."""

    rates: Sequence[Rate]
    runs: Sequence[Run]
    device: str
    student_factor: float | None

    @classmethod
    def of(cls, runs: Iterable[Run], device: str = "auto") -> Known:
        """Gather what runs tell of a device setting; on a GPU not those that come with the package, of another card."""
        kind = device_lock_name(device).partition("-")[0]
        all_count = kind == "cpu"
        runs = [run for run in runs if not run.unreadable and (all_count or not run.path.is_relative_to(assets_dir()))]
        rates = [rate for rate in known_rates(runs) if rate.key.device == kind]
        trained = [run for run in runs if _is_finished(run.record(), "squeeze", kind)]
        return cls(rates, trained, kind, _student_factor(runs, kind))


def recovery_price(experiment: Experiment, num_classes: int, size: int, teacher: str, known: Known) -> Price:
    """Return what recovering an experiment's images takes; ``teacher`` is its fingerprint, "" where there is none yet.

    Ranking and loading are not counted. Of a coreset it is what its scores take; with other BatchNorm targets than the
    running ones a look at all training images is in it.
    """
    config, entry = experiment.recover, find_entry(experiment.dataset)
    disk, train_images = predicted_bytes(config, num_classes, size), entry.train_size if entry else 0
    if not config.is_optimised:
        return scores_price(experiment, train_images, size, known) + Price(disk_bytes=disk)
    key = RateKey(known.device, rate_teacher(config, teacher), size, largest_batch(config, num_classes))
    rate, _ = best_rate(known.rates, key)
    memory = predicted_memory(known.rates, key)
    if rate is not None:
        rate, _ = scaled_to_this_machine(rate, known.rates)
        seconds = predicted_seconds(config, num_classes, rate)
        seconds += targets_seconds(config, train_images, rate.per_second(key.batch_size))
        return Price(seconds, memory[0] if memory else None, disk)
    each = _image_seconds(experiment.squeeze, size, known.device)
    if config.is_batch_to_batch:
        each = _matching_seconds(config, size, known.device)
    seconds = config.schedule.image_iterations(num_classes) * each + targets_seconds(config, train_images, 1 / each)
    return Price(seconds, None, disk, is_measured=False)


def scores_price(experiment: Experiment, train_images: int, size: int, known: Known) -> Price:
    """Return what the scores of a coreset take; nothing of other selections.

    EL2N and forgetting train the teacher's network, for ``score_networks`` times ``score_epochs``, and look at all
    images; herding looks at them once. Scores are computed once for a dataset, so it is the price of the first time.
    """
    config = experiment.select
    if not needs_scores(config):
        return Price()
    look = train_images * FORWARD * _image_seconds(experiment.squeeze, size, known.device)
    if config.criterion == "herding":
        return Price(look, is_measured=False)
    epochs = config.score_epochs
    training = teacher_price(experiment.squeeze.replace(epochs=epochs), train_images, size, known)
    looks = look * (epochs if config.criterion == "forgetting" else 1)
    each = Price(training.seconds + looks, None, 0, training.is_measured)
    return Price(each.seconds * config.score_networks, None, 0, each.is_measured)


def students_price(experiment: Experiment, num_classes: int, size: int, tests: int, known: Known) -> Price:
    """Return what training and testing an experiment's students takes; ``tests`` is the number of test images."""
    images = experiment.recover.ipc * num_classes
    factor = known.student_factor
    work = _students_work(experiment.evaluate, experiment.squeeze, images, size, tests, known.device)
    return Price(work * (factor or 1.0), None, 0, is_measured=factor is not None)


def continual_price(experiment: Experiment, steps: int, num_classes: int, size: int, tests: int, known: Known) -> Price:
    """Return what continual learning takes, for as many class orders as there are seeds: a student a step.

    After step k of n each is trained and tested on k / n of the images, which makes (n + 1) / 2 whole trainings.
    """
    tested = experiment.replace(evaluate=experiment.evaluate.replace(validate_every=experiment.evaluate.epochs))
    whole = students_price(tested, num_classes, size, tests, known)
    return Price(whole.seconds * (steps + 1) / 2, None, 0, whole.is_measured)


def teacher_price(squeeze: SqueezeConfig, train_images: int, size: int, known: Known) -> Price:
    """Return what training a teacher takes."""
    seconds, is_measured = training_seconds(squeeze, train_images, size, known.runs)
    share = 1.0 if is_measured else _TEACHER_SHARE.get(known.device, 1.0) * _operations(squeeze.network)
    return Price(seconds * share, None, 0, is_measured)


def _image_seconds(squeeze: SqueezeConfig, size: int, device: str) -> float:
    """Return a guess at the seconds of one image-iteration with a network."""
    if device == "cpu":
        rate, reference = _CPU_RATE, network_work(SqueezeConfig(), 32)
    else:
        rate, reference = _GPU_RATE, network_work(SqueezeConfig(), 224)
    return _operations(squeeze.network) * network_work(squeeze, size) / reference / rate


def _matching_seconds(config: RecoverConfig, size: int, device: str) -> float:
    """Return a guess at the seconds of one image-iteration of DM or DC, counted in passes of an image forward.

    A gradient is two more of them, a gradient of a gradient twice as much again.
    """
    passes = config.real_batch + 3 * config.ipc
    if config.method == "dc":
        steps, epochs = config.network_loop
        passes = 3 * config.real_batch + 9 * config.ipc + 3 * config.ipc * epochs * (steps - 1) // steps
    work = _CONVNET * (config.matching_width / 128) ** 2
    return FORWARD * work * passes / config.ipc * _image_seconds(SqueezeConfig(), size, device)


def _operations(network: str) -> float:
    """Return the work of a network for that of a ResNet-18; another network counts as one."""
    return GIGA_OPERATIONS.get(network, GIGA_OPERATIONS["resnet18"]) / GIGA_OPERATIONS["resnet18"]


def _students_work(
    evaluate: EvaluateConfig, squeeze: SqueezeConfig, images: int, size: int, tests: int, device: str
) -> float:
    """Return a guess at the seconds of all students."""
    network = squeeze.network if evaluate.student == "auto" else evaluate.student
    width = evaluate.student_width or (squeeze.width if evaluate.student == "auto" else 1.0)
    student = squeeze.replace(network=network, width=width, stem=evaluate.student_stem)
    own, teacher = (_image_seconds(one, size, device) for one in (student, squeeze))
    tested = 2 + evaluate.epochs // evaluate.validate_every
    labels = 0.0 if evaluate.labels == "hard" else FORWARD * teacher
    return evaluate.seeds * (evaluate.epochs * images * (_STUDENT_STEP * own + labels) + tested * tests * FORWARD * own)


def _is_finished(record: RunRecord, kind: str, device: str) -> bool:
    """Return whether a run of a kind is done, and was computed on such a device."""
    return (record.kind, record.status, (record.device or "").partition(":")[0]) == (kind, "finished", device)


def _student_factor(runs: Iterable[Run], device: str) -> float | None:
    """Return how much longer this machine's newest evaluations took than was guessed; None without one."""
    took = guessed = 0.0
    found = 0
    for run in runs:
        record = run.record()
        if not _is_finished(record, "evaluate", device):
            continue
        result, size = record.result, record.dataset.image_size if record.dataset else 0
        config = record.experiment.evaluate.replace(
            student=result["student"], student_width=result["student_width"], epochs=result["epochs"]
        )
        guessed += _students_work(
            config, _squeeze_of(run), int(result["images"]), size, int(result["test_images"]), device
        )
        took, found = took + float(result["seconds"]), found + 1
        if found == 5:
            break
    return took / guessed if guessed else None


def _squeeze_of(run: Run) -> SqueezeConfig:
    record = run.record()
    return record.experiment.squeeze.replace(network=record.teacher.network) if record.teacher else SqueezeConfig()
