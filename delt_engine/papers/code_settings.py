"""Settings that no table at hand prints: those of the published code of SRe2L and RDED, and of torchvision's training.

Source: SRe2L recover/data_synthesis.py, validate/train_FKD.sh and *small_dataset/ (recover_cifar.py, recover_tiny.py,
squeeze_cifar.py, relabel_cifar.py); the tiny-imagenet repository it names (script/train_rn18.sh, train_kd.sh); RDED
synthesize/ and argument.py; torchvision references/classification/train.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from delt_engine.config.methods import recover_settings, stage_settings
from delt_engine.config.student_rules import batch_size_rule, learning_rate_rule
from delt_engine.papers.gathered import Asked, Gathered

_TORCHVISION: dict[str, Any] = {
    "optimizer": "sgd",
    "momentum": 0.9,
    "nesterov": False,
    "learning_rate": 0.1,
    "weight_decay": 1e-4,
    "schedule": "steps",
    "step_epochs": 30,
    "step_factor": 0.1,
    "epochs": 90,
    "batch_size": 256,
    "min_crop": 0.08,
    "flip": True,
}
"""Defaults of its training script, whose 32 images on each of eight devices are one batch here."""


class _Sre2l(NamedTuple):
    squeeze: dict[str, Any]
    recover: dict[str, Any]
    recipe: str
    scripts: tuple[str, str]  # of recovery and training


_SQUEEZED_SMALL: dict[str, Any] = {"optimizer": "sgd", "momentum": 0.9, "nesterov": False, "schedule": "cosine"}
_CIFAR = _Sre2l(
    {**_SQUEEZED_SMALL, "learning_rate": 0.1, "weight_decay": 5e-4, "batch_size": 128, "epochs": 200, "min_crop": 1.0},
    {"iterations": 1000, "learning_rate": 0.25, "r_bn": 0.01, "min_crop": 1.0, "flip": False},
    "sre2l-cifar",
    ("recover_cifar.py", "relabel_cifar.py"),
)
_TINY = _Sre2l(
    {**_SQUEEZED_SMALL, "learning_rate": 0.2, "weight_decay": 1e-4, "batch_size": 256, "epochs": 50, "min_crop": 0.08},
    {"iterations": 4000, "learning_rate": 0.1, "r_bn": 1.0, "min_crop": 0.08, "flip": True, "jitter_both_ways": True},
    "sre2l-tiny-imagenet",
    ("recover_tiny.py", "train_kd.sh"),
)
_LARGE = _Sre2l(
    _TORCHVISION,
    {"iterations": 4000, "learning_rate": 0.25, "r_bn": 0.01, "min_crop": 0.08, "flip": True},
    "sre2l",
    ("data_synthesis.py", "train_FKD.sh"),
)


def squeeze_with_torchvision(into: Gathered, reason: str) -> None:
    """Take torchvision's training of a teacher."""
    into.assume("squeeze", f"{reason}; defaults of its references/classification", **_TORCHVISION)


def squeeze_as_sre2l(into: Gathered, asked: Asked) -> None:
    """Take SRe2L's training of a teacher."""
    source = _sre2l(asked)
    into.assume("squeeze", "SRe2L's published code", network=asked.network, **source.squeeze)


def recover_as_sre2l(into: Gathered, asked: Asked) -> None:
    """Take SRe2L's recovery."""
    source = _sre2l(asked)
    shared = {"batch_size": 100, "beta1": 0.5, "beta2": 0.9, "first_bn_multiplier": 10.0, "max_crop": 1.0}
    into.assume("recover", f"SRe2L's published code ({source.scripts[0]})", **shared, **source.recover)
    put_jitter(into, asked)
    put_pictures(into)


def evaluate_as_sre2l(into: Gathered, asked: Asked) -> None:
    """Take SRe2L's training of students."""
    source = _sre2l(asked)
    into.assume("evaluate", f"SRe2L's published code ({source.scripts[1]})", recipe=source.recipe)
    put_labels(into, "SRe2L")


def patches_as_rded(into: Gathered, asked: Asked) -> None:
    """Take RDED's choice of patches, which are its images."""
    for stage, values in stage_settings("rded", asked.image_size).items():
        into.assume(stage, "RDED's published code (synthesize/)", **values)


def evaluate_as_rded(into: Gathered, asked: Asked) -> None:
    """Take RDED's training of students."""
    into.assume("evaluate", "RDED's published code (validation/)", recipe="rded")
    size = batch_size_rule(asked.ipc, asked.num_classes, asked.dataset, asked.student, asked.network)
    rate = learning_rate_rule(asked.student, asked.dataset, asked.network)
    into.assume("evaluate", "RDED's published code (argument.py)", batch_size=size, learning_rate=rate)
    into.assume("evaluate", "ours: as many as DELT trains", seeds=3)


def put_jitter(into: Gathered, asked: Asked) -> None:
    """Take by how many pixels images are rolled at most, which the method itself says by their size."""
    settings = recover_settings(asked.method, asked.image_size)
    if "jitter" in settings:
        reason = "published code of CDA and SRe2L rolls by up to 32 px, 4 up to 64 px"
        into.assume("recover", reason, jitter=settings["jitter"])
    else:
        into.assume("recover", "DELT's published scripts (recover.py --jitter 0)", jitter=0)


def put_pictures(into: Gathered) -> None:
    """Take how often pictures are kept where there are no rounds: eight times, if that divides the iterations."""
    count = into.of("recover")["iterations"]
    reason = "ours: without rounds it only says when pictures are taken"
    into.assume("recover", reason, round_iterations=count // 8 if count % 8 == 0 else count)


def put_labels(into: Gathered, whose: str) -> None:
    """Take labels on the fly for methods that store them."""
    reason = f"{whose} stores its labels; asked in every step they are the same and need no folder"
    into.assume("evaluate", reason, labels="on-the-fly")
    into.assume("relabel", "SRe2L's published code stores float16 of every epoch", form="float16", label_epochs=0)


def _sre2l(asked: Asked) -> _Sre2l:
    return _CIFAR if asked.image_size < 64 else _TINY if asked.image_size == 64 else _LARGE
