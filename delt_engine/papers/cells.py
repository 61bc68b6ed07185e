"""From a printed number to the experiment that measures it here: settings of its paper, and what its row changes.

A cell is a whole experiment. ``paper`` scale is as printed; ``laptop`` scale has the same axes on a built-in dataset,
see :mod:`delt_engine.papers.laptop`.

Source: the rows of assets/published/results.csv; settings by :mod:`delt_engine.papers.recipes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from delt_engine.config import Experiment
from delt_engine.config.methods import BATCH_TO_BATCH, METHOD_SETTINGS, is_optimised
from delt_engine.data.catalogue import CATALOGUE
from delt_engine.errors import ConfigError
from delt_engine.papers import matching_settings
from delt_engine.papers.continual_values import steps_of
from delt_engine.papers.names import our_network
from delt_engine.papers.published import PublishedValue, all_published
from delt_engine.papers.recipes import published_experiment

Scale = Literal["paper", "laptop"]
SCALES: tuple[Scale, ...] = ("paper", "laptop")

Measure = Literal["accuracy", "continual", "hours", "teacher", "parameters", "cosine", "images", "judge"]
"""What a cell's number is: of students, of students after a step of the classes, of the recovery, of a teacher, of a
network, or of the images themselves."""

SEEDS = 3
"""Students of a cell, also where the paper trains one: an order needs a spread. Source: DELT's scripts train three."""

RANKER = "resnet18"
"""What ranks where the network that recovers does not. Source: DELT Appendix B, Ranking."""

_MEASURES: dict[str, Measure] = {
    "top1": "accuracy",
    "hours": "hours",
    "params_m": "parameters",
    "cosine": "cosine",
    "images": "images",
    "whole": "judge",
    "crops": "judge",
}

_PRUNING = "No dataset is printed; `delt prune` measures pruning on any."

_CRITERIA = {"lowest": "min", "medium": "medium", "highest": "top", "random": "random", "delt": "medium"}
_CRITERIA |= {"ascending": "min", "descending": "top"}
_ORDERS = ("random", "ascending", "descending", "delt")
_CURRICULA = ("step", "linear", "cosine")


@dataclass(frozen=True, eq=False)
class Cell:
    """The experiment behind a printed number.

    Attributes:
        value: the printed number, or a row of a figure without one.
        measure: what is measured.
        experiment: all settings; of networks only which they are, for files differ from machine to machine.
        varied: settings that the row itself sets, such as ``recover.iterations`` to 1000.
        origins: where settings are printed, such as ``recover.iterations`` to "DELT Table 8b".
        scale: ``paper`` or ``laptop``.
        scaled: of the laptop's what was made smaller: name, printed, here.
        relabeller: network that labels, where it is not the one that recovers.
    """

    value: PublishedValue
    measure: Measure
    experiment: Experiment
    varied: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    scale: Scale = "paper"
    scaled: tuple[tuple[str, str, str], ...] = ()
    relabeller: str = ""

    @property
    def key(self) -> str:
        """What tells experiments apart: cells with the same key are measured by the same runs."""
        own = (self.measure, self.value.metric, self.value.method, self.relabeller)
        return f"{' '.join(own)} {self.experiment.model_dump_json()}"

    @property
    def needs_images(self) -> bool:
        """Whether images are recovered."""
        return self.measure not in ("teacher", "parameters") and not self.needs_real

    @property
    def needs_real(self) -> bool:
        """Whether it is a number of real images."""
        return self.value.method == "real"

    @property
    def needs_students(self) -> bool:
        """Whether students are trained on them."""
        return self.measure in ("accuracy", "continual")


def why_not(value: PublishedValue) -> str:
    """Return why nothing here can measure a printed number, in a sentence; "" where a cell can.

    >>> from delt_engine.papers.published import all_published
    >>> sum(not why_not(one) for one in all_published()) > 400
    True
    """
    words = value.words
    if words.get("task") == "data-free-pruning":
        return _PRUNING
    if words.get("stage") == "squeeze":
        if words["recipe"] != "cda":
            return "The recipe of Ridnik et al. is not here."
        if words["init"] != "random":
            return "A start from ImageNet-1K's weights is not here."
        return "" if value.metric == "top1" else "Top-5 of a teacher is not measured."
    if value.metric == "params_m" or value.method in (*METHOD_SETTINGS, "real"):
        return ""
    return f"{value.method_title} is not here."


