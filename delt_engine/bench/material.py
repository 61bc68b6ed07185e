"""What the loops of a benchmark's case are given: a teacher, images, labels, a plan, and the crops.

G batches are in it where a case packs them; the engine's loop takes their steps together, the plain one after another.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.bench.cases import Case
from delt_engine.config import RecoverConfig
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.models.networks import build_network
from delt_engine.models.teachers import load_teacher
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import BatchPlan, pack_batches, plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import RecoverStep, recover
from delt_engine.recovery.reference import ReferenceStep, recover_plainly
from delt_engine.recovery.speed import FastPath
from delt_engine.seeding import generator

_NUM_CLASSES = 2
"""Classes in a batch: the published IPC 50 and batch of 100."""


@dataclass(frozen=True, eq=False)
class Material:
    """Teacher, images ``(N, 3, S, S)``, labels ``(N,)``, plan, and crops ``(MI, 7)``, of packed batches ``(G, MI, 7)``.

    Images stand in the order of the plan, which of packed batches is the order in which they join.
    """

    teacher: PreparedTeacher
    images: Tensor
    labels: Tensor
    plan: BatchPlan
    config: RecoverConfig
    crop_rows: Tensor

    def fast(self, path: FastPath) -> Generator[RecoverStep, None, None]:
        """Begin the engine's loop."""
        return recover(self.images, self.labels, self.teacher, self.plan, self.config, self.crop_rows, fast=path)

    def plain(self) -> list[Generator[ReferenceStep, None, None]]:
        """Begin the plain loops, one a batch, each with a teacher of its own: hooks would measure for all of them."""
        rows = self.crop_rows.view(len(self.places), self.config.iterations, -1)
        loops = []
        for member, places, crops in zip(self.plan.members, self.places, rows, strict=True):
            plan = BatchPlan(member, tuple(self.plan.slots[place] for place in places))
            own = PreparedTeacher(copy.deepcopy(self.teacher.network), self.teacher.mean, self.teacher.std)
            images, labels = self.images[places], self.labels[places]
            loops.append(recover_plainly(images, labels, own, plan, self.config, crops))
        return loops

    @property
    def places(self) -> list[list[int]]:
        """Where the images of each batch stand, in their own order."""
        groups = self.plan.groups or (self.plan.batch_index,) * len(self.plan.slots)
        return [[place for place, group in enumerate(groups) if group == member] for member in self.plan.members]


def material(case: Case, config: RecoverConfig, device: torch.device) -> Material:
    """Return teacher and images of a case: the shipped ones of photos, or seeded ones."""
    classes = _NUM_CLASSES * case.pack
    plan = pack_batches(plan_batches(classes, config), case.pack)[0]
    labels = torch.tensor([slot.class_index for slot in plan.slots], device=device)
    if case.network:
        mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
        network = seeded_teacher(case.network, case.image_size, mean, std, device, num_classes=max(10, classes))
        teacher = PreparedTeacher(network, mean, std)
        pixels = smooth_pixels(len(plan.slots), case.image_size, "images")
    else:
        dataset = load_dataset("photos")
        teacher = PreparedTeacher.of(load_teacher("photos", dataset=dataset, device=str(device)))
        pixels = to_pixels(dataset.train.pixels(range(len(plan.slots))))
    images = normalise(pixels, teacher.mean, teacher.std).to(device)
    keys = [(member,) if case.pack > 1 else () for member in plan.members]
    rows = torch.stack([crop_plan(config, images.shape[-1], generator(0, "bench", "crops", *key)) for key in keys])
    return Material(teacher, images, labels, plan, config, rows if case.pack > 1 else rows[0])


def seeded_teacher(
    name: str,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    device: torch.device,
    num_classes: int = 10,
) -> nn.Module:
    """Return a network with seeded weights and the running statistics of random smooth images, frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network(name, num_classes, image_size=image_size)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
    network.train().to(device)
    with torch.no_grad():
        network(normalise(smooth_pixels(64, image_size, "statistics"), mean, std).to(device))
    return network.eval().requires_grad_(requires_grad=False)


def smooth_pixels(number: int, image_size: int, what: str) -> Tensor:
    """Return random images without fine detail, float ``(n, 3, S, S)`` in [0, 1]."""
    coarse = torch.rand(number, 3, 8, 8, generator=generator(0, "bench", what))
    return F.interpolate(coarse, size=(image_size, image_size), mode="bilinear")
