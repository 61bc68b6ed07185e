"""Checks kept as files, and the verdict they lead to."""

from dataclasses import replace

import pytest

from delt_engine.data.catalogue import CATALOGUE
from delt_engine.data.dataset import DatasetSpec
from delt_engine.models.card import columns_of, read_card
from delt_engine.models.health import CheckRecord, find_check, judge, keep_check, misfit, reference_of
from delt_engine.paths import assets_dir

ENTRY = CATALOGUE["cifar10"]
SPEC = DatasetSpec(
    "cifar10", "CIFAR-10", "torchvision", 10, ENTRY.class_names, 32, ENTRY.mean, ENTRY.std, 50000, 10000, ""
)


CARD = replace(
    read_card(assets_dir() / "teachers" / "photos.safetensors"),
    **{"name": "mine", "width": 1.0, "dataset": "cifar10", "dataset_fingerprint": "f00d", "fingerprint": "beef"},
    **{"class_names": ENTRY.class_names, "mean": ENTRY.mean, "std": ENTRY.std, "accuracy": None},
)


def check(accuracy: float, sample: int = 10000, verdict: str = "good") -> CheckRecord:
    return CheckRecord(
        "mine", "beef", "cifar10", "f00d", accuracy, sample, 10000, 10.0, verdict, "measured.", "2026-01-01T00:00:00Z"
    )


def test_a_check_is_found_again_by_weights_and_images(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    assert find_check("beef", "f00d") is None
    health = judge(CARD, SPEC, None)
    assert (health.level, health.reference, health.reference_origin) == ("unknown", 93.86, "published")
    keep_check(check(93.0))
    keep_check(check(92.0))
    assert find_check("beef", "f00d") == check(92.0)
    keep_check(check(80.0, sample=500))
    assert find_check("beef", "f00d") == check(92.0), "fewer images say less"
    assert find_check("beef", "other") is None
    (tmp_path / "checks" / "beef-f00d.json").write_text("{")
    assert find_check("beef", "f00d") is None


@pytest.mark.parametrize(
    ("accuracy", "sample", "level"),
    [
        (93.86, 10000, "good"),
        (91.9, 10000, "good"),
        (91.8, 10000, "bad"),
        (91.0, 400, "warning"),
        (80.0, 400, "bad"),
        (97.0, 10000, "good"),
    ],
)
def test_more_than_two_points_below_the_published_value_is_off(accuracy, sample, level) -> None:
    health = judge(CARD, SPEC, check(accuracy, sample))
    assert health.level == level
    if level == "bad":
        assert "class order?" in health.title.lower()
        assert health.reasons[0].startswith(f"{accuracy:.1f} % measured, 93.9 % published. First suspect: class order?")


def test_only_the_published_network_is_held_to_the_published_value() -> None:
    narrow = replace(CARD, width=0.25)
    assert reference_of(narrow, SPEC) == (None, "")
    assert judge(narrow, SPEC, check(80.0)).level == "good"
    assert judge(narrow, SPEC, check(30.0, verdict="weak")).level == "warning"
    trained = replace(narrow, accuracy=88.0)
    assert reference_of(trained, SPEC) == (88.0, "measured when it was trained")
    assert judge(trained, SPEC, check(80.0)).level == "bad"


def test_a_suspected_class_order_is_bad_whatever_the_accuracy() -> None:
    health = judge(CARD, SPEC, check(93.86, verdict="class order?"))
    assert (health.level, health.title, health.reasons) == ("bad", "Class order?", ("measured.",))


def test_a_card_that_does_not_fit_needs_no_measurement() -> None:
    swapped = (*ENTRY.class_names[1::-1], *ENTRY.class_names[2:])
    assert (
        "trained on the same classes in another order than cifar10 has"
        in judge(replace(CARD, class_names=swapped), SPEC, None).reasons[0]
    )
    others = ("ape", *ENTRY.class_names[1:])
    assert "class 0 is 'ape' in the teacher" in judge(replace(CARD, class_names=others), SPEC, None).reasons[0]
    assert "7 classes" in judge(replace(CARD, num_classes=7, class_names=others[:7]), SPEC, None).reasons[0]
    assert "trained at 64 px" in judge(replace(CARD, image_size=64), SPEC, None).reasons[0]


def test_other_statistics_are_a_warning() -> None:
    health = judge(replace(CARD, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)), SPEC, check(93.86))
    assert health.level == "warning"
    assert "mean and std" in health.reasons[0]
    rounded = replace(CARD, std=(0.2470, 0.2435, 0.2616), mean=(0.49, 0.48, 0.45))
    assert judge(rounded, SPEC, check(93.86)).level == "good"


def test_classes_of_imagenet_are_the_same_by_folder_and_by_name() -> None:
    spec = replace(SPEC, class_names=("tench", "goldfish"), num_classes=2)
    card = replace(CARD, class_names=("n01440764", "n01443537"), num_classes=2)
    assert misfit(card, spec) == misfit(replace(card, class_names=spec.class_names), spec) == ""
    assert "same classes in another order" in misfit(replace(card, class_names=("goldfish", "n01440764")), spec)
    assert columns_of(("goldfish", "shark", "n01440764"), spec.class_names) == [2, 0]


def test_an_accuracy_published_with_weights_is_called_so() -> None:
    card = replace(CARD, accuracy=69.8, added_from="torchvision:resnet18")
    assert reference_of(card, SPEC) == (69.8, "published with its weights")
