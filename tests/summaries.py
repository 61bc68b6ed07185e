"""Summaries of evaluations as runs keep them, for tests that compare accuracies."""

from __future__ import annotations

from typing import Any

from delt_engine.config.students import EvaluateConfig

OF_THE_STUDENT = {"student", "student_width", "student_stem", "batch_size", "learning_rate", "seeds"}


def summary(top1: float = 50.0, recipe: str = "delt", **values: Any) -> dict[str, Any]:
    """An evaluation of a DELT run on CIFAR-10 at IPC 10; settings of the training count as changes of the recipe."""
    trained = set(EvaluateConfig.model_fields) - OF_THE_STUDENT
    settings = {name: values.pop(name) for name in sorted(trained & set(values))}
    config = EvaluateConfig.for_recipe(recipe, **settings)
    plain: dict[str, Any] = {
        "source": "run-1",
        "method": "delt",
        "ipc": 10,
        "images": 100,
        "dataset": "cifar10",
        "dataset_fingerprint": "f",
        "class_names": list("abcdefghij"),
        "teacher": "t",
        "teacher_fingerprint": "none",
        "recipe": recipe,
        "changes": {name: list(pair) for name, pair in config.changes().items()},
        "student": "resnet18",
        "student_width": 1.0,
        "student_stem": "small",
        "image_size": 32,
        "epochs": config.epochs,
        "batch_size": 50,
        "learning_rate": 0.001,
        "labels": config.labels,
        "seeds": [0, 1, 2],
        "top1_last": top1,
        "top1_best": top1 + 1,
        "image_iterations": 10 * (2 * 4000 + 2 * 3500 + 3000 + 2500 + 2000 + 1500 + 1000 + 500),
    }
    return plain | values
