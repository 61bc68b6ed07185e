"""LRS and ARS by hand, and what is missing for them with the command that makes it."""

import pytest
from summaries import summary

from delt_engine.analysis.scores import (
    PLAIN,
    augmentation_robust,
    augmentation_robust_score,
    label_robust,
    label_robust_score,
    score,
)


def test_scores_by_hand() -> None:
    # HLR 0.4, IOR 0.2: a = 0.1 - 0.2 = -0.1; (e**-0.1 - e**-1) / (e - e**-1) = 0.536958 / 2.350402
    assert label_robust(90, 50, 60, 40) == pytest.approx(0.536958 / 2.350402, abs=1e-6)
    # gains 0.2 and 0.05: a = 0.125; (1.133148 - 0.367879) / 2.350402
    assert augmentation_robust(60, 40, 50, 45) == pytest.approx(0.765269 / 2.350402, abs=1e-6)
    assert label_robust(90, 50, 60, 40, weight=1.0) == pytest.approx(score(0.2))
    assert label_robust(90, 50, 60, 40, weight=0.0) == pytest.approx(score(-0.4))


BASE = summary(60.0, epochs=60)
HARD = {"recipe": "hard", "epochs": 60}
ALL = [
    BASE,
    summary(50.0, **HARD),
    summary(40.0, epochs=60, method="random", source="run-2"),
    summary(90.0, **HARD, method="real", source="real", ipc=None, images=50000),
]


def test_lrs_finds_its_evaluations() -> None:
    found = label_robust_score(BASE, ALL)
    assert found.missing == ()
    assert found.value == pytest.approx(label_robust(90, 50, 60, 40))
    assert found.parts == pytest.approx({"HLR": 0.4, "IOR": 0.2})
    best = label_robust_score(BASE, ALL, "top1_best")
    assert best.value == pytest.approx(found.value)  # all are one point better


@pytest.mark.parametrize(
    "changed",
    [
        {"student": "convnet-3"},
        {"student_width": 0.25},
        {"dataset_fingerprint": "other"},
        {"ipc": 50},
        {"epochs": 300},
        {"temperature": 4.0},
        {"changes": {"epochs": [300, 60], "learning_rate": [0.001, 0.01]}},
        {"teacher_fingerprint": "other"},
    ],
)
def test_a_random_set_on_other_terms_does_not_count(changed) -> None:
    other = summary(40.0, **{"method": "random", "source": "run-2", "epochs": 60, **changed})
    found = label_robust_score(BASE, [ALL[0], ALL[1], other, ALL[3]])
    assert (found.value, [each.name for each in found.missing]) == (None, ["random"])
    assert found.parts == pytest.approx({"HLR": 0.4})


def test_what_is_missing_is_named_with_its_command() -> None:
    found = label_robust_score(summary(60.0, epochs=60, student_width=0.25), [])
    student = "--student resnet18 --student-width 0.25 --student-stem small --seeds 3"
    assert {each.name: each.command for each in found.missing} == {
        "synthetic_hard": f"delt evaluate run-1 --recipe hard --epochs 60 {student}",
        "random": f"delt compare --dataset cifar10 --methods random --ipc 10 --recipe delt --epochs 60 {student}",
        "real_hard": f"delt evaluate real --dataset cifar10 --recipe hard --epochs 60 {student}",
    }


def test_hard_labels_of_all_real_images_may_have_other_epochs_but_the_same_are_preferred() -> None:
    longer = summary(95.0, recipe="hard", epochs=20, method="real", source="real", ipc=None)
    assert label_robust_score(BASE, [*ALL[:3], longer]).value == pytest.approx(label_robust(95, 50, 60, 40))
    assert label_robust_score(BASE, [*ALL[:3], longer, ALL[3]]).value == pytest.approx(label_robust(90, 50, 60, 40))


def test_stored_labels_count_as_those_on_the_fly() -> None:
    stored = summary(60.0, epochs=60, labels="stored", label_store="x")
    found = label_robust_score(stored, [stored, *ALL[1:]])
    assert found.value == pytest.approx(label_robust(90, 50, 60, 40))
    assert "label-store" not in found.inputs[0].command


def test_ars_finds_its_evaluations() -> None:
    plain = summary(50.0, epochs=60, **PLAIN)
    random_plain = summary(45.0, epochs=60, method="random", source="run-2", **PLAIN)
    found = augmentation_robust_score(BASE, [*ALL, plain, random_plain])
    assert found.value == pytest.approx(augmentation_robust(60, 40, 50, 45))
    assert found.parts == pytest.approx({"IOR with augmentation": 0.2, "IOR without": 0.05})
    part = augmentation_robust_score(BASE, [*ALL, plain])
    assert part.value is None
    assert part.parts == pytest.approx({"IOR with augmentation": 0.2})
    (missing,) = part.missing
    for words in ("--mix none", "--rand-augment none", "--student-crop-min 1", "--no-student-flip"):
        assert words in missing.command


def test_what_a_recipe_leaves_to_the_image_size_is_compared_as_it_was_trained() -> None:
    base = summary(60.0, "rded", epochs=60)  # up to 64 px RDED crops nothing
    plain = {"epochs": 60, "mix": "none", "flip": False, "shuffle_patches": False}
    others = [
        summary(40.0, "rded", epochs=60, method="random", source="run-2"),
        summary(50.0, "rded", **plain),
        summary(45.0, "rded", method="random", source="run-2", **plain),
    ]
    assert augmentation_robust_score(base, others).value == pytest.approx(augmentation_robust(60, 40, 50, 45))
    assert "--student-crop-min" not in augmentation_robust_score(base, []).inputs[2].command
