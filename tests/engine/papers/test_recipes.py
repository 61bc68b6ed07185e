"""The papers' settings as experiments, against the numbers of the tables typed here by hand."""

from __future__ import annotations

import csv

import pytest
import torch

from delt_engine.config import METHOD_SETTINGS
from delt_engine.data.catalogue import CATALOGUE
from delt_engine.data.pixels import normalise
from delt_engine.errors import ConfigError
from delt_engine.papers.presets import PRESETS, changes, find_preset, presets_of
from delt_engine.papers.recipes import PublishedExperiment, published_experiment
from delt_engine.paths import assets_dir

DELT = ("cifar10", "tiny-imagenet", "imagenette", "imagenet-100", "imagenet-1k")
CDA = ("cifar100", "tiny-imagenet", "imagenet-1k", "imagenet-21k")


def values(found: PublishedExperiment, stage: str, names: str) -> tuple:
    return tuple(getattr(getattr(found.experiment, stage), name) for name in names.split())


@pytest.mark.parametrize("dataset", DELT)
def test_delt_recovers_and_trains_as_table_8_says(dataset) -> None:
    found = published_experiment("delt", dataset, "delt", ipc=50)
    assert values(found, "recover", "iterations round_iterations r_bn learning_rate beta1 beta2 batch_size") == (
        *(4000, 500, 0.01, 0.25, 0.5, 0.9, 100),
    )
    assert values(found, "recover", "early_late initialization jitter min_crop max_crop curriculum milestone") == (
        *(True, "patches", 0, 0.08, 1.0, "cosine", 1.0),
    )
    assert values(found, "select", "criterion order mosaic") == ("medium", "delt", 1)
    assert values(found, "evaluate", "epochs optimizer learning_rate weight_decay seeds min_crop") == (
        *(300, "adamw", 0.001, 0.01, 3, 0.25),
    )
    policy = {"cifar10": "m5-n4-mstd1", "tiny-imagenet": "m4-n3-mstd1"}.get(dataset, "m6-n2-mstd1")
    assert found.experiment.evaluate.rand_augment == policy
    assert found.origins["recover.iterations"] == "DELT Table 8b"
    assert found.origins["evaluate.epochs"] == found.origins["evaluate.flip"] == "DELT Table 8a"
    assert found.origins["evaluate.rand_augment"] == "DELT Table 8c"
    assert "first half" in found.unstated["evaluate.lr_schedule"]


ONE_IMAGE = {
    "cifar10": {"resnet18": 2000, "resnet101": 3000, "mobilenet_v2": 2000},
    "tiny-imagenet": {"resnet18": 500, "resnet101": 500, "mobilenet_v2": 500, "convnet4": 1000},
    "imagenette": {"resnet18": 1000, "resnet101": 1000, "mobilenet_v2": 2000, "convnet5": 4000},
    "imagenet-1k": {"convnet4": 3000},
}
SIZES = {("imagenette", "convnet5"): 128, ("imagenet-1k", "convnet4"): 64}


@pytest.mark.parametrize(
    ("dataset", "student", "iterations"),
    [(dataset, student, count) for dataset, row in ONE_IMAGE.items() for student, count in row.items()],
)
def test_the_twelve_cells_of_table_8c(dataset, student, iterations) -> None:
    found = published_experiment("delt", dataset, "delt", student=student, ipc=1)
    assert values(found, "recover", "ipc iterations round_iterations") == (1, iterations, iterations)
    assert not found.experiment.recover.schedule.has_rounds
    assert found.origins["recover.iterations"] == "DELT Table 8c"
    assert found.experiment.image_size == SIZES.get((dataset, student))
    ours = student.replace("convnet", "convnet-")
    assert found.experiment.evaluate.student == ours
    assert found.experiment.squeeze.network == (ours if "convnet" in student else "resnet18")
    names = [name for name, preset in PRESETS.items() if preset.dataset == dataset and preset.ipcs == (1,)]
    assert [PRESETS[name].student for name in names].count(ours) == 1  # and each has a preset of its own


def test_one_image_where_table_8c_has_no_cell() -> None:
    for dataset, student, count in (("cifar10", "resnet50", 2000), ("imagenet-100", "resnet18", 4000)):
        found = published_experiment("delt", dataset, "delt", student=student, ipc=1)
        assert found.experiment.recover.iterations == count
        assert f"no IPC 1 for {student}" in found.unstated["recover.iterations"]


