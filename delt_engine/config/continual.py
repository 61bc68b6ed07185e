"""Settings of continual learning: in how many steps the classes come, in how many orders, and with which labels.

Source: DELT Sec. 4.7 (100 steps on ImageNet-1K); CDA Sec. 3.8 and Tables 14 and 15 (5 and 10 steps on Tiny-ImageNet at
IPC 100). Neither prints the class order, the number of orders or the students' training.
"""

from __future__ import annotations

from typing import Any, Literal

from delt_engine.config.pruning import TRAINING_SETTINGS
from delt_engine.config.settings import Settings, setting
from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError


class ContinualConfig(Settings):
    """How classes come one group after the other, with a set of images as the memory of those seen."""

    steps: int = setting(5, ge=1, le=100_000, more=False, source="CDA Table 14")
    """Groups that the classes come in, at most as many as classes; the first groups have one more where they are
    unequal."""
    orders: int = setting(1, ge=1, le=100, more=False)
    """Class orders, each drawn from another seed; mean and spread are over them."""
    labels: Literal["recipe", "soft", "hard"] = setting("recipe", more=False)
    """soft asks the teacher about the classes seen so far, hard takes the class; recipe does as the recipe has it."""

    def check_steps(self, num_classes: int, title: str) -> None:
        """Refuse more steps than classes.

        Raises:
            ConfigError: the sentence names both.
        """
        if self.steps > num_classes:
            raise ConfigError(
                f"steps: {self.steps} given, but {title} has {num_classes} classes, and each step needs one or more."
            )

    def trained(self, training: EvaluateConfig) -> EvaluateConfig:
        """Return the students' training with these labels.

        Raises:
            ConfigError: soft labels with a recipe for hard ones.

        >>> ContinualConfig(labels="hard").trained(EvaluateConfig()).loss
        'ce'
        """
        if self.labels == "hard":
            return training.replace(labels="hard", loss="ce")
        if self.labels == "soft" and training.labels == "hard":
            raise ConfigError("labels: soft given, but the recipe is one for hard labels; choose another --recipe.")
        return training


def asked_training(training: EvaluateConfig) -> dict[str, Any]:
    """Return the settings of the students' training that make a question, as plain values; how it is computed is none.

    What is left open stays open, for the rules that fill it in are the same everywhere.
    """
    names = {*CONTINUAL_TRAINING, "labels"} - {"precision", "graphs"}
    if not training.alternate_flips:
        names.remove("alternate_flips")  # results from before there were any answer the same question
    return training.model_dump(mode="json", include=names)


CONTINUAL_TRAINING = (
    "student",
    "student_width",
    "student_stem",
    "epochs",
    *(name for name in TRAINING_SETTINGS if name != "labels"),
)
"""Settings of student training that every step of continual learning takes: all but tests and stores."""
