"""What a training of students takes where its recipe leaves it open: batch size, learning rate, crops, RandAugment.

Source: DELT's and RDED's evaluation code (argument.py), which made the accuracies that DELT prints. DELT Table 8a gives
the same numbers but one: it prints one batch size an IPC (:func:`printed_batch_size`), where the code doubles it from
100 classes on (:func:`batch_size_rule`). Training by either of the two is training as published.
"""

from __future__ import annotations

from delt_engine.config.methods import SMALL_IMAGES

_PRINTED_BATCHES = {1: 10, 10: 50, 50: 100}


def printed_batch_size(ipc: int) -> int | None:
    """Return the batch size that DELT prints for a number of images per class; None where it prints none.

    Source: DELT Table 8a.

    >>> printed_batch_size(10), printed_batch_size(100)
    (50, None)
    """
    return _PRINTED_BATCHES.get(ipc)


_SMALL_NETWORKS = ("cifar100", "convnet-3", "convnet-3")
"""Dataset, student and teacher of the one experiment that published code singles out."""


def batch_size_rule(ipc: int, num_classes: int, dataset: str = "", student: str = "", teacher: str = "") -> int:
    """Return how many images a training step takes when nothing else is said.

    10 at IPC 1, 50 at 10 and 20, 100 above, doubled from 100 classes on; half of it for a ResNet-101 on ImageNet-1K
    and ImageNet-100; 100 for Tiny-ImageNet; never more than there are images. 25 where a ConvNet-3 learns CIFAR-100
    from a ConvNet-3. Numbers between the published ones take the next lower one's.

    Args:
        ipc: images per class.
        num_classes: of the images.
        dataset: a name of the catalogue.
        student: network that learns.
        teacher: network that labels.

    Source: published evaluation code of DELT and RDED (argument.py); DELT Table 8a prints :func:`printed_batch_size`.

    >>> batch_size_rule(1, 10), batch_size_rule(10, 10), batch_size_rule(50, 1000), batch_size_rule(1, 5)
    (10, 50, 200, 5)
    """
    if (dataset, student, teacher) == _SMALL_NETWORKS:
        return 25
    size = 10 if ipc < 10 else 50 if ipc < 30 else 100
    size = 2 * size if num_classes >= 100 else size
    size = size // 2 if student == "resnet101" and dataset in ("imagenet-1k", "imagenet-100") else size
    size = 100 if dataset == "tiny-imagenet" else size
    return max(1, min(size, ipc * num_classes))


_RATES = {"mobilenet": 0.0025, "efficientnet": 0.002, "vgg11": 5e-4}
_RATES |= dict.fromkeys(("vit", "deit", "swin", "alexnet"), 1e-4)


def learning_rate_rule(student: str, dataset: str = "", teacher: str = "") -> float:
    """Return AdamW's learning rate for a student when nothing else is said.

    Args:
        student: network that learns.
        dataset: a name of the catalogue, for the one experiment that published code singles out.
        teacher: network that labels, likewise.

    Source: DELT Table 8a; published evaluation code.

    >>> learning_rate_rule("resnet18"), learning_rate_rule("mobilenet_v2"), learning_rate_rule("deit_tiny_patch16_224")
    (0.001, 0.0025, 0.0001)
    """
    if (dataset, student, teacher) == _SMALL_NETWORKS:
        return 0.002
    return next((rate for name, rate in _RATES.items() if name in student), 0.001)


def min_crop_rule(image_size: int) -> float:
    """Return the smallest area share of RDED's crops: 1 over the tiles along each side of its mosaics.

    Where its images are one patch that is 1, so nothing is cropped.

    Source: RDED's validation code.

    >>> min_crop_rule(32), min_crop_rule(224)
    (1.0, 0.5)
    """
    return 1.0 if image_size <= SMALL_IMAGES else 0.5


_RAND_AUGMENT = {"cifar10": "m5-n4-mstd1", "cifar100": "m5-n4-mstd1", "tiny-imagenet": "m4-n3-mstd1"}


def rand_augment_rule(dataset: str, image_size: int) -> str:
    """Return RandAugment's settings for a dataset: those of its own row, else of the nearest image size.

    Source: DELT Table 8c.

    >>> rand_augment_rule("imagenette", 224), rand_augment_rule("photos", 32)
    ('m6-n2-mstd1', 'm5-n4-mstd1')
    """
    by_size = "m5-n4-mstd1" if image_size <= 32 else "m4-n3-mstd1" if image_size <= 64 else "m6-n2-mstd1"
    return _RAND_AUGMENT.get(dataset, by_size)
