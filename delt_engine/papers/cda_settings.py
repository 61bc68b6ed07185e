"""Every setting of CDA's experiments: as its tables print them, else as its and SRe2L's published code have them.

Source: CDA Tables 10, 12, 16 and 21, Sec. 3.1 and 3.6, Appendix B; recover_cda_in1k.py, recover_cda_tiny.py and
recover_cda_in21k.py; ImageNet-21K-P's training code, which CDA squeezes with (augmentations.py, data_loader.py).
"""

from __future__ import annotations

from typing import Any

from delt_engine.papers.code_settings import put_jitter, put_labels, put_pictures
from delt_engine.papers.gathered import Asked, Gathered, Printed
from delt_engine.papers.names import our_network

_RECIPES = {"imagenet-1k": "cda"}
_IN_21K_CODE = "ImageNet-21K-P's training code"


def squeeze(into: Gathered, asked: Asked) -> None:
    """Take the training of the teacher."""
    printed = Printed.find("cda", asked)
    table, where = printed.tables["squeeze"], printed.where("squeeze")
    models = [name.partition(" ")[0] for name in table.get("models", [table.get("model", "")])]
    if asked.network in map(our_network, models):
        printed.put(into, "squeeze", "CDA Appendix B", network=asked.network)
    else:
        into.assume("squeeze", f"as asked; CDA recovers with {' and '.join(models)}", network=asked.network)
    values = {"learning_rate": table["base_lr"], "label_smoothing": table.get("label_smooth", 0.0)}
    values |= {name: table[name] for name in ("weight_decay", "batch_size")}
    printed.put(into, "squeeze", where, optimizer=table["optimizer"].lower(), **values)
    _squeeze_schedule(into, printed)
    if "momentum" in table:
        printed.put(into, "squeeze", where, momentum=table["momentum"])
        into.assume("squeeze", "torchvision's SGD; no table says Nesterov", nesterov=False)
    if "RandomResizedCrop" in table["augmentation"]:
        into.assume("squeeze", "torchvision's RandomResizedCrop and its training", min_crop=0.08, flip=True)
    else:
        into.assume("squeeze", f"{_IN_21K_CODE} neither crops nor flips", min_crop=1.0, flip=False)
        into.assume("squeeze", f"{where} names CutoutPIL; half the side in {_IN_21K_CODE}", cutout=0.5)
        into.assume("squeeze", f"{where} names RandAugment; its strength is ours", rand_augment="m9-n2")


def _squeeze_schedule(into: Gathered, printed: Printed) -> None:
    table, where = printed.tables["squeeze"], printed.where("squeeze")
    epochs = table["training_epoch"]
    if isinstance(epochs, dict):
        origin = f"{where}, from random weights ({epochs['init_imagenet-1k']} from ImageNet-1K's)"
        printed.put(into, "squeeze", origin, epochs=epochs["init_random"])
    else:
        printed.put(into, "squeeze", where, epochs=epochs)
    if "lr_step_size" in table:
        steps = {"step_epochs": table["lr_step_size"], "step_factor": table["lr_gamma"]}
        printed.put(into, "squeeze", where, schedule="steps", **steps)
    else:
        printed.put(into, "squeeze", where, schedule="cosine")


def recover(into: Gathered, asked: Asked) -> None:
    """Take the settings of the recovery."""
    printed = Printed.find("cda", asked)
    table, where = printed.tables["recover"], printed.where("recover")
    beta1, beta2 = table["momentum_betas"]
    printed.put(into, "recover", where, beta1=beta1, beta2=beta2, batch_size=table["batch_size"])
    _recover_by_network(into, asked, printed)
    low = "CDA Appendix B.1 and Table 11" if printed.dataset == "cifar100" else "CDA Sec. 3.1"
    printed.put(into, "recover", low, min_crop=table["crop_scale_lower_default"])
    printed.put(into, "recover", "CDA Sec. 3.1", max_crop=table["crop_scale_upper_default"])
    course = {"curriculum": table["curriculum_scheduler"], "milestone": table["curriculum_milestone"]}
    printed.put(into, "recover", "CDA Sec. 3.6", **course)
    into.assume("recover", "CDA's published code (recover_cda_*.py)", flip=True, first_bn_multiplier=10.0)
    put_jitter(into, asked)
    put_pictures(into)