@pytest.mark.parametrize(
    ("dataset", "ipc", "student", "batch", "rate"),
    [
        ("cifar10", 1, "resnet18", 10, 0.001),
        ("cifar10", 10, "mobilenet_v2", 50, 0.0025),
        ("imagenet-1k", 50, "resnet18", 200, 0.001),  # the code doubles what Table 8a prints
        ("imagenet-1k", 50, "resnet101", 100, 0.001),
        ("imagenet-100", 10, "resnet101", 50, 0.001),
        ("tiny-imagenet", 10, "resnet101", 100, 0.001),
        ("imagenette", 10, "efficientnet_b0", 50, 0.002),
    ],
)
def test_batches_and_rates_of_students(dataset, ipc, student, batch, rate) -> None:
    found = published_experiment("delt", dataset, "delt", student=student, ipc=ipc)
    assert values(found, "evaluate", "batch_size learning_rate") == (batch, rate)
    printed = {1: 10, 10: 50, 50: 100}[ipc]
    assert ("evaluate.batch_size" in found.origins) == (batch == printed)
    if batch != printed:
        assert f"DELT Table 8a prints {printed}" in found.unstated["evaluate.batch_size"]
    assert ("evaluate.learning_rate" in found.origins) == (student != "efficientnet_b0")


RECOVERED = {  # dataset: (alpha, rate, iterations, smallest crop, jitter)
    "cifar100": (0.01, 0.25, 1000, 0.4, 4),
    "tiny-imagenet": (1.0, 0.1, 4000, 0.08, 4),
    "imagenet-1k": (0.01, 0.25, 4000, 0.08, 32),
    "imagenet-21k": (0.25, 0.05, 2000, 0.08, 32),
}
SQUEEZED = {  # dataset: (optimiser, rate, weight decay, batch, epochs, schedule, smoothing)
    "cifar100": ("sgd", 0.1, 5e-4, 128, 200, "cosine", 0.0),
    "tiny-imagenet": ("sgd", 0.2, 1e-4, 256, 50, "cosine", 0.0),
    "imagenet-1k": ("sgd", 0.1, 1e-4, 256, 90, "steps", 0.0),
    "imagenet-21k": ("adam", 3e-4, 1e-4, 1024, 140, "cosine", 0.2),
}
TRAINED = {  # dataset: (optimiser, rate, weight decay, batch, epochs, smoothing)
    "cifar100": ("sgd", 0.1, 5e-4, 8, 100, 0.0),
    "tiny-imagenet": ("sgd", 0.2, 1e-4, 64, 100, 0.0),
    "imagenet-1k": ("adamw", 0.001, 0.01, 128, 300, 0.0),
    "imagenet-21k": ("adamw", 0.002, 0.01, 32, 300, 0.2),
}


@pytest.mark.parametrize("dataset", CDA)
def test_cda_squeezes_recovers_and_trains_as_its_four_pairs_of_tables_say(dataset) -> None:
    found = published_experiment("cda", dataset, "cda", ipc=50)
    assert values(found, "recover", "r_bn learning_rate iterations min_crop jitter") == RECOVERED[dataset]
    assert values(found, "recover", "initialization early_late curriculum milestone max_crop beta1 beta2") == (
        *("noise", False, "cosine", 1.0, 1.0, 0.5, 0.9),
    )
    names = "optimizer learning_rate weight_decay batch_size epochs schedule label_smoothing"
    assert values(found, "squeeze", names) == SQUEEZED[dataset]
    names = "optimizer learning_rate weight_decay batch_size epochs label_smoothing"
    assert values(found, "evaluate", names) == TRAINED[dataset]
    assert values(found, "evaluate", "lr_schedule rand_augment momentum nesterov") == ("cosine", "none", 0.9, False)
    assert found.experiment.evaluate.changes() == {}  # the recipe of that name is the same
    if dataset == "imagenet-1k":
        assert values(found, "squeeze", "step_epochs step_factor nesterov") == (30, 0.1, False)
    if dataset == "imagenet-21k":
        assert values(found, "squeeze", "cutout min_crop flip") == (0.5, 1.0, False)
        assert found.experiment.evaluate.cutout == 0.5


