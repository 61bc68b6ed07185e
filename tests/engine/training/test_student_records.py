from __future__ import annotations

import json
import math

import pytest

from delt_engine.config.students import EvaluateConfig
from delt_engine.training.records import EvaluationResult, Source, StudentResult

KEYS = """
source source_title method method_title ipc images dataset dataset_title dataset_fingerprint class_names teacher
teacher_fingerprint recipe recipe_title is_shortened changes student student_width student_stem image_size epochs
batch_size learning_rate labels seeds top1_last top1_last_std top1_best top1_best_std top1_ema top1_ema_std top5_last
per_class chance test_images seconds synthesis_seconds image_iterations students
"""


def student(seed: int, last: float, best: float, ema: float | None = None) -> StudentResult:
    return StudentResult(
        seed=seed,
        top1_last=last,
        top1_best=best,
        best_epoch=10,
        top1_ema=ema,
        top1_ema_best=ema,
        top5_last=last + 10,
        per_class=(last - 5, last + 5),
        curve=((1, 20.0), (10, best), (30, last)),
        ema_curve=(),
        seconds=1.5,
    )


def evaluation(*students: StudentResult) -> EvaluationResult:
    return EvaluationResult(
        students=students,
        source=Source("run-1", "Run 1", "delt", "DELT", 10, 20, 12.0, 5000),
        config=EvaluateConfig.for_recipe(
            "rded",
            epochs=30,
            student="resnet18",
            student_width=0.25,
            student_stem="small",
            batch_size=20,
            learning_rate=0.001,
        ),
        changes={"epochs": (300, 30)},
        dataset="photos",
        dataset_title="Photos",
        dataset_fingerprint="f",
        class_names=("cat", "dog"),
        teacher="t",
        teacher_fingerprint="w",
        image_size=32,
        test_images=200,
        seconds=4.0,
    )


def test_summary_has_exactly_the_agreed_names_and_plain_values():
    summary = evaluation(student(3, 40.0, 50.0), student(4, 44.0, 52.0)).summary()
    assert list(summary) == KEYS.split()
    assert json.loads(json.dumps(summary)) == summary


def test_means_and_spread_by_hand():
    summary = evaluation(student(3, 40.0, 50.0), student(4, 44.0, 52.0)).summary()
    assert (summary["top1_last"], summary["top1_best"], summary["top5_last"]) == (42.0, 51.0, 52.0)
    assert summary["top1_last_std"] == pytest.approx(math.sqrt(8))  # (2^2 + 2^2) / (2 - 1)
    assert summary["top1_best_std"] == pytest.approx(math.sqrt(2))
    assert summary["per_class"] == [37.0, 47.0]
    assert (summary["seeds"], summary["chance"]) == ([3, 4], 50.0)
    assert (summary["is_shortened"], summary["changes"]) == (True, {"epochs": [300, 30]})
    assert (summary["recipe_title"], summary["student_stem"]) == ("RDED", "small")


def test_one_seed_has_no_spread_and_no_average_stays_none():
    summary = evaluation(student(0, 40.0, 50.0)).summary()
    assert summary["top1_last_std"] == 0.0
    assert summary["top1_ema"] is None
    assert summary["top1_ema_std"] is None
    assert evaluation(student(0, 40.0, 50.0, 45.0)).summary()["top1_ema"] == 45.0


def test_a_student_comes_back_from_json():
    one = student(7, 40.0, 50.0, 41.0)
    kept = json.loads(json.dumps(evaluation(one).summary()))["students"][0]
    assert StudentResult.from_mapping(kept) == one
