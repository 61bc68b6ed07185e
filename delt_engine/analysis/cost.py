"""What a recovery will cost before it runs: seconds and memory on a device, bytes on the disk, and its soft labels'.

An iteration over n images takes ``fixed_s + per_image_s * n``: the first part is what a step costs whatever is in it,
the second grows with the images. Both are measured (:mod:`delt_engine.pipeline.measure_rate`), or
taken from a finished run as its mean, with no fixed part. Nothing here needs torch or reads a file.

Source: the counts are those of DELT Eq. 7 by :mod:`delt_engine.config.schedule`; the rest is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from delt_engine.config import Experiment, RecoverConfig
from delt_engine.config.schedule import EarlyLateSchedule

PNG_SHARE = 0.73
"""Bytes of a strip's PNG for one byte of pixels. Ours, measured on the shipped example."""

FILE_BYTES = 1000
"""What an image's PNG holds besides its pixels, mostly its settings. Ours, measured on the shipped example."""

PREDICTION_BYTES = 64
"""What is stored of the teacher's predictions for one image after one round. Ours, measured on the shipped example."""

EVENTS_BYTES = 600 * 400
"""Events of a run, which are thinned out in time. Ours, measured on the shipped example."""

PROCESS_MB = 690.0
"""Memory of a recovery's process on a CPU before its first step: torch, mostly. Ours, measured on Linux."""


MATCHING_FACTOR = {32: 2.3, 64: 1.1, 224: 3.9}
"""How much longer an iteration of G-VBSM takes than one of CDA with its first teacher, by the side of the images.

Source: DELT Table 6, hours on one RTX 4090; a committee of other networks takes another time, so it is a guess.
"""

MATCHING_COST = ("real_batch", "matching_depth", "matching_width", "network_steps", "network_epochs")
"""Settings that change how long an iteration of DM or DC takes."""

FORWARD = 0.5
"""Work of a network's pass over an image, for one image-iteration with it."""

_MATCHING, _IN_TURN = "+matching", "+committee"


@dataclass(frozen=True)
class RateKey:
    """What a rate depends on: kind of device, the teacher, S in pixels, images in the largest batch.

    The teacher is its fingerprint, with a word behind it where it takes turns or more than BatchNorm is matched.
    """

    device: str
    teacher: str
    image_size: int
    batch_size: int


@dataclass(frozen=True)
class Rate:
    """How long an iteration takes: ``fixed_s + per_image_s * images``.

    Attributes:
        key: what it was measured for.
        fixed_s, per_image_s: seconds.
        device_name: the device's own name.
        source: "measured" for a calibration, "run" for a finished run's mean.
        name: when it was measured, or the run's id.
        is_here: whether that was on this machine.
        memory_mb: most memory that was needed: of a GPU its own, else of the process; None where it was not kept.
    """

    key: RateKey
    fixed_s: float
    per_image_s: float
    device_name: str = ""
    source: Literal["measured", "run"] = "measured"
    name: str = ""
    is_here: bool = True
    memory_mb: float | None = None

    def per_second(self, images: int) -> float:
        """Return image-iterations a second with ``images`` in the batch.

        >>> Rate(RateKey("cpu", "", 32, 100), 0.1, 0.004).per_second(100)
        200.0
        """
        return images / (self.fixed_s + self.per_image_s * images)