@pytest.mark.parametrize(
    ("dataset", "more", "stage", "expected", "origin"),
    [
        ("imagenet-1k", {"table": "Table 2"}, "recover.iterations", 1000, "CDA Appendix B.3"),
        ("imagenet-1k", {"table": "CDA Table 3"}, "evaluate.batch_size", 1024, "CDA Appendix B.3"),
        ("imagenet-1k", {"table": "Table 18"}, "recover.iterations", 1000, "CDA Appendix B.3"),
        ("imagenet-1k", {"network": "densenet121"}, "recover.learning_rate", 0.5, "CDA Table 16d"),
        ("imagenet-1k", {"network": "densenet121"}, "recover.iterations", 1000, "CDA Table 16d"),
        ("cifar100", {"table": "Table 1"}, "evaluate.epochs", 800, "CDA Table 1"),
        ("cifar100", {"table": "Table 11"}, "evaluate.epochs", 800, "CDA Table 11"),
        ("tiny-imagenet", {"table": "Table 13"}, "evaluate.epochs", 800, "CDA Table 13, the longest of 200, 400, 800"),
        ("imagenet-21k", {"table": "Table 6"}, "evaluate.epochs", 140, "CDA Appendix B.4"),
        ("imagenet-21k", {"network": "resnet50"}, "recover.learning_rate", 0.1, "CDA Table 21c"),
    ],
)
def test_what_single_tables_and_networks_change(dataset, more, stage, expected, origin) -> None:
    found = published_experiment("cda", dataset, "cda", **more)
    part, _, name = stage.partition(".")
    assert values(found, part, name) == (expected,)
    assert found.origins[stage] == origin


@pytest.mark.parametrize(
    ("dataset", "recovered", "trained"),
    [
        ("cifar10", (1000, 0.25, 0.01, 1.0, False, 4), ("sre2l-cifar", 400, 128, "mixup", 30.0)),
        ("tiny-imagenet", (4000, 0.1, 1.0, 0.08, True, 4), ("sre2l-tiny-imagenet", 100, 256, "none", 20.0)),
        ("imagenet-1k", (4000, 0.25, 0.01, 0.08, True, 32), ("sre2l", 300, 1024, "cutmix", 20.0)),
    ],
)
def test_sre2l_is_its_published_code_and_says_so(dataset, recovered, trained) -> None:
    found = published_experiment("delt", dataset, "sre2l", ipc=50)
    assert values(found, "recover", "iterations learning_rate r_bn min_crop flip jitter") == recovered
    assert values(found, "evaluate", "recipe epochs batch_size mix temperature") == trained
    assert found.experiment.recover.jitter_both_ways == (dataset == "tiny-imagenet")
    assert not [name for name in found.origins if name.startswith(("recover.", "squeeze."))]
    assert "published code" in found.unstated["recover.iterations"]


def test_squares_are_the_published_code_s() -> None:
    asked = [("delt", "tiny-imagenet", "delt"), ("cda", "tiny-imagenet", "cda"), ("cda", "imagenet-1k", "cda")]
    asked += [("delt", "imagenette", "rded"), ("cda", "imagenet-21k", "cda")]
    found = [published_experiment(*one).experiment.resize for one in asked]
    assert found == ["published", "whole", "published", "published", "whole"]


@pytest.mark.parametrize(("dataset", "jitter"), [("tiny-imagenet", 4), ("imagenet-1k", 32)])
def test_variants_take_numbers_of_the_paper_that_prints_them(dataset, jitter) -> None:
    names = "r_bn learning_rate early_late initialization jitter round_iterations"
    late = published_experiment("delt", dataset, "cda-early-late", ipc=50)
    r_bn, rate = RECOVERED[dataset][:2]
    assert values(late, "recover", names) == (r_bn, rate, True, "noise", jitter, 500)
    init = published_experiment("delt", dataset, "sre2l-init", ipc=50)
    assert values(init, "recover", names)[2:5] == (False, "patches", jitter)
    assert init.experiment.evaluate.recipe == late.experiment.evaluate.recipe == "delt"


def test_rded_takes_patches_as_they_are() -> None:
    large, small = (published_experiment("delt", name, "rded", ipc=10) for name in ("imagenette", "cifar10"))
    assert values(large, "select", "criterion one_per_image mosaic") == ("top", True, 2)
    assert values(small, "select", "mosaic") == (1,)
    assert values(large, "rank", "crops min_crop") == (5, 0.08)
    assert values(large, "evaluate", "recipe batch_size") == ("rded", 50)
    assert "RDED's published code" in large.unstated["rank.crops"]


