"""Settings of G-VBSM: those of its published code, for neither paper prints them.

Source: Branch_CIFAR_10, Branch_CIFAR_100, Branch_Tiny_ImageNet and Branch_full_ImageNet_1k of its published code,
recover/ and train/ in each.
"""

from __future__ import annotations

from delt_engine.config.methods import SMALL_IMAGES, recover_settings
from delt_engine.papers.code_settings import put_labels, put_pictures
from delt_engine.papers.gathered import Asked, Gathered

_RECOVER = "G-VBSM's published code (recover.sh)"
_TRAIN = "G-VBSM's published code (train.sh)"
_COMMITTEE = ("resnet18", "mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x0_5")


def committee(image_size: int) -> tuple[str, ...]:
    """Return the networks that recover in turn.

    Differs: on small images a WRN-16-2 is among them as well, which cannot be built here.

    >>> committee(32)[-1], len(committee(224))
    ('convnet-3', 4)
    """
    return (*_COMMITTEE, "convnet-3") if image_size <= SMALL_IMAGES else _COMMITTEE


def recover(into: Gathered, asked: Asked) -> None:
    """Take the settings of the recovery, which go by the size of the images."""
    shared = {"iterations": 4000, "r_bn": 0.01, "first_bn_multiplier": 10.0, "beta1": 0.5, "beta2": 0.9, "flip": True}
    crops = {"batch_size": 100, "min_crop": 0.08, "max_crop": 1.0}
    into.assume("recover", _RECOVER, **shared, **{**crops, **recover_settings("gvbsm", asked.image_size)})
    put_pictures(into)


def evaluate(into: Gathered, asked: Asked) -> None:
    """Take the training of the students.

    Differs: on CIFAR-100 and Tiny-ImageNet the published code trains with SGD; CIFAR-10's AdamW is taken up to 64 px.
    """
    recipe = "gvbsm" if asked.image_size > SMALL_IMAGES else "gvbsm-cifar"
    into.assume("evaluate", _TRAIN, recipe=recipe)
    put_labels(into, "G-VBSM")
    into.assume("evaluate", "ours: as many as DELT trains", seeds=3)
