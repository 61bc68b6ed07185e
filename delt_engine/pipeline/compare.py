"""One row a method for the table of `delt compare` and of the accuracy page: what students reached, at what cost."""

from __future__ import annotations

from typing import Any

from delt_engine.jobs.evaluations import Evaluation
from delt_engine.runs.store import Run

_FROM_RESULT = (
    "method",
    "method_title",
    "ipc",
    "images",
    "dataset",
    "recipe",
    "recipe_title",
    "is_shortened",
    "epochs",
    "student",
    "student_width",
    "labels",
    "seeds",
    "top1_last",
    "top1_last_std",
    "top1_best",
    "top1_best_std",
    "top1_ema",
    "top1_ema_std",
    "top5_last",
    "chance",
    "synthesis_seconds",
    "image_iterations",
)


def method_row(
    evaluation: Evaluation, source: Run | None = None, cosine_similarity: float | None = None
) -> dict[str, Any]:
    """Return the row of an evaluation.

    Args:
        evaluation: finished.
        source: the run whose images were trained on, if it was one.
        cosine_similarity: of its images to their class centroids, where it is known.

    Returns:
        Plain values: of the evaluation's result, with top-1 of each student (``top1_last_each`` and
        ``top1_best_each``), ``cosine_similarity``, ``iterations`` and ``round_iterations`` (None
        where nothing was recovered), ``seconds`` as the sum of ``synthesis_seconds`` and ``train_seconds``, ``run``
        and ``evaluation`` (ids), and ``training``, student and recipe in words.
    """
    result = evaluation.result
    row = {name: result.get(name) for name in _FROM_RESULT}
    recover = source.experiment.recover if source is not None else None
    train_seconds = float(result["seconds"])
    return {
        **row,
        **{f"{name}_each": [student[name] for student in result["students"]] for name in ("top1_last", "top1_best")},
        "iterations": recover.iterations if recover else None,
        "round_iterations": recover.round_iterations if recover and recover.is_optimised else None,
        "cosine_similarity": cosine_similarity,
        "train_seconds": train_seconds,
        "seconds": round(train_seconds + (result.get("synthesis_seconds") or 0.0), 3),
        "run": source.id if source is not None else None,
        "evaluation": evaluation.run.id,
        "training": training_words(result),
    }


def training_words(result: dict[str, Any]) -> str:
    """Return student and recipe in words, whether it is shortened, and what labelled where it was not the teacher.

    >>> training_words({"student": "resnet18", "student_width": 0.25, "recipe_title": "DELT", "epochs": 60,
    ...     "is_shortened": True, "seeds": [0, 1]})
    'resnet18 x 0.25, DELT, 60 epochs (shortened), 2 seeds'
    """
    width = "" if result.get("student_width") in (None, 1.0) else f" x {result['student_width']:g}"
    short = " (shortened)" if result["is_shortened"] else ""
    seeds = f", {len(result['seeds'])} seeds" if len(result["seeds"]) > 1 else ""
    by = f", labelled by {result['relabeller']}" if result.get("relabeller") else ""
    return f"{result['student']}{width}, {result['recipe_title']}, {result['epochs']} epochs{short}{by}{seeds}"