def test_settings_of_the_nearest_dataset_stand_in_and_say_so() -> None:
    found = published_experiment("cda", "cifar10", "cda", ipc=50)
    assert values(found, "recover", "min_crop iterations") == (0.4, 1000)
    assert not [name for name in found.origins if name.startswith("recover.")]
    assert "CDA prints no settings for cifar10; these are its for cifar100" in found.unstated["recover.r_bn"]


def test_cda_init_in_delts_ablation_is_delts_recovery_without_early_late() -> None:
    found = published_experiment("delt", "tiny-imagenet", "cda-init", ipc=10)
    assert values(found, "recover", "r_bn learning_rate iterations early_late initialization") == (
        *(0.01, 0.25, 4000, False, "patches"),
    )
    assert found.experiment.evaluate.recipe == "delt"


def test_a_teacher_that_is_no_resnet18_is_named_as_its_squeeze_names_it() -> None:
    assert published_experiment("delt", "cifar10", "delt").experiment.teacher == "auto"
    assert published_experiment("delt", "cifar10", "delt").experiment.ranker == ""
    found = published_experiment("delt", "imagenet-1k", "delt", student="convnet4").experiment
    assert found.ranker == "imagenet-1k-resnet18-64px"  # DELT ranks with ResNet-18 whatever recovers
    subset = published_experiment("delt", "imagenet-100", "delt")
    assert subset.experiment.ranker == "imagenet-1k-resnet18-224px"
    assert subset.origins["experiment.ranker"] == "DELT Appendix B, Ranking"
    assert published_experiment("cda", "imagenet-1k", "cda", network="densenet121").experiment.ranker == ""
    assert found.teacher == found.squeeze.teacher_name("imagenet-1k", 64) == "imagenet-1k-convnet-4-64px"


