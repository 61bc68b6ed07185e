"""Printed numbers are found where they belong."""

import csv

import pytest

from delt_engine.papers.names import GIGA_OPERATIONS, MILLION_PARAMETERS, our_network
from delt_engine.papers.published import all_published, printed_with_spread, published
from delt_engine.paths import assets_dir


def test_every_number_of_the_tables_is_there() -> None:
    assert len(all_published()) == 503
    assert sum(value.source == "delt" for value in all_published()) == 248


def test_numbers_are_shown_with_the_digits_that_are_printed() -> None:
    with (assets_dir() / "published" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["value"], row["std"]) for row in csv.DictReader(file)]
    assert [(one.printed, one.printed_std) for one in all_published()] == rows
    table = [printed_with_spread(one) for one in all_published() if one.where == "CDA Table 13" and one.ipc == 20]
    assert table == ["43.93 ± 0.20", "47.76 ± 0.19", "50.46 ± 0.14"]
    bounds = [printed_with_spread(one) for one in all_published() if one.where == "CDA Table 11"]
    assert (bounds[0], bounds[2]) == ("58.5", "64.4")


def test_the_main_table_is_found_by_dataset_ipc_and_student() -> None:
    found = {value.method: (value.value, value.std) for value in published("cifar10", 10, "resnet18")}
    assert found == {"sre2l": (29.3, 0.5), "rded": (37.1, 0.3), "delt": (43.0, 0.9)}  # DELT Table 1
    (only,) = published("cifar10", 50, "resnet18", "delt")
    assert (only.value, only.where, only.method_title) == (64.9, "DELT Table 1", "DELT")
    assert published("photos", 10, "resnet18") == ()


@pytest.mark.parametrize(
    ("dataset", "ipc", "student", "where"),
    [
        ("tiny-imagenet", 50, "convnet-4", "DELT Table 2"),
        ("imagenet-1k", 50, "deit_tiny_patch16_224", "CDA Table 7"),
        ("cifar100", 50, "resnet18", "CDA Table 1"),  # printed without a student
    ],
)
def test_students_are_found_by_our_names(dataset, ipc, student, where) -> None:
    assert where in {value.where for value in published(dataset, ipc, student)}


def test_ablations_stay_out_unless_asked_for() -> None:
    plain = published("imagenet-1k", 50, "resnet18", "delt")
    every = published("imagenet-1k", 50, "resnet18", "delt", with_ablations=True)
    assert [value.value for value in plain] == [59.2]
    assert len(every) > len(plain)


@pytest.mark.parametrize(("dataset", "value"), [("imagenet-1k", 43.5), ("tiny-imagenet", 42.2), ("cifar10", 39.4)])
def test_cda_from_real_patches_is_found_as_printed(dataset, value) -> None:
    found = published(dataset, 10, "resnet18", "cda-init", with_ablations=True)
    assert [(one.where, one.value) for one in found] == [("DELT Table 4d", value)]


def test_methods_with_one_thing_changed_have_our_names() -> None:
    assert {one.method for one in all_published() if one.where == "DELT Table 9"} == {"sre2l-init", "cda-init", "delt"}
    assert [one.method for one in all_published() if one.where == "DELT Table 3"] == ["sre2l", "cda", "cda-early-late"]


def test_every_printed_network_is_one_that_can_be_built() -> None:
    import timm
    import torchvision

    known = {*torchvision.models.list_models(module=torchvision.models), *timm.list_models()}
    known |= {f"convnet-{depth}" for depth in (3, 4, 5, 6)}
    names = {our_network(name) for one in all_published() for name in (one.student, one.teacher) if name}
    assert names - known == set()
    students = {our_network(one.student) for one in all_published() if one.where.startswith("CDA")}
    assert students - {""} <= {*GIGA_OPERATIONS}


def test_parameters_are_those_of_the_networks_and_near_the_printed_ones() -> None:
    import timm
    import torch
    import torchvision

    ours = torchvision.models.list_models(module=torchvision.models)
    with torch.device("meta"):
        for name, millions in MILLION_PARAMETERS.items():
            plain = {"init_weights": False} if name.startswith("vgg") else {}
            made = torchvision.models.get_model(name, **plain) if name in ours else timm.create_model(name)
            assert sum(each.numel() for each in made.parameters()) / 1e6 == pytest.approx(millions, abs=5e-4)
    with (assets_dir() / "published" / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "params_m"]
    for row in rows:
        assert MILLION_PARAMETERS[our_network(row["eval_model"])] == pytest.approx(float(row["value"]), abs=0.06)