def _recover_by_network(into: Gathered, asked: Asked, printed: Printed) -> None:
    """Take weight, rate and iterations, which CDA sets for each network that recovers."""
    table, where = printed.tables["recover"], printed.where("recover")
    own, of_networks = dict(table), table.get("per_model", {})
    is_known = True
    if of_networks:
        is_known = asked.network in of_networks
        own |= of_networks[asked.network if is_known else "resnet18"]
        where = "CDA Table 16d"
    rate = own["base_lr"]
    if isinstance(rate, dict):
        is_known = asked.network in rate
        rate = rate.get(asked.network, rate["resnet18"])
    counts = own["recovery_iteration"]
    values = {
        "r_bn": own["alpha_bn"],
        "learning_rate": rate,
        "iterations": counts[-1] if isinstance(counts, list) else counts,
    }
    if is_known:
        printed.put(into, "recover", where, **values)
    else:
        into.assume("recover", f"{where} has no {asked.network}; its values for resnet18", **values)
    of_tables = table.get("recovery_iteration_stated_for_tables", {})
    if asked.paper == "cda" and asked.table in of_tables:
        into.state("recover", "CDA Appendix B.3", iterations=of_tables[asked.table])


def evaluate(into: Gathered, asked: Asked) -> None:
    """Take the training of the students."""
    printed = Printed.find("cda", asked)
    table, where = printed.tables["validate"], printed.where("validate")
    recipe = _RECIPES.get(printed.dataset, f"cda-{printed.dataset}")
    into.values.setdefault("evaluate", {})["recipe"] = recipe
    stated: dict[str, Any] = {
        "optimizer": table["optimizer"].lower(),
        "learning_rate": table["base_lr"],
        "lr_schedule": "cosine",
        "label_smoothing": table.get("label_smooth", 0.0),
        "rand_augment": "none",
        **{name: table[name] for name in ("weight_decay", "batch_size", "momentum") if name in table},
    }
    printed.put(into, "evaluate", where, **stated, epochs=table["training_epoch"])
    _of_tables(into, asked, printed)
    if "CutoutPIL" in table["augmentation"]:
        into.assume("evaluate", f"{where} names CutoutPIL; half the side in {_IN_21K_CODE}", cutout=0.5)
    is_plain = stated["optimizer"] == "sgd"
    code = "SRe2L's Tiny-ImageNet code (train_kd.sh)" if is_plain else "SRe2L's code (train_FKD.sh)"
    loss = {"loss": "kl-t2", "mix": "none"} if is_plain else {"loss": "kl", "mix": "cutmix"}
    into.assume("evaluate", f"{code}, which CDA relabels and trains with", temperature=20.0, min_crop=0.08, **loss)
    into.assume("evaluate", f"{code}, which CDA relabels and trains with", flip=True)
    put_labels(into, "CDA")


def _of_tables(into: Gathered, asked: Asked, printed: Printed) -> None:
    """Take what single tables change: epochs and batch size."""
    if asked.paper != "cda":
        return
    table = printed.tables["validate"]
    epochs = table.get("training_epoch_stated_for_tables", {}).get(asked.table)
    if isinstance(epochs, list):
        of_all = ", ".join(map(str, epochs))
        into.state("evaluate", f"CDA {asked.table}, the longest of {of_all}", epochs=epochs[-1])
    elif epochs:
        place = "CDA Appendix B.4" if asked.table == "Table 6" else f"CDA {asked.table}"
        into.state("evaluate", place, epochs=epochs)
    if batch := table.get("batch_size_stated_for_tables", {}).get(asked.table):
        into.state("evaluate", "CDA Appendix B.3", batch_size=batch)
