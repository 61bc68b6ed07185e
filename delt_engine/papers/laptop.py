"""The same tables on a laptop: built-in datasets, fewer images and iterations, narrow networks; the axes stay.

Nothing is tuned: every number is the paper's times one factor, so that the ratios along an axis stay. What it shows is
whether an order holds, never the paper's accuracy.

Source: ours, chosen so that a cell with its three students takes about a minute on two cores.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from delt_engine.config import Experiment, RecoverConfig, SelectConfig, field_specs
from delt_engine.config.methods import recover_settings, stage_settings
from delt_engine.data.catalogue import CATALOGUE
from delt_engine.models.card import TeacherCard, read_card
from delt_engine.papers.cells import Cell
from delt_engine.papers.names import OUTSIDE, our_network
from delt_engine.paths import assets_dir

DATASETS = MappingProxyType(
    {
        "cifar10": "cifar10-mini",
        "cifar100": "cifar10-mini",
        "tiny-imagenet": "digits",
        "imagenette": "photos",
        "imagenet-100": "cifar10-mini",
        "imagenet-1k": "cifar10-mini",
        "imagenet-21k": "cifar10-mini",
    }
)
"""Which built-in dataset stands for a published one; its shipped teacher stands for ResNet-18.

ImageNet's parts, which most tables are of, have the one that tells methods apart: three students of a cell spread by
up to 3.8 points on ``cifar10-mini`` and by up to 10 on ``photos``, whose test images are of ten photographs.
"""

IMAGES_PER_CLASS = MappingProxyType({1: 1, 10: 10, 20: 12, 50: 16, 100: 24, 200: 40})

ITERATIONS, EPOCHS, TEACHER_EPOCHS, BATCH, SEEDS = 20, 7.5, 10, 4, 3
"""What MI and RI, a student's epochs, a teacher's epochs, and a batch size that a table varies are divided by; and how
many students are trained."""

LARGEST_MOSAIC = 6
"""Of DELT Fig. 6: 6x6 patches an image."""

CONTINUAL = "cifar10-mini"
"""Dataset of continual learning, whose ten classes come in five or ten steps."""

NETWORKS: MappingProxyType[str, tuple[str, float, str]] = MappingProxyType(
    {
        "resnet18": ("resnet18", 0.25, "auto"),
        "resnet50": ("resnet34", 0.25, "auto"),
        "resnet101": ("resnet50", 0.125, "auto"),
        "mobilenet_v2": ("mobilenet_v2", 0.25, "auto"),
        "efficientnet_b0": ("mobilenet_v3_small", 0.5, "auto"),
        "mnasnet1_3": ("mnasnet0_5", 1.0, "stock"),
        "shufflenet_v2_x2_0": ("shufflenet_v2_x0_5", 1.0, "auto"),
        "regnet_y_8gf": ("regnet_x_400mf", 1.0, "stock"),
        "densenet121": ("resnet34", 0.125, "auto"),
        "convnext_tiny": ("convnext_atto", 1.0, "stock"),
        "deit_tiny_patch16_224": ("deit_tiny_patch16_224", 1.0, "stock"),
        "deit_base_patch16_224": ("deit_small_patch16_224", 1.0, "stock"),
        "resmlp_24_224": ("resmlp_12_224", 1.0, "auto"),
        "squeezenet1_1": ("squeezenet1_1", 1.0, "auto"),
        "alexnet": ("convnet-3", 0.25, "auto"),
        "vgg11": ("convnet-3", 0.5, "auto"),
        "vgg13": ("convnet-4", 0.5, "auto"),
        "vgg16": ("convnet-5", 0.5, "auto"),
        "vgg19": ("convnet-5", 1.0, "auto"),
        "convnet-3": ("convnet-3", 0.5, "auto"),
        "convnet-4": ("convnet-3", 0.5, "auto"),
        "convnet-6": ("convnet-4", 0.5, "auto"),
    }
)
"""Small students in the place of printed ones: network, share of its published width, and stem. Stock stems are fast at
32 px where the small one of the family is not."""

_MATCHED = ("patch_side", "statistics_ema", "layer_drop", "pad")
"""What G-VBSM sets by the size of the images, but batch and learning rate."""

_MATCHING = {"real_batch": 8, "matching_width": 4, "matching_depth": 1}
"""What DM's and DC's real images and networks are divided by; their depth goes by the size of the images."""

_TITLES = {spec.name: spec.title for spec in field_specs(RecoverConfig)}

SHIPPED = "resnet18"
"""Network whose place the shipped teacher takes; the shipped second network takes that of all others."""


def laptop_cell(cell: Cell, axes: tuple[str, ...]) -> Cell:
    """Return a cell at laptop scale.

    Args:
        cell: as printed.
        axes: what its table varies, see :func:`delt_engine.papers.paper_tables.axis`.
    """
    if cell.measure == "parameters":
        return replace(cell, scale="laptop")
    dataset = _dataset(cell)
    size = CATALOGUE[dataset].image_size
    network = cell.experiment.squeeze.network
    changes: dict[str, Any] = {"dataset": dataset, "image_size": None, "ranker": ""}
    said = [("Dataset", cell.experiment.dataset, f"{dataset}, {size} px")]
    if cell.measure == "teacher":
        small, width, _ = NETWORKS[network]
        epochs = max(1, round(cell.experiment.squeeze.epochs / TEACHER_EPOCHS))
        squeeze = {"network": small, "width": width, "epochs": epochs, "batch_size": 128}
        said += [("Teacher", network, _named(small, width)), ("Epochs", *_pair(cell.experiment.squeeze.epochs, epochs))]
    else:
        card = _card(dataset, network)
        changes["teacher"] = _teacher(dataset, network)
        squeeze = {"network": card.network, "width": card.width}
        said.append(("Recovery network", network, f"{_named(card.network, card.width)}, shipped"))
        changes["recover"] = _recover(cell, axes)
        if cell.experiment.recover.committee:
            changes["teachers"] = (changes["teacher"], _teacher(dataset, OUTSIDE))
            both = f"{card.network} and {_card(dataset, OUTSIDE).network}, shipped"
            said.append(("Committee", "4 or 5 networks", both))
        if "select.mosaic" not in cell.varied:
            mosaic = stage_settings(cell.value.method, size).get("select", {}).get("mosaic", 1)
            changes["select"] = cell.experiment.select.replace(mosaic=mosaic)
        said += _said_of_images(cell, changes["recover"], changes.get("select", cell.experiment.select))
    if cell.measure == "judge":
        said.append(("Outside network", OUTSIDE, f"{_card(dataset, OUTSIDE).network}, shipped"))
    if cell.needs_students:
        changes["evaluate"], words = _students(cell, axes)
        said += words
    changes["squeeze"] = cell.experiment.squeeze.replace(**squeeze)
    relabeller = _teacher(dataset, cell.relabeller) if cell.relabeller else ""
    if relabeller:
        said.append(("Relabelled by", cell.relabeller, _card(dataset, cell.relabeller).network))
    experiment: Experiment = cell.experiment.replace(**changes)
    return replace(cell, experiment=experiment, scale="laptop", scaled=tuple(said), relabeller=relabeller)


def _dataset(cell: Cell) -> str:
    """Return the built-in dataset that stands for that of a cell."""
    return CONTINUAL if cell.measure == "continual" else DATASETS[cell.experiment.dataset]


def _recover(cell: Cell, axes: tuple[str, ...]) -> Any:
    recover, size = cell.experiment.recover, CATALOGUE[_dataset(cell)].image_size
    changes: dict[str, Any] = {"ipc": _ipc(cell, axes)}
    if recover.committee:  # what it matches goes by the size of the images
        changes |= {name: recover_settings(recover.method, size)[name] for name in _MATCHED}
    else:
        changes["jitter"] = min(recover.jitter, 4)
    if recover.is_batch_to_batch:
        own = recover_settings(recover.method, size)
        changes |= {name: own[name] // share for name, share in _MATCHING.items()}
    if recover.is_optimised:
        mi = recover.iterations // ITERATIONS
        shows = recover.schedule.has_rounds or "recover.round_iterations" in cell.varied
        changes |= {"iterations": mi, "round_iterations": recover.round_iterations // ITERATIONS if shows else mi}
    return recover.replace(**changes)


def _ipc(cell: Cell, axes: tuple[str, ...]) -> int:
    """Return the images a class; where a table varies the mosaic, as many as the largest still has patches for."""
    ipc, entry = IMAGES_PER_CLASS[cell.experiment.recover.ipc], CATALOGUE[_dataset(cell)]
    if "patches" not in axes:
        return ipc
    return min(ipc, entry.train_size // (entry.num_classes or 1) // LARGEST_MOSAIC**2)


def _said_of_images(cell: Cell, recover: RecoverConfig, select: SelectConfig) -> list[tuple[str, str, str]]:
    """Return what is made small in the images: ``recover`` and ``select`` are those of the laptop."""
    printed, said = cell.experiment.recover, []
    said.append(("IPC", *_pair(printed.ipc, recover.ipc)))
    if printed.is_optimised:
        said.append(("MI", *_pair(printed.iterations, recover.iterations)))
        said.append(("Jitter", *_pair(printed.jitter, recover.jitter)))
        if printed.is_batch_to_batch:
            said += [(_TITLES[name], *_pair(getattr(printed, name), getattr(recover, name))) for name in _MATCHING]
        if printed.committee:
            said += [(_TITLES[name], f"{getattr(printed, name):g}", f"{getattr(recover, name):g}") for name in _MATCHED]
    if printed.schedule.has_rounds:
        said.append(("RI", *_pair(printed.round_iterations, recover.round_iterations)))
        there, here = (" ".join(map(str, one.schedule.newcomers)) for one in (printed, recover))
        said.append(("Images joining in each round", there, here))
    if printed.initialization == "patches":
        said.append(("Mosaic", *_pair(cell.experiment.select.mosaic, select.mosaic)))
        if cell.experiment.ranker and cell.experiment.squeeze.network != SHIPPED:
            said.append(("Ranker", SHIPPED, "the recovery network"))
    return [words for words in said if words[1] != words[2] or words[0] == "IPC"]


def _students(cell: Cell, axes: tuple[str, ...]) -> tuple[Any, list[tuple[str, str, str]]]:
    own = cell.experiment.evaluate
    network, width, stem = NETWORKS[own.student]
    epochs = max(1, round(own.epochs / EPOCHS))
    batch = max(2, (own.batch_size or 2) // BATCH) if "batch_size" in axes else None
    changes = {"student": network, "student_width": width, "student_stem": stem, "epochs": epochs, "seeds": SEEDS}
    augment = own.rand_augment if own.rand_augment == "none" else "auto"
    said = [("Student", own.student, _named(network, width)), ("Epochs", *_pair(own.epochs, epochs))]
    if own.batch_size and own.batch_size != batch:
        said.append(("Student's batch", f"{own.batch_size:,}", f"{batch:,}" if batch else "by the number of images"))
    return own.replace(**changes, batch_size=batch, rand_augment=augment), said


def _teacher(dataset: str, network: str) -> str:
    """Return the file of the shipped network that takes the place of a printed one."""
    folder = "teachers" if our_network(network) == SHIPPED else "second"
    return str(assets_dir() / folder / f"{dataset}.safetensors")


@lru_cache(maxsize=16)
def _card(dataset: str, network: str) -> TeacherCard:
    return read_card(_teacher(dataset, network))


def _pair(printed: int, here: int) -> tuple[str, str]:
    return f"{printed:,}", f"{here:,}"


def _named(network: str, width: float) -> str:
    return network if width == 1 else f"{network}, width {width:g}"
