"""Students of several seeds beside each other on one device: how many of them, and whose turn it is.

A step on small images is too short to fill a GPU. The students of one evaluation have nothing in common but what they
read (the images, and the teacher that labels), so each trains on a CUDA stream of its own, and one process gives every
one of them a step in turn; nothing of a step is read before an epoch ends. What is random is keyed by seed, epoch and
step, so a student computes what it would alone, on a CPU to the bit.

What a student takes is told before it is trained from two forward passes, see :mod:`delt_engine.recovery.memory`. A
CUDA graph has memory of its own beside that of the steps taken without it, so a step that is replayed counts twice.
Three students of 32 px have run so on an H200.

Source: ours; streams: PyTorch's "CUDA semantics".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from delt_engine.config.students import EvaluateConfig
from delt_engine.models.device import free_memory
from delt_engine.recovery.memory import PROBES, largest_step, saved
from delt_engine.seeding import seeded
from delt_engine.training.augmentation import DeviceImages
from delt_engine.training.image_table import ImageTable
from delt_engine.training.replayed import can_replay
from delt_engine.training.shown_batches import images_ahead
from delt_engine.training.students import initial_student
from delt_engine.training.trainer import uses_bfloat16

MOST = 8
"""Students at once where the settings leave it open; ours; three have run on a card, more were not tried."""

MEMORY_SHARE = 0.8
"""Share of the free memory that students may take together; the rest is for tests and what libraries work with."""

_FLOAT = 4
_COPIES = 6  # of a batch: as read, augmented, normalised, mixed, in the network's order, and a graph's own
_MEMORIES = {"sgd": 1, "adam": 2, "adamw": 2}  # of an optimiser, each as large as the weights

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Places:
    """How many students are trained at once, of how many that were asked for.

    ``each`` and ``free`` are the bytes that one takes and that are free; 0 where it is one anyway.
    """

    students: int
    asked: int = 1
    each: int = 0
    free: int = 0


def places(config: EvaluateConfig, train: ImageTable, device: torch.device, waiting: int) -> Places:
    """Return how many of so many students are trained at once: as set, and no more than memory has room for.

    Args:
        config: resolved; where it leaves the number open, it is 1 but on a CUDA device.
        train: what they learn from.
        device: where.
        waiting: students that are not trained yet.
    """
    open_number = MOST if device.type == "cuda" else 1
    asked = min(waiting, config.students_at_once or open_number)
    if asked <= 1:
        return Places(1)
    each, free = student_bytes(config, train, device), free_memory(device)
    return Places(max(1, min(asked, int(MEMORY_SHARE * free / each))), asked, each, free)


def student_bytes(config: EvaluateConfig, train: ImageTable, device: torch.device) -> int:
    """Return about how many bytes of a device a student takes in training, beside the images."""
    assert config.batch_size is not None, "the settings are resolved"
    network = initial_student(config, train, seed=0).to(device).train()
    probes = []
    for number in PROBES:
        images = torch.zeros(number, 3, train.image_size, train.image_size, device=device)
        precision = torch.autocast(device.type, torch.bfloat16, uses_bfloat16(config, device))
        with seeded(0, device), precision, saved(network) as found:
            logits = network(images)
        probes.append(list(found.values()))
        del logits  # until here what is saved had to stay, so that every address is one tensor's
    step = largest_step(probes, config.batch_size)
    if config.graphs and can_replay(network, device, train.image_size):
        step *= 2
    weights = sum(weight.numel() for weight in network.parameters())
    copies = 2 + _MEMORIES[config.optimizer] + bool(config.ema_decay)  # weights, gradients, and so on
    ahead = images_ahead(device, train.image_size)
    batch = 3 * train.image_size**2 * (config.batch_size + (ahead if ahead > config.batch_size else 0))
    return step + _FLOAT * (copies * weights + _COPIES * batch)


def shared_images(train: ImageTable, test: ImageTable, device: torch.device) -> tuple[DeviceImages, DeviceImages]:
    """Return the images of both tables on a device, for several students."""
    return DeviceImages(train, device), DeviceImages(test, device)


def by_turns(trainings: dict[int, Iterator[_Record]], device: torch.device) -> Iterator[tuple[int, _Record]]:
    """Yield the next record of each training in turn, with its number, until none is left.

    Args:
        trainings: by number; one that ends is taken out, and one that is taken out meanwhile has no more turns.
        device: a CUDA device gives each a stream of its own, where there are several.
    """
    streams: dict[int, torch.cuda.Stream] = {}
    if device.type == "cuda" and len(trainings) > 1:
        streams = {number: torch.cuda.Stream(device) for number in trainings}
        for stream in streams.values():
            stream.wait_stream(torch.cuda.current_stream(device))  # images and teacher are brought by that
    while trainings:
        for number in list(trainings):
            if number not in trainings:
                continue
            own = streams.get(number)
            with torch.cuda.stream(own) if own else contextlib.nullcontext():
                record = next(trainings[number], None)
            if record is None:
                del trainings[number]
            else:
                yield number, record
