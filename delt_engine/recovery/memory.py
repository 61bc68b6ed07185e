"""How much memory a recovery will need at most, told before it runs from two steps over very few images.

What an iteration keeps for its backward pass grows by the same bytes with every image, so it is measured for two and
for four images and continued to N. Kept tensors are freed from the last layer to the first, so while layer l is gone
through backwards, those of the layers before it are there, and beside them the gradients of what it was given and of
what it gave: ``peak = max_l (kept_1 + ... + kept_l + 2 * largest_l)``. To that come four times the images (images,
Adam's two moments, the gradient), their crops, and what is in use already.

Source: ours. Error, measured against the allocations of PyTorch's profiler on a CPU (ResNet-18, ResNet-50, MobileNetV2
and DenseNet-121, 32 and 64 px, 10 to 50 images, as they are, folded, and in bfloat16): 17 of 18 within 5.5 %, half of
them within 0.5 %; 15 % too low for full-width ResNet-18 with 20 images of 32 px, 23 % too high for ConvNet-3 folded.
At 224 px, folded, against what became resident in the process: ResNet-18 in bfloat16 with 100 images 1,583 MB predicted
and 1,715 measured, ResNet-50 in bfloat16 with 20 images 1,003 and 1,100, ResNet-18 in float32 with 40 1,087 and 1,204.
What libraries work with beside PyTorch's allocator, as cuDNN does, comes on top.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from delt_engine.config import RecoverConfig
from delt_engine.recovery.batch_to_batch import random_network
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.matching import in_turn
from delt_engine.recovery.speed import FastPath

PROBES = (2, 4)
"""Images in the two steps that are measured."""

_FLOAT = 4


@dataclass(frozen=True)
class MemoryPrediction:
    """Bytes that a step over ``images`` images takes at most, beside what is in use before.

    ``state`` are images, moments and crops; ``step`` is what the forward pass keeps and the backward pass adds.
    """

    images: int
    state: int
    step: int

    @property
    def total(self) -> int:
        """Bytes of ``state`` and ``step``."""
        return self.state + self.step


def predict(
    teacher: PreparedTeacher,
    config: RecoverConfig,
    fast: FastPath,
    image_size: int,
    images: int,
    device: torch.device,
) -> MemoryPrediction:
    """Predict the memory of a recovery; of a committee that of its largest member.

    Args:
        teacher: on the device; left as it was.
        fast: how it is computed; packed batches need what as many images in one need.
        images: N, images in the largest step.

    Raises:
        CheckpointError: the teacher has no BatchNorm layers.
    """
    if config.is_batch_to_batch:
        return _of_matching(config, image_size, images, device)
    if teacher.others:
        parts = (predict(member, config, fast, image_size, images, device) for member in teacher.members)
        return max(parts, key=lambda part: part.step)
    probes: list[list[int]] = []
    for number in PROBES:
        draw = torch.Generator().manual_seed(0)
        shown = torch.randn(number, 3, image_size, image_size, generator=draw).to(device).requires_grad_()
        labels = torch.zeros(number, dtype=torch.int64, device=device)
        with in_turn(teacher, config, replace(fast, low_memory=False)) as losses_of, saved(teacher.network) as found:
            losses, _ = losses_of(0, {}, shown, labels)
        probes.append(list(found.values()))
        del losses  # until here what is saved had to stay, so that every address is one tensor's
    own = 3 * image_size**2 * _FLOAT * images
    return MemoryPrediction(images, 6 * own, largest_step(probes, images))


def largest_step(probes: Sequence[Sequence[int]], images: int) -> int:
    """Return the bytes that a step over so many images takes at most, from what :data:`PROBES` kept, in order.

    >>> largest_step([[8, 20], [16, 40]], 10)  # 4 and 10 bytes an image
    340
    """
    step = before = 0
    for few, many in zip(*probes, strict=False):
        each = (many - few) / (PROBES[1] - PROBES[0])
        size = max(0, round(few + each * (images - PROBES[0])))
        before += size
        step = max(step, before + 2 * size)
    return step


def _of_matching(config: RecoverConfig, image_size: int, images: int, device: torch.device) -> MemoryPrediction:
    """Predict the memory of DM or DC: of a class at a time, a batch of real images or the class's synthetic ones.

    DM keeps no features of real images. DC's gradient of a gradient keeps about three times the features. In four
    runs on a CPU (ConvNet-3 at 32 px, 64 and 256 real images) the process's peak was within 5 % of what was predicted.
    """
    network = random_network(config, image_size, 1, seed=0, number=0).to(device)
    with saved(network) as found:
        network(torch.zeros(1, 3, image_size, image_size, device=device))
    kept, largest = sum(found.values()), max(found.values())
    real, own = config.real_batch, min(images, config.ipc)
    if config.method == "dc":
        step = max(real * kept, 3 * own * kept) + 2 * max(real, own) * largest
    else:
        step = max(2 * real * largest, own * (kept + 2 * largest))
    shown = 3 * image_size**2 * _FLOAT
    return MemoryPrediction(images, 6 * shown * images, step + real * shown)


@contextlib.contextmanager
def saved(network: nn.Module) -> Iterator[dict[int, int]]:
    """Collect what is saved for the backward pass inside: bytes by address, in order, a network's weights left out."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    found: dict[int, int] = {}

    def weigh(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(weigh, lambda tensor: tensor):
        yield found
