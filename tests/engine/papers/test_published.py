"""Printed numbers are found where they belong, and what differs from the papers is told."""

import pytest
from summaries import summary

from delt_engine.models.card import read_card
from delt_engine.papers.published import all_published, published, published_like, settings_that_differ
from delt_engine.paths import assets_dir


def test_every_number_of_the_tables_is_there() -> None:
    assert len(all_published()) == 503
    assert sum(value.source == "delt" for value in all_published()) == 248


def test_the_main_table_is_found_by_dataset_ipc_and_student() -> None:
    found = {value.method: (value.value, value.std) for value in published("cifar10", 10, "resnet18")}
    assert found == {"sre2l": (29.3, 0.5), "rded": (37.1, 0.3), "delt": (43.0, 0.9)}  # DELT Table 1
    (only,) = published("cifar10", 50, "resnet18", "delt")
    assert (only.value, only.where, only.method_title) == (64.9, "DELT Table 1", "DELT")
    assert published("photos", 10, "resnet18") == ()


def test_convnets_are_found_by_our_names() -> None:
    assert {value.where for value in published("tiny-imagenet", 50, "convnet-4")} == {"DELT Table 2"}


def test_ablations_stay_out_unless_asked_for() -> None:
    plain = published("imagenet-1k", 50, "resnet18", "delt")
    every = published("imagenet-1k", 50, "resnet18", "delt", with_ablations=True)
    assert [value.value for value in plain] == [59.2]
    assert len(every) > len(plain)
    init = published("imagenet-1k", 50, "resnet18", "cda-init")
    assert {value.where for value in init} == {"DELT Table 9"}
    assert all("early_late=no" in value.variant for value in init)


def _rows(*arguments) -> dict[str, tuple[str, str]]:
    return {row.name: (row.here, row.published) for row in settings_that_differ(*arguments)}


ALWAYS = {
    "Image files": ("PNG", "JPEG, quality 75 (published code)"),
    "Accuracy": ("last epoch, the best beside it", "best of the tested epochs (published code)"),
    "Statistics of the images": ("the dataset's own", "ImageNet's for every set (published code)"),
}
"""What no setting of an evaluation can change."""


def test_all_that_was_changed_is_told_with_both_values() -> None:
    assert _rows(summary()) == ALWAYS
    training = {"epochs": 60, "temperature": 4.0, "rand_augment": "none", "min_crop": 0.5, "mix": "mixup"}
    student = {"batch_size": 100, "learning_rate": 0.002, "student_width": 0.25, "seeds": [0]}
    assert _rows(summary(**training, **student, image_iterations=100 * 1000)) == ALWAYS | {
        "Epochs": ("60", "300"),
        "Temperature": ("4", "20"),
        "RandAugment": ("none", "m5-n4-mstd1"),
        "Smallest crop": ("0.5", "0.25"),
        "Mix": ("mixup", "cutmix"),
        "Batch size": ("100", "50"),
        "Learning rate": ("0.002", "0.001"),
        "Width of the student": ("0.25", "1"),
        "Seeds": ("1", "3 (published code)"),
        "Iterations an image, mean": ("1,000", "2,550"),
    }


CDA = {"method": "cda", "dataset": "tiny-imagenet", "recipe": "sre2l", "image_size": 64, "batch_size": 64}
TEACHER = read_card(assets_dir() / "teachers" / "photos.safetensors").fingerprint


@pytest.mark.parametrize(
    ("values", "differing"),
    [
        ({"student": "mobilenet_v2"}, {"Learning rate": ("0.001", "0.0025")}),
        ({"ipc": 50, "images": 500}, {"Batch size": ("50", "100")}),
        ({"ipc": 20, "images": 200, "batch_size": 7}, {"Batch size": None}),  # the paper has none for it
        ({"recipe": "hard"}, {"Labels": ("hard", "on-the-fly"), "Loss": ("ce", "kl")}),
        ({"recipe": "sre2l"}, {"Learning rate over epochs": ("cosine", "half-cosine")}),
        ({"labels": "stored", "label_store": "somewhere"}, {"Labels": ("stored", "on-the-fly")}),
        (CDA, {"Epochs": ("300", "100"), "Optimiser": ("adamw", "sgd")}),  # CDA Table 12a
        (CDA, {"Learning rate": ("0.001", "0.2"), "Batch size": None}),
        ({"method": "rded"}, {"Shuffle tiles": ("off", "on"), "Image files": None, "Smallest crop": ("0.25", "1")}),
        ({"method": "rded", "recipe": "rded"}, {"Smallest crop": None}),
        ({"teacher_fingerprint": TEACHER}, {"Teacher": ("resnet18, width 0.25", "resnet18")}),
        ({"image_size": 64}, {"Image size": ("64 px", "32 px")}),
    ],
)
def test_each_method_is_held_against_its_own_publication(values, differing) -> None:
    rows = _rows(summary(**values))
    assert {name: rows.get(name) for name in differing} == differing


@pytest.mark.parametrize(
    "values", [{"method": "random"}, {"method": "folder"}, {"method": "delt", "dataset": "photos"}]
)
def test_without_a_publication_nothing_differs(values) -> None:
    assert settings_that_differ(summary(**values)) == []


def test_some_of_the_classes_are_not_the_published_task() -> None:
    assert [value.value for value in published_like(summary(ipc=50))] == [64.9]
    assert published_like(summary(ipc=50, class_names=["airplane", "bird"])) == ()
    assert published_like(summary(dataset="/photos of mine")) == ()