def test_random_patches_ask_for_no_ranker() -> None:
    found = published_experiment("cda", "cifar100", "dm", student="convnet3")
    assert (found.experiment.select.criterion, found.experiment.ranker) == ("random", "")
    assert "experiment.ranker" not in found.origins


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("delta", "cifar10", "delt"), "paper: 'delta' given, but it must be one of delt, cda"),
        (("delt", "cifar11", "delt"), "dataset: 'cifar11' given, but it must be one of cifar10-mini, .*imagenet-21k"),
        (("delt", "cifar10", "mtt"), "method: 'mtt' given, but it must be one of delt, delt-plus, cda"),
    ],
)
def test_what_no_paper_has_is_one_sentence(asked, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        published_experiment(*asked)


def test_every_printed_row_of_our_methods_has_an_experiment() -> None:
    seen = 0
    with (assets_dir() / "published" / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["method"] not in METHOD_SETTINGS or not row["dataset"]:
                continue
            found = published_experiment(
                row["source"],
                row["dataset"],
                row["method"],
                network=row["recover_model"] or None,
                student=row["eval_model"] or "resnet18",
                ipc=int(row["ipc"] or 50),
                table=row["table"],
            )
            named = {*found.origins, *found.unstated}
            assert "recover.iterations" in named or not found.experiment.recover.is_optimised
            assert {*found.origins}.isdisjoint(found.unstated)
            seen += 1
    assert seen > 350


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_say_what_they_change(name) -> None:
    preset = find_preset(name)
    found = preset.published()
    assert found.experiment.recover.ipc == preset.usual_ipc
    told = {change.setting: change for change in changes(found)}
    assert told["experiment.dataset"].value == preset.dataset
    assert all(change.value != change.default and change.origin for change in told.values())


def test_changes_name_setting_default_value_and_table() -> None:
    found = find_preset("cda-tiny-imagenet").published()
    assert ("recover.r_bn", 0.01, 1.0, "CDA Table 12b") in changes(found, ["recover"])
    assert ("recover.initialization", "patches", "noise", "the method's own") in changes(found, ["recover"])
    assert {change.setting.partition(".")[0] for change in changes(found, ["squeeze"])} == {"squeeze"}
    with pytest.raises(ConfigError, match="preset: 'delt-cifar' given, but did you mean 'delt-cifar10'"):
        find_preset("delt-cifar")


def test_a_form_offers_each_teacher_once_and_by_the_paper_that_prints_it() -> None:
    names = presets_of("squeeze")
    of_imagenet = [name for name in names if PRESETS[name].dataset == "imagenet-1k" and "convnet" not in name]
    assert of_imagenet == ["cda-imagenet-1k"]  # DELT and SRe2L take torchvision's training, which CDA Table 16a prints
    assert {"delt-cifar10", "cda-cifar100", "sre2l-cifar10", "cda-imagenet-21k"} <= {*names}


def test_where_cda_prints_no_training_delts_stands_in_and_says_why() -> None:
    found = published_experiment("delt", "cifar10", "cda")
    assert found.experiment.evaluate == published_experiment("delt", "cifar10", "delt").experiment.evaluate
    assert found.unstated["evaluate.recipe"].startswith("ours: CDA prints no training for the dataset")
    assert published_experiment("delt", "tiny-imagenet", "cda").experiment.evaluate.recipe == "cda-tiny-imagenet"
    assert published_experiment("cda", "cifar10", "cda").experiment.evaluate.recipe == "cda-cifar100"


def test_sre2l_on_imagenet_21k_is_cda_s_reproduction() -> None:
    ours = published_experiment("cda", "imagenet-21k", "sre2l", ipc=20).experiment
    cda = published_experiment("cda", "imagenet-21k", "cda", ipc=20).experiment
    assert (ours.squeeze, ours.evaluate) == (cda.squeeze, cda.evaluate)
    assert ours.recover == cda.recover.replace(method="sre2l", curriculum="constant")
    assert (ours.recover.iterations, ours.recover.learning_rate, ours.recover.r_bn) == (2000, 0.05, 0.25)


def test_students_of_delt_table_5_learn_alike() -> None:
    about = {"dataset": "imagenet-1k", "student": "mobilenet_v2", "ipc": 10, "table": "Table 5"}
    trained = {
        method: published_experiment("delt", method=method, **about).experiment.evaluate
        for method in ("delt", "cda", "sre2l")
    }
    assert trained["cda"] == trained["sre2l"] == trained["delt"]
    about["table"] = "Table 1"
    assert published_experiment("delt", method="sre2l", **about).experiment.evaluate.recipe == "sre2l"


def test_what_the_papers_do_not_say_of_teachers_is_not_stated() -> None:
    convnet = published_experiment("delt", "imagenet-1k", "delt", student="convnet4")
    assert "names ResNet-18 alone" in convnet.unstated["squeeze.network"]  # DELT Appendix B
    other = published_experiment("delt", "tiny-imagenet", "delt", student="convnet4")
    assert other.origins["squeeze.network"] == "DELT Appendix B and Table 2"
    large = published_experiment("cda", "imagenet-21k", "cda")
    assert large.experiment.squeeze.epochs == 140
    assert "80 that began with ImageNet-1K's" in large.unstated["squeeze.epochs"]


def test_cda_squeezes_imagenet_21k_as_its_training_code_does_and_recovers_in_pixels() -> None:
    found = published_experiment("cda", "imagenet-21k", "cda")
    assert values(found, "squeeze", "rand_augment cutout flip") == ("m9-n2", 0.5, False)
    assert "names RandAugment; its strength is ours" in found.unstated["squeeze.rand_augment"]
    spec = CATALOGUE["imagenet-21k"]  # recover_cda_in21k.py normalises nothing
    assert (spec.mean, spec.std) == ((0, 0, 0), (1, 1, 1))
    pixels = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 3, 1, 1)
    assert torch.equal(normalise(pixels, spec.mean, spec.std), pixels)


def test_conv_6_sees_imagenet_100_at_128_px() -> None:
    assert find_preset("delt-imagenet-100-convnet-6").student == "convnet-6"  # DELT Table 2
    for ipc in (1, 10, 50, 100):
        found = published_experiment("delt", "imagenet-100", "delt", student="convnet6", ipc=ipc).experiment
        assert (found.image_size, found.squeeze.network, found.evaluate.student) == (128, "convnet-6", "convnet-6")
        assert (found.teacher, found.ranker) == ("imagenet-100-convnet-6-128px", "imagenet-1k-resnet18-128px")
