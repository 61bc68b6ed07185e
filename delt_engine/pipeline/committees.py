"""What a run recovers from: its teacher, the others of its committee, and the statistics of their convolutions.

Statistics take a pass over all training images, so they are kept, by network, data and size of the patches, and found
again by later runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from delt_engine.config.methods import SMALL_IMAGES
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import RunError
from delt_engine.files import KeyedStore
from delt_engine.models.card import TeacherCard, read_card
from delt_engine.models.committee import member_file
from delt_engine.models.device import memory_format
from delt_engine.models.teachers import Teacher, load_teacher
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.rank import measured_other
from delt_engine.recovery.conv_statistics import ConvStatistics, conv_layers, gathered
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.runs.events import StageEvent
from delt_engine.runs.record import RunRecord
from delt_engine.training.relabel import MeanLogits, teacher_for

BATCH = 250
"""Training images that a network is shown at once."""

EVENT_SECONDS = 0.25

_STATISTICS = KeyedStore("conv-statistics", most=60)


def prepare(context: StageContext, teacher: Teacher) -> PreparedTeacher:
    """Return the teacher of a recovery with the others that take turns with it, in every rank.

    The first rank measures the others on a sample, once a run, and gathers statistics that were not kept.

    Raises:
        CheckpointError: one cannot be read, or its classes stand in another order.
        RunError: one is not the one that the run began with.
    """
    with context.stop.loading():
        loaded = [(load_teacher(str(path), device=context.device), card) for path, card in context.inputs.committee]
    _measure(context, [one for one, _ in loaded])
    spec = context.inputs.dataset.spec
    networks = [(teacher.network, teacher.card)] + [
        (teacher_for(one.network, one.card.class_names, spec.class_names), card) for one, card in loaded
    ]
    members = [
        PreparedTeacher(network, card.mean, card.std, _statistics(context, network, card)) for network, card in networks
    ]
    return replace(members[0], others=tuple(members[1:]))


def _measure(context: StageContext, others: Sequence[Teacher]) -> None:
    """Measure the teachers that take turns after the first one, before they are used."""

    def measure() -> None:
        known, names = context.run.record().committee, context.inputs.dataset.spec.class_names
        if any(record.measured_accuracy is not None for record in known):
            return
        pairs = zip(others, known, strict=True)
        records = [measured_other(context, one, names, record, "teachers") for one, record in pairs]
        context.update(committee=tuple(records))

    if others:
        context.first(measure)


def _statistics(context: StageContext, network: nn.Module, card: TeacherCard) -> tuple[ConvStatistics, ...]:
    """Return the statistics of a network's convolutions over the training images, as kept by the first rank."""
    config, dataset = context.experiment.recover, context.inputs.dataset
    if not config.conv_statistics:
        return ()
    key = (card.fingerprint, dataset.fingerprint, dataset.spec.image_size, config.patch_side)

    def kept() -> tuple[ConvStatistics, ...] | None:
        with contextlib.suppress(TypeError, ValueError, KeyError, AttributeError):
            found = tuple(map(ConvStatistics.from_record, _STATISTICS.read(key)))
            return found if len(found) == len(conv_layers(network)) else None
        return None

    def make() -> list[dict[str, list[float]]]:
        found = kept() or gathered(network, training_batches(context, network, card), config.patch_side)
        records = [one.to_record() for one in found]
        with contextlib.suppress(RunError):  # a disk that refuses costs the next run a pass
            _STATISTICS.write(key, records)
        return records

    return tuple(map(ConvStatistics.from_record, context.first(make)))


def training_batches(
    context: StageContext, network: nn.Module, card: TeacherCard, rows: Sequence[int] | None = None
) -> Iterator[Tensor]:
    """Yield training images, all or those of ``rows``, normalised, on the device, telling how far it is."""
    images, device, next_event = context.inputs.dataset.train, torch.device(context.device), 0.0
    rows = range(len(images)) if rows is None else rows
    for begin in range(0, len(rows), BATCH):
        context.stop.check()
        end = min(begin + BATCH, len(rows))
        shown = normalise(to_pixels(images.pixels(rows[begin:end]), device), card.mean, card.std)
        yield shown.contiguous(memory_format=memory_format(network, device))
        if end == len(rows) or time.monotonic() >= next_event:
            next_event = time.monotonic() + EVENT_SECONDS
            context.event(StageEvent(stage="statistics", done=end, total=len(rows)))


def labelling_committee(record: RunRecord, teacher: Teacher, class_names: Sequence[str]) -> Teacher:
    """Return what labels the images of a run: its teacher, or with a committee the mean of all its members.

    Args:
        record: of the run that made the images.
        teacher: its teacher, on its device.
        class_names: of the images, in order.

    Raises:
        CheckpointError: a member is not there any more.
        RunError: a member has changed.
    """
    if not record.is_labelled_by_committee:
        return teacher
    device = next(teacher.network.parameters()).device
    members = [teacher]
    for one in record.committee:
        path = member_file(one.ref, one.fingerprint)
        if read_card(path).fingerprint != one.fingerprint:
            raise RunError(
                f"teachers: {one.name} ({one.network}) is not the one any more that run {record.id} was made with."
            )
        members.append(load_teacher(str(path), device=device))
    networks = [teacher_for(one.network, one.card.class_names, class_names) for one in members]
    network = MeanLogits(networks, evens_out=teacher.card.image_size > SMALL_IMAGES)
    name, fingerprint = committee_name(record)
    card = replace(
        teacher.card,
        name=name,
        fingerprint=fingerprint,
        num_classes=len(class_names),
        class_names=tuple(class_names),
    )
    return Teacher(network.eval().requires_grad_(requires_grad=False), card)


def committee_name(record: RunRecord) -> tuple[str, str]:
    """Return what a run's whole committee is called, and a fingerprint of it."""
    members = [*([record.teacher] if record.teacher else []), *record.committee]
    digest = hashlib.sha256(" ".join(one.fingerprint for one in members).encode()).hexdigest()[:16]
    return f"committee of {' + '.join(one.network for one in members)}", digest