def paper_cell(value: PublishedValue) -> Cell:
    """Return the experiment behind a printed number, as printed.

    Raises:
        ConfigError: nothing here can measure it; the sentence is :func:`why_not`'s.
    """
    if reason := why_not(value):
        raise ConfigError(f"{value.where}: {reason}")
    measure: Measure = "teacher" if value.words.get("stage") == "squeeze" else _MEASURES[value.metric]
    measure = "continual" if steps_of(value) else measure
    if measure == "parameters":
        return Cell(value, measure, Experiment())
    network, student = our_network(value.teacher), our_network(value.student) or _unnamed_student(value)
    found = published_experiment(
        value.source,
        value.dataset,
        value.method if value.method in METHOD_SETTINGS else "cda",
        network=(student if measure == "teacher" else network) or None,
        student=student,
        ipc=value.ipc or 10,
        table=value.table,
    )
    changes = varied(value)
    seeds = max(SEEDS, found.experiment.evaluate.seeds)
    experiment = with_changes(found.experiment, {**changes, "evaluate.seeds": seeds})
    relabeller = relabelling_network(value)
    origins = {**found.origins, **dict.fromkeys(changes, value.where)}
    if experiment.ranker and experiment.select.criterion == "random":  # the row itself picks without ranks
        experiment = experiment.replace(ranker="")
        del origins["experiment.ranker"]
    if "student" in value.assumed:  # the table leaves it open
        del origins["evaluate.student"]
    return Cell(
        value,
        measure,
        experiment,
        changes,
        origins,
        relabeller="" if relabeller == experiment.squeeze.network else relabeller,
    )


def _unnamed_student(value: PublishedValue) -> str:
    """Return the student of a number whose table names none: of DM and DC that of their own papers."""
    entry = CATALOGUE.get(value.dataset)
    if value.method in BATCH_TO_BATCH and entry is not None:
        return matching_settings.student(entry.image_size or 32)
    return "resnet18"


def varied(value: PublishedValue) -> dict[str, Any]:
    """Return the settings that the words of a row set: "stage.setting" to value.

    >>> from delt_engine.papers.published import all_published
    >>> [varied(one) for one in all_published() if one.where == "DELT Table 4c"][-1]
    {'recover.iterations': 4000, 'recover.round_iterations': 1000}
    """
    words = value.words
    found: dict[str, Any] = {}
    is_squeeze = words.get("stage") == "squeeze"
    for name in ("MI", "iterations", "recovery_iterations"):
        if name in words and is_optimised(value.method):
            found["recover.iterations"] = int(words[name])
    if "RI" in words:
        found["recover.round_iterations"] = int(words["RI"])
    if "patches" in words:
        found["select.mosaic"] = int(words["patches"].partition("x")[0])
    if "selection" in words:
        found["select.criterion"] = _CRITERIA[words["selection"]]
    if (order := words.get("order") or words.get("selection")) in _ORDERS:
        found["select.order"] = order
    if "crop" in words:
        found["recover.min_crop"], found["recover.max_crop"] = map(float, words["crop"].split("-"))
    if "crop_lower" in words:
        found["recover.min_crop"] = float(words["crop_lower"])
    if words.get("curriculum") in ("constant", "reverse"):
        found["recover.curriculum"] = words["curriculum"]
    elif words.get("scheduler") in _CURRICULA:
        found["recover.curriculum"] = words["scheduler"]
    if "milestone" in words:
        found["recover.milestone"] = float(words["milestone"])
    if "batch_size" in words:
        found["evaluate.batch_size"] = int(words["batch_size"])
    if "epochs" in words:
        found["squeeze.epochs" if is_squeeze else "evaluate.epochs"] = int(words["epochs"])
    return found


def with_changes(experiment: Experiment, changes: Mapping[str, Any]) -> Experiment:
    """Return an experiment with settings changed, "stage.setting" to value.

    A changed MI that RI does not divide is one round: RI then is MI.

    Raises:
        ConfigError: a value that is not allowed.
    """
    stages: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        stage, _, setting = name.partition(".")
        stages.setdefault(stage, {})[setting] = value
    recover = stages.get("recover", {})
    if "iterations" in recover and "round_iterations" not in recover:
        mi, ri = recover["iterations"], experiment.recover.round_iterations
        recover["round_iterations"] = ri if mi % ri == 0 else mi
    return experiment.replace(**{name: getattr(experiment, name).replace(**own) for name, own in stages.items()})


def relabelling_network(value: PublishedValue) -> str:
    """Return the network that labels the images, as a row says; "" where it says none.

    CDA Table 7 takes the better one of two, which is the one with the same number in Table 19.
    """
    words = value.words.get("relabel", "")
    if not words.startswith("best-of"):
        return our_network(words)
    alike = (
        one.words["relabel"]
        for one in all_published()
        if one.where == "CDA Table 19" and (one.student, one.value) == (value.student, value.value)
    )
    return our_network(next(alike))