def fitted(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return (fixed_s, per_image_s) of measured (images, seconds an iteration), least squares, neither below 0.

    >>> fitted([(10, 0.2), (100, 0.65)])
    (0.15, 0.005)
    """
    images, seconds = np.array(points, np.float64).T
    mean = float(seconds.mean())
    through_zero = (0.0, mean / float(images.mean()))
    if len(set(images)) == 1:
        return through_zero
    slope, fixed = (round(float(part), 9) for part in np.polyfit(images, seconds, 1))
    if slope <= 0:  # the device was not yet busy with so few images
        return mean, 0.0
    return (fixed, slope) if fixed > 0 else through_zero


@dataclass(frozen=True)
class FormulaCost:
    """Image-iterations of a class by DELT's formula, and counted."""

    formula: float
    counted: int

    @property
    def is_exact(self) -> bool:
        """Whether both agree."""
        return self.formula == self.counted


def formula_cost(schedule: EarlyLateSchedule) -> FormulaCost:
    """Return what DELT's formula says a class takes, beside what its images take.

    With T = MI iterations, N images in j = MI / RI batches: ``N * T - j (j - 1) / 2 * RI`` where a batch is the unit,
    so each of the N / j images of a batch counts its part. Where j does not divide N the first batches hold one image
    more, which the formula does not see; so it is where there are fewer images than batches.

    Source: DELT Sec. 4.4.
    Differs: the paper calls N the MI, and says that the rest is about 2/3; it is (j + 1) / (2 j), 0.56 at j = 8.

    >>> formula_cost(EarlyLateSchedule(8, 4000, 500)), formula_cost(EarlyLateSchedule(10, 4000, 500))
    (FormulaCost(formula=18000.0, counted=18000), FormulaCost(formula=22500.0, counted=25500))
    """
    batches = schedule.num_rounds if schedule.has_rounds else 1
    saved = batches * (batches - 1) / 2 * schedule.round_iterations
    return FormulaCost(schedule.ipc * schedule.iterations - schedule.ipc / batches * saved, schedule.image_iterations())


def largest_batch(config: RecoverConfig, num_classes: int) -> int:
    """Return how many images the largest step holds; batches with one image of each of few classes share a step.

    >>> largest_batch(RecoverConfig(ipc=30), 10), largest_batch(RecoverConfig(ipc=4), 3)
    (90, 12)
    >>> [largest_batch(RecoverConfig.for_method("cda", ipc=ipc), 30) for ipc in (1, 2, 50)]
    [30, 60, 90]
    """
    total = config.ipc * num_classes
    if config.batching == "one-per-class":
        together = min(_packed(config, num_classes), max(config.schedule.newcomers))
        return min(num_classes, config.batch_size) * together
    if config.batching == "all":
        return total
    if config.batching == "images":
        return min(total, config.batch_size)
    return min(total, max(1, config.batch_size // config.ipc) * config.ipc)


def steps(config: RecoverConfig, num_classes: int) -> int:
    """Return how many iterations all batches take together; a batch begins when its first image joins.

    >>> steps(RecoverConfig(ipc=50), 10), steps(RecoverConfig.for_method("cda", ipc=50), 10)
    (20000, 20000)
    """
    if config.batching == "all":
        return config.iterations
    if config.batching == "classes":
        return -(-num_classes // max(1, config.batch_size // config.ipc)) * config.iterations
    if config.batching == "one-per-class":
        each, packed = -(-num_classes // config.batch_size), _packed(config, num_classes)
        batches = (-(-newcomers * each // packed) for newcomers in config.schedule.newcomers)
        return sum(n * (config.iterations - k * config.round_iterations) for k, n in enumerate(batches))
    starts = config.schedule.start_rounds
    firsts = (starts[first // num_classes] for first in range(0, config.ipc * num_classes, config.batch_size))
    return sum(config.iterations - (start - 1) * config.round_iterations for start in firsts)


def _packed(config: RecoverConfig, num_classes: int) -> int:
    """Return how many batches with one image a class take a step together where nothing was measured."""
    return config.pack or config.batches_that_fill(num_classes)


def predicted_seconds(config: RecoverConfig, num_classes: int, rate: Rate) -> float:
    """Return how long the optimisation of all images will take, without ranking and loading."""
    work = config.schedule.image_iterations(num_classes)
    return rate.fixed_s * steps(config, num_classes) + rate.per_image_s * work


def targets_seconds(config: RecoverConfig, train_images: int, per_second: float) -> float:
    """Return how long a run looks at its classes' training images for its BatchNorm targets, 0 for running ones.

    They are kept, so it is paid once for a dataset, a teacher and, by difficulty, a ranking; by each network of a
    committee, of which this is one.

    Args:
        per_second: image-iterations.

    >>> targets_seconds(RecoverConfig(bn_targets="class"), 50000, 50.0), targets_seconds(RecoverConfig(), 50000, 50.0)
    (500.0, 0.0)
    """
    return 0.0 if config.bn_targets == "running" else FORWARD * train_images / per_second


def rate_teacher(config: RecoverConfig, fingerprint: str) -> str:
    """Return the teacher of a :class:`RateKey`.

    >>> rate_teacher(RecoverConfig(), "f00d"), rate_teacher(RecoverConfig.for_method("gvbsm"), "f00d")
    ('f00d', 'f00d+matching')
    >>> rate_teacher(RecoverConfig.for_method("dm"), "f00d")  # no teacher: a random ConvNet, and real images
    'dm convnet-3x128, 256 real, ipc 10, 1/0'
    """
    if config.is_batch_to_batch:
        steps, epochs = config.network_loop
        network = f"{config.method} convnet-{config.matching_depth}x{config.matching_width}"
        return f"{network}, {config.real_batch} real, ipc {config.ipc}, {steps}/{epochs}"
    return fingerprint + (_MATCHING if config.matches_generally else _IN_TURN if config.committee else "")


def best_rate(rates: Iterable[Rate], key: RateKey) -> tuple[Rate | None, bool]:
    """Return the rate to predict with, and whether it is for the very same question.

    One from this machine goes before one from another, one of the same batch before another, then the first given.
    Another image size is taken in proportion to the pixels; another teacher or device not at all. For a committee of
    which nothing is known, its first teacher's rate alone is taken, by :data:`MATCHING_FACTOR`.
    """
    rates = list(rates)
    fitting = [rate for rate in rates if (rate.key.device, rate.key.teacher) == (key.device, key.teacher)]
    if not fitting:
        first, joint, word = key.teacher.partition("+")
        plain, _ = best_rate(rates, replace(key, teacher=first)) if joint else (None, False)
        if plain is None:
            return None, False
        factor = _matching_factor(key.image_size) if joint + word == _MATCHING else 1.0
        return replace(plain, fixed_s=plain.fixed_s * factor, per_image_s=plain.per_image_s * factor), False
    chosen = min(
        fitting,
        key=lambda r: (r.key.image_size != key.image_size, not r.is_here, abs(r.key.batch_size - key.batch_size)),
    )
    factor = (key.image_size / chosen.key.image_size) ** 2
    scaled = chosen if factor == 1 else replace(chosen, per_image_s=chosen.per_image_s * factor)
    return scaled, chosen.key == key and chosen.is_here


def scaled_to_this_machine(rate: Rate, rates: Iterable[Rate]) -> tuple[Rate, Rate | None]:
    """Return another machine's rate at the speed of this one, and the measurement here that tells it.

    That is the first, so the newest, of this machine that has a counterpart there: the same teacher, image size and
    kind of device. Without one the rate stays as it is, with None.
    """
    rates = list(rates)
    if rate.is_here:
        return rate, None
    for own in rates:
        there = next((one for one in rates if not one.is_here and _same_question(one.key, own.key)), None)
        if own.is_here and own.key.device == rate.key.device and there is not None:
            factor = there.per_second(own.key.batch_size) / own.per_second(own.key.batch_size)
            return replace(rate, fixed_s=rate.fixed_s * factor, per_image_s=rate.per_image_s * factor), own
    return rate, None


def _same_question(one: RateKey, other: RateKey) -> bool:
    return (one.device, one.teacher, one.image_size) == (other.device, other.teacher, other.image_size)


def _matching_factor(image_size: int) -> float:
    return MATCHING_FACTOR[min(MATCHING_FACTOR, key=lambda side: max(side / image_size, image_size / side))]


def predicted_bytes(
    config: RecoverConfig, num_classes: int, image_size: int, snapshot_classes: int | None = None
) -> int:
    """Return about how many bytes the finished run takes.

    Counted are images, a strip a class and round, the teacher's predictions, and events. All classes have strips when
    ``snapshot_classes`` is None.
    """
    image = 3 * image_size**2 * PNG_SHARE
    pictured = num_classes if snapshot_classes is None else min(num_classes, snapshot_classes)
    strips = pictured * config.ipc * (image + PREDICTION_BYTES) * (config.schedule.num_rounds + 1)
    return round(num_classes * config.ipc * (image + FILE_BYTES) + strips + EVENTS_BYTES)


def checkpoint_bytes(config: RecoverConfig, num_classes: int, image_size: int) -> int:
    """Return the bytes of what resume needs while the run is on: images and Adam's moments of one batch."""
    if not config.is_optimised:
        return 0
    return 3 * 4 * 3 * image_size**2 * largest_batch(config, num_classes)


def predicted_memory(rates: Iterable[Rate], key: RateKey) -> tuple[float, Rate] | None:
    """Return the peak memory in MB and the measurement it is continued from; None where none is near enough.

    What a step keeps grows with the images in the largest batch and with their pixels.
    """
    rate, _ = best_rate((rate for rate in rates if rate.memory_mb is not None), key)
    if rate is None or rate.memory_mb is None:
        return None
    before = 0.0 if key.device.startswith("cuda") else min(PROCESS_MB, rate.memory_mb)
    growth = key.batch_size * key.image_size**2 / (rate.key.batch_size * rate.key.image_size**2)
    return before + (rate.memory_mb - before) * growth, rate


def label_epochs(experiment: Experiment) -> int:
    """Return how many epochs of soft labels are stored."""
    return experiment.relabel.label_epochs or experiment.evaluate.epochs


def label_bytes(experiment: Experiment, num_classes: int) -> int:
    """Return the bytes of the soft labels of all images, where they are stored: one number a class, image and epoch.

    >>> label_bytes(Experiment(), 10)  # 100 images, 300 epochs, 10 classes, 2 bytes
    600000
    """
    number = 2 if experiment.relabel.form == "float16" else 4
    return num_classes * experiment.recover.ipc * label_epochs(experiment) * num_classes * number


@dataclass(frozen=True)
class Plan:
    """What a recovery takes, as far as it is known: of all its classes, or of one where ``classes`` is None.

    Bytes are None while the number of classes, or the image size in pixels, is unknown.
    """

    classes: int | None
    image_size: int | None
    images: int
    image_iterations: int
    baseline_image_iterations: int
    saved_percent: float
    bytes: int | None
    bytes_without_rounds: int | None
    checkpoint_bytes: int | None
    label_epochs: int
    label_bytes: int | None


def plan(experiment: Experiment, num_classes: int | None, image_size: int | None) -> Plan:
    """Return what a recovery of ``num_classes`` classes, or of one while that is unknown, takes."""
    config, classes = experiment.recover, num_classes or 1
    schedule, is_known = config.schedule, num_classes is not None and image_size is not None
    size = image_size or 0
    return Plan(
        classes=num_classes,
        image_size=image_size,
        images=classes * config.ipc,
        image_iterations=schedule.image_iterations(classes),
        baseline_image_iterations=schedule.baseline_image_iterations(classes),
        saved_percent=schedule.saved_percent,
        bytes=predicted_bytes(config, classes, size) if is_known else None,
        bytes_without_rounds=predicted_bytes(config, classes, size, 0) if is_known else None,
        checkpoint_bytes=checkpoint_bytes(config, classes, size) if is_known else None,
        label_epochs=label_epochs(experiment),
        label_bytes=label_bytes(experiment, classes) if num_classes else None,
    )
