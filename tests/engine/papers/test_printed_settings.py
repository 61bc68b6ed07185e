"""The papers' settings entry by entry: what assets/published/settings.json has is what the presets do.

Entries that are no setting of ours are named; an entry that is neither checked nor named fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from delt_engine.config import Experiment
from delt_engine.config.student_rules import printed_batch_size
from delt_engine.papers.names import our_network
from delt_engine.papers.presets import find_preset
from delt_engine.paths import assets_dir

PRINTED = json.loads((assets_dir() / "published" / "settings.json").read_text(encoding="utf-8"))
Check = Callable[[Experiment], Any]

RECOVER: dict[str, Check] = {
    "alpha_bn": lambda one: one.recover.r_bn,
    "base_lr": lambda one: one.recover.learning_rate,
    "momentum_betas": lambda one: [one.recover.beta1, one.recover.beta2],
    "batch_size": lambda one: one.recover.batch_size,
}
DELT_RECOVER: dict[str, Check] = {
    **RECOVER,
    "recovery_iteration": lambda one: one.recover.iterations,
    "round_iteration": lambda one: one.recover.round_iterations,
    "initialization": lambda one: f"top {one.select.criterion}" if one.recover.initialization == "patches" else "",
    "crop_scale": lambda one: [one.recover.min_crop, one.recover.max_crop],
}
CDA_RECOVER: dict[str, Check] = {
    **RECOVER,
    "recovery_iteration": lambda one: one.recover.iterations,
    "crop_scale_lower_default": lambda one: one.recover.min_crop,
    "crop_scale_upper_default": lambda one: one.recover.max_crop,
    "curriculum_scheduler": lambda one: one.recover.curriculum,
    "curriculum_milestone": lambda one: one.recover.milestone,
}
TRAINED: dict[str, Check] = {
    "optimizer": lambda one: one.evaluate.optimizer,
    "base_lr": lambda one: one.evaluate.learning_rate,
    "momentum": lambda one: one.evaluate.momentum,
    "weight_decay": lambda one: one.evaluate.weight_decay,
    "batch_size": lambda one: one.evaluate.batch_size,
    "training_epoch": lambda one: one.evaluate.epochs,
    "label_smooth": lambda one: one.evaluate.label_smoothing,
}
SQUEEZED: dict[str, Check] = {
    "optimizer": lambda one: one.squeeze.optimizer,
    "base_lr": lambda one: one.squeeze.learning_rate,
    "momentum": lambda one: one.squeeze.momentum,
    "weight_decay": lambda one: one.squeeze.weight_decay,
    "batch_size": lambda one: one.squeeze.batch_size,
    "training_epoch": lambda one: one.squeeze.epochs,
    "label_smooth": lambda one: one.squeeze.label_smoothing,
    "lr_step_size": lambda one: one.squeeze.step_epochs,
    "lr_gamma": lambda one: one.squeeze.step_factor,
}
LOOP = {"optimizer": "Adam", "lr_schedule": "cosine decay", "augmentation": ["RandomResizedCrop"], "decay_gamma": 0.92}
"""What the recovery has no setting for: it is always so. Of gamma see :mod:`delt_engine.recovery.curriculum`."""


def left_of(table: Mapping[str, Any], checks: Mapping[str, Check], one: Experiment, ours: Mapping[str, Any]) -> set:
    """Compare what the checks know of a table, ``ours`` beside it, and return the names of the rest."""
    for name in table.keys() & checks.keys():
        printed = ours.get(name, table[name])
        assert checks[name](one) == (printed.lower() if name == "optimizer" else printed), name
    return set(table) - set(checks) - {"source"}


@pytest.mark.parametrize("dataset", PRINTED["delt"])
def test_delt_tables_8_and_12(dataset) -> None:
    preset, tables = find_preset(f"delt-{dataset}"), PRINTED["delt"][dataset]
    recover = tables["recover"]
    for ipc in recover["round_iteration_ipcs"]:
        one = preset.published(ipc).experiment
        rest = left_of(recover, DELT_RECOVER, one, {})
        assert rest == {*LOOP, "round_iteration_ipcs", "ipc1_recovery_iterations"} - {"decay_gamma"}
    assert all(recover[name] == value for name, value in LOOP.items() if name in recover)
    for network, count in recover["ipc1_recovery_iterations"].items():
        ours = our_network(network)
        name = f"delt-{dataset}-ipc1" if ours == "resnet18" else f"delt-{dataset}-ipc1-{ours}"
        assert find_preset(name).published().experiment.recover.iterations == count, network

    train = tables["validate"]
    policy = "m{m}-n{n}-mstd{mstd:g}".format(**train["randaugment"])
    assert all(printed_batch_size(int(ipc[3:])) == size for ipc, size in train["batch_size"].items())
    for network, rate in train["base_lr"].items():
        student = "resnet18" if network == "default" else network
        one = preset.published(10, student).experiment
        is_doubled = dataset in ("tiny-imagenet", "imagenet-100", "imagenet-1k")  # published code, from 100 classes on
        ours = {"base_lr": rate, "batch_size": train["batch_size"]["ipc10"] * (2 if is_doubled else 1)}
        rest = left_of(train, TRAINED, one, ours)
        assert rest == {"augmentation", "randaugment", "lr_schedule"}
        assert (one.evaluate.rand_augment, one.evaluate.flip, one.evaluate.lr_schedule) == (policy, True, "half-cosine")
    assert train["augmentation"] == ["RandAugment", "RandomResizedCrop", "RandomHorizontalFlip"]
    assert left_of(tables["squeeze"], {}, one, {}) == {"models", "weights", "ranker"}
    for network in tables["squeeze"]["models"]:
        student = {"convnet": "convnet-4"}.get(network, network)
        assert preset.published(student=student).experiment.squeeze.network == student
    ranker, _, of = tables["squeeze"]["ranker"].partition(" ")
    data = "imagenet-1k" if "ImageNet-1K" in of else dataset
    assert preset.published(student="convnet-4").experiment.ranker.startswith(f"{data}-{ranker}-")


@pytest.mark.parametrize("dataset", PRINTED["cda"])
def test_cda_tables_10_12_16_and_21(dataset) -> None:
    preset, tables = find_preset(f"cda-{dataset}"), PRINTED["cda"][dataset]
    squeeze, recover, train = (tables[stage] for stage in ("squeeze", "recover", "validate"))
    networks = squeeze.get("models") or [squeeze["model"].partition(" ")[0]]
    for network in networks:
        one = preset.published(network=network).experiment
        assert one.squeeze.network == network
        own = {**recover, **recover.get("per_model", {}).get(network, {})}
        rate, count = own["base_lr"], own["recovery_iteration"]
        ours = {"base_lr": rate[network] if isinstance(rate, dict) else rate}
        ours["recovery_iteration"] = count[-1] if isinstance(count, list) else count  # the longest
        rest = left_of(own, CDA_RECOVER, one, ours)
        assert rest - {"per_model", "recovery_iteration_stated_for_tables"} == {*LOOP}
        assert all(own[name] == value for name, value in LOOP.items())

        epochs = squeeze["training_epoch"]
        ours = {"training_epoch": epochs["init_random"]} if isinstance(epochs, dict) else {}
        rest = left_of(squeeze, SQUEEZED, one, ours)
        assert rest - {"model", "models", "lr_schedule"} == {"augmentation", "teacher_top1"}
        assert one.squeeze.schedule == ("cosine" if squeeze.get("lr_schedule") == "cosine decay" else "steps")
        assert (one.squeeze.min_crop < 1) == ("RandomResizedCrop" in squeeze["augmentation"])
        assert (one.squeeze.cutout > 0) == ("CutoutPIL" in squeeze["augmentation"])
        assert (one.squeeze.rand_augment != "none") == ("RandAugment" in squeeze["augmentation"])

    rest = left_of(train, TRAINED, one, {})
    stated = {"batch_size_stated_for_tables", "training_epoch_stated_for_tables"}
    assert rest - stated == {"augmentation", "lr_schedule"}
    assert (one.evaluate.lr_schedule, train["lr_schedule"]) == ("cosine", "cosine decay")
    assert one.evaluate.min_crop < 1
    assert (one.evaluate.cutout > 0) == ("CutoutPIL" in train["augmentation"])
    assert (one.evaluate.rand_augment != "none") == ("RandAugment" in train["augmentation"])
