"""Every setting of DELT's experiments: as its tables print them, else as its published code has them.

Source: DELT Table 8, Appendix B and D; evaluation/argument.py and scripts/ of its code.
"""

from __future__ import annotations

from typing import Any

from delt_engine.config.student_rules import batch_size_rule, learning_rate_rule, printed_batch_size
from delt_engine.papers.code_settings import put_jitter, squeeze_with_torchvision
from delt_engine.papers.gathered import Asked, Gathered, Printed
from delt_engine.papers.names import our_network

_SEEDS = 3


def squeeze(into: Gathered, asked: Asked) -> None:
    """Take the settings of the teacher: the network is stated, its training is said to be torchvision's."""
    printed = Printed.find("delt", asked)
    squeeze_with_torchvision(into, "DELT Appendix B says torchvision's official code and prints no settings")
    if asked.network in printed.tables["squeeze"]["models"]:
        printed.put(into, "squeeze", "DELT Appendix B", network=asked.network)
    elif asked.network.startswith("convnet-") and "convnet" in printed.tables["squeeze"]["models"]:
        printed.put(into, "squeeze", "DELT Appendix B and Table 2", network=asked.network)
    elif asked.network.startswith("convnet-"):
        reason = "DELT Appendix B names ResNet-18 alone here; its code recovers with the ConvNet that Table 8c lists"
        into.assume("squeeze", reason, network=asked.network)
    else:
        into.assume("squeeze", "as asked; DELT recovers with ResNet-18 and ConvNets", network=asked.network)


def select(into: Gathered, asked: Asked) -> None:
    """Take the choice of the patches."""
    printed = Printed.find("delt", asked)
    printed.put(into, "select", "DELT Table 8b", criterion="medium")
    into.state("select", "DELT Tables 10 and 11", order="delt")
    into.state("select", "DELT Table 4a", mosaic=1)
    into.assume("select", "published code (data_selection.py)", median="published")
    into.assume("rank", "published code scores whole images (data_selection.py)", crops=0)


def recover(into: Gathered, asked: Asked) -> None:
    """Take the settings of the recovery; IPC 1 has no rounds and its own numbers of iterations."""
    printed = Printed.find("delt", asked)
    table, where = printed.tables["recover"], printed.where("recover")
    beta1, beta2 = table["momentum_betas"]
    printed.put(into, "recover", where, r_bn=table["alpha_bn"], learning_rate=table["base_lr"])
    printed.put(into, "recover", where, beta1=beta1, beta2=beta2, batch_size=table["batch_size"])
    low, high = table["crop_scale"]
    printed.put(into, "recover", "DELT Table 12", min_crop=low, max_crop=high)
    if asked.ipc == 1:
        _recover_one_image(into, asked, printed)
    else:
        printed.put(into, "recover", where, iterations=table["recovery_iteration"])
        put_rounds(into, asked)
    scripts = "published scripts (recover.py --easy2hard-mode cosine --milestone 1)"
    into.assume("recover", scripts, curriculum="cosine", milestone=1.0)
    put_jitter(into, asked)
    into.assume("recover", "published code (recover.py)", flip=True, first_bn_multiplier=10.0)


def put_rounds(into: Gathered, asked: Asked) -> None:
    """Take the length of a round."""
    printed = Printed.find("delt", asked)
    table, where = printed.tables["recover"], printed.where("recover")
    length = table["round_iteration"]
    if asked.ipc in table["round_iteration_ipcs"]:
        printed.put(into, "recover", where, round_iterations=length)
    else:
        into.assume("recover", f"{where} prints it for IPC 10, 50 and 100", round_iterations=length)


def _recover_one_image(into: Gathered, asked: Asked, printed: Printed) -> None:
    table = printed.tables["recover"]
    each = {our_network(name): count for name, count in table["ipc1_recovery_iterations"].items()}
    if asked.student in each:
        count = each[asked.student]
        printed.put(into, "recover", "DELT Table 8c", iterations=count, round_iterations=count)
        return
    count = each.get("resnet18", table["recovery_iteration"])
    which = "ResNet-18's" if "resnet18" in each else f"those of higher IPC ({printed.where('recover')})"
    reason = f"DELT Table 8c has no IPC 1 for {asked.student} on {asked.dataset}; {which} are taken"
    into.assume("recover", reason, iterations=count, round_iterations=count)


def evaluate(into: Gathered, asked: Asked) -> None:
    """Take the training of the students."""
    printed = Printed.find("delt", asked)
    table, where = printed.tables["validate"], printed.where("validate")
    into.values.setdefault("evaluate", {})["recipe"] = "delt"
    printed.put(into, "evaluate", where, epochs=table["training_epoch"], weight_decay=table["weight_decay"])
    is_flipped = "RandomHorizontalFlip" in table["augmentation"]
    printed.put(into, "evaluate", where, optimizer=table["optimizer"].lower(), flip=is_flipped)
    _learning_rate(into, asked, printed)
    _batch_size(into, asked, printed)
    policy = table["randaugment"]
    text = f"m{policy['m']}-n{policy['n']}-mstd{policy['mstd']:g}"
    printed.put(into, "evaluate", "DELT Table 8c", rand_augment=text)
    code: dict[str, Any] = {"temperature": 20.0, "loss": "kl", "labels": "on-the-fly", "mix": "cutmix"}
    into.assume("evaluate", "published code (evaluation/argument.py)", mix_alpha=1.0, **code)
    into.assume("evaluate", "published scripts (--min-scale-crops 0.25)", min_crop=0.25)
    half = f"{where} says cosine decay; the published code takes the first half of one, down to half the rate"
    into.assume("evaluate", half, lr_schedule="half-cosine")
    into.assume("evaluate", "published scripts train three seeds", seeds=_SEEDS)
    into.assume("evaluate", "published code tests every tenth epoch", validate_every=10, validate_from=0.0)


def _learning_rate(into: Gathered, asked: Asked, printed: Printed) -> None:
    rates = {our_network(name): rate for name, rate in printed.tables["validate"]["base_lr"].items()}
    stated = rates.get(asked.student, rates["default"])
    rate = learning_rate_rule(asked.student, asked.dataset, asked.network)
    where = printed.where("validate")
    if rate == stated:
        printed.put(into, "evaluate", where, learning_rate=rate)
    else:
        reason = f"published code (evaluation/argument.py); {where} says {stated:g} for all but MobileNet-V2"
        into.assume("evaluate", reason, learning_rate=rate)


def _batch_size(into: Gathered, asked: Asked, printed: Printed) -> None:
    size = batch_size_rule(asked.ipc, asked.num_classes, asked.dataset, asked.student, asked.network)
    stated, where = printed_batch_size(asked.ipc), printed.where("validate")
    if size == stated:
        printed.put(into, "evaluate", where, batch_size=size)
    else:
        says = f"{where} prints {stated}" if stated else f"{where} prints none for IPC {asked.ipc}"
        into.assume("evaluate", f"published code (evaluation/argument.py); {says}", batch_size=size)
