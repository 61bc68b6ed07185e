"""Events as runs write them; a test names what it is about, and the rest is plain."""

from __future__ import annotations

from typing import Any

from delt_engine.runs.events import (
    RoundEvent,
    SqueezeEpochEvent,
    SqueezeStepEvent,
    StepEvent,
    StudentEpochEvent,
    StudentStepEvent,
)

_PLACE = {"t": 2.0, "batch": 0, "batches": 1, "round": 1, "rounds": 4}
_STEP = {
    **_PLACE,
    "iteration": 9,
    "iterations": 40,
    "joined": 10,
    "ce_loss": 1.0,
    "bn_loss": 20.0,
    "total_loss": 1.2,
    "learning_rate": 0.25,
    "crop_min": 0.5,
    "image_iterations": 100,
    "image_iterations_total": 400,
}
_SQUEEZE = {"t": 1.0, "epoch": 2, "epochs": 3, "loss": 0.5, "train_accuracy": 90.0}
_STUDENT = {"t": 1.0, "student": 0, "students": 3, "epoch": 2, "epochs": 3, "loss": 0.5, "learning_rate": 0.001}
_WITHIN = {"step": 5, "steps": 10}


def step(**values: Any) -> StepEvent:
    return StepEvent(**{**_STEP, **values})


def round_written(**values: Any) -> RoundEvent:
    return RoundEvent(**{**_PLACE, "iteration": 10, "partial": False, **values})


def squeeze_step(**values: Any) -> SqueezeStepEvent:
    return SqueezeStepEvent(**{**_SQUEEZE, **_WITHIN, "learning_rate": 0.1, **values})


def squeeze_epoch(**values: Any) -> SqueezeEpochEvent:
    return SqueezeEpochEvent(**{**_SQUEEZE, "test_accuracy": 88.5, "seconds": 1.0, **values})


def student_step(**values: Any) -> StudentStepEvent:
    return StudentStepEvent(**{**_STUDENT, **_WITHIN, **values})


def student_epoch(**values: Any) -> StudentEpochEvent:
    return StudentEpochEvent(**{**_STUDENT, **values})
