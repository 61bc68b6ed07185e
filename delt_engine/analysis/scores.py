"""DD-Ranking's two scores: how much of a set's accuracy is its own, and not that of its labels or the augmentation.

With accuracies as shares of 1, HLR (hard label recovery) is what a set lacks to the whole real set when both are
trained with hard labels; IOR (improvement over random) is what it gains over as many random real images under the same
training. Then::

    LRS = score(w * IOR - (1 - w) * HLR)            score(a) = (e**a - e**-1) / (e - e**-1)
    ARS = score(w * IOR with augmentation + (1 - w) * IOR without)

so both are in [0, 1] and a set that is no better than random images has an ARS of score(0) = 0.269.

Source: NUS-HPC-AI-Lab/DD-Ranking, README (HLR, IOR, score) and ddranking/metrics/{soft_label,aug_robust}.py (w = 0.5);
"DD-Ranking: Rethinking the Evaluation of Dataset Distillation" (arXiv 2505.13300).
Differs: the scores are of mean accuracies where theirs are means of each seed's score; learning rates are the recipe's
where theirs are searched for random and hard-label training; the recipe's last epoch where theirs is the best tested
one; "without augmentation" turns off mixing, RandAugment, crops, flips and shuffled tiles, theirs only what a method
names as its augmentation. So these values are not those of their leaderboard, but may be compared with each other.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from delt_engine.config.command_line import changed_words, option_words
from delt_engine.config.students import EvaluateConfig
from delt_engine.data.catalogue import CATALOGUE
from delt_engine.papers.published import here_config

WEIGHT = 0.5
PLAIN = {
    "mix": "none",
    "rand_augment": "none",
    "cutout": 0.0,
    "min_crop": 1.0,
    "flip": False,
    "shuffle_patches": False,
}
"""Settings of a training without augmentation."""

Summary = Mapping[str, Any]
_STUDENT = {"recipe", "student", "student_width", "student_stem", "seeds"}
_FREE = {"precision", "graphs", "students_at_once", "validate_every", "validate_from", "label_store"}
"""Settings that may differ between two trainings which are held against each other."""


def score(advantage: float) -> float:
    """Return where an advantage from -1 to 1 lies between 0 and 1.

    >>> score(-1.0), round(score(0.0), 4), score(1.0)
    (0.0, 0.2689, 1.0)
    """
    return (math.exp(advantage) - math.exp(-1)) / (math.e - math.exp(-1))


def label_robust(
    real_hard: float, synthetic_hard: float, synthetic: float, random: float, weight: float = WEIGHT
) -> float:
    """Return LRS of four accuracies in percent; ``weight`` is that of IOR.

    They are of the whole real set and of the synthetic one with hard labels, then of the synthetic set trained as its
    method wants, and of as many random real images trained likewise.

    >>> round(label_robust(90, 50, 60, 40), 4)
    0.2285
    """
    recovery, improvement = (real_hard - synthetic_hard) / 100, (synthetic - random) / 100
    return score(weight * improvement - (1 - weight) * recovery)


def augmentation_robust(
    synthetic: float, random: float, synthetic_plain: float, random_plain: float, weight: float = WEIGHT
) -> float:
    """Return ARS of four accuracies in percent: with augmentation, then without it.

    >>> round(augmentation_robust(60, 40, 50, 45), 4)
    0.3256
    """
    return score((weight * (synthetic - random) + (1 - weight) * (synthetic_plain - random_plain)) / 100)


@dataclass(frozen=True)
class Input:
    """One of the evaluations a score needs: what it is for the score, in words, its summary or None, what makes it."""

    name: str
    title: str
    found: Summary | None
    command: str


@dataclass(frozen=True)
class RobustScore:
    """A score, or what is missing for it.

    Attributes:
        name: LRS or ARS.
        value: in [0, 1]; None while something is missing.
        parts: HLR and IOR, or IOR with and without augmentation, as shares of 1; those that are known.
        inputs: the evaluations it is made of.
    """

    name: str
    value: float | None
    parts: dict[str, float]
    inputs: tuple[Input, ...]

    @property
    def missing(self) -> tuple[Input, ...]:
        """The evaluations that are not there."""
        return tuple(each for each in self.inputs if each.found is None)


def label_robust_score(base: Summary, others: Sequence[Summary], accuracy: str = "top1_last") -> RobustScore:
    """Return LRS of an evaluated set, trained with soft labels as its method wants.

    The other three evaluations are looked for in ``others``; ``accuracy`` is ``top1_last`` or ``top1_best``.
    """
    own = _training(base)
    hard = own.replace(labels="hard", loss="ce")
    real = _find(others, base, hard, method="real", any_epochs=True)
    inputs = (
        Input("synthetic", "This set as evaluated", base, _evaluate(base, base["source"], own)),
        _same_set("synthetic_hard", "This set, hard labels", base, others, hard),
        _random("random", "Random real images, as evaluated", base, others, own),
        Input("real_hard", "All real images, hard labels", real, _evaluate(base, "real", hard)),
    )
    gaps = {"HLR": ("real_hard", "synthetic_hard"), "IOR": ("synthetic", "random")}
    return _scored("LRS", label_robust, inputs, gaps, accuracy)


def augmentation_robust_score(base: Summary, others: Sequence[Summary], accuracy: str = "top1_last") -> RobustScore:
    """Return ARS of a set that was trained with augmentation; see :func:`label_robust_score`."""
    own = _training(base)
    plain = own.replace(**PLAIN)
    inputs = (
        Input("synthetic", "This set, with augmentation", base, _evaluate(base, base["source"], own)),
        _random("random", "Random real images, with augmentation", base, others, own),
        _same_set("synthetic_plain", "This set, without augmentation", base, others, plain),
        _random("random_plain", "Random real images, without augmentation", base, others, plain),
    )
    gaps = {"IOR with augmentation": ("synthetic", "random"), "IOR without": ("synthetic_plain", "random_plain")}
    return _scored("ARS", augmentation_robust, inputs, gaps, accuracy)


def _scored(
    name: str,
    combine: Callable[..., float],
    inputs: tuple[Input, ...],
    gaps: Mapping[str, tuple[str, str]],
    accuracy: str,
) -> RobustScore:
    got = {each.name: each.found[accuracy] for each in inputs if each.found is not None}
    parts = {part: (got[a] - got[b]) / 100 for part, (a, b) in gaps.items() if a in got and b in got}
    return RobustScore(name, combine(**got) if len(got) == len(inputs) else None, parts, inputs)


def _training(base: Summary) -> EvaluateConfig:
    """Return the base's training; stored labels are a replay of those on the fly."""
    config = here_config(base)
    return config.replace(labels="on-the-fly", label_store="") if config.labels == "stored" else config


def _same_set(name: str, title: str, base: Summary, others: Sequence[Summary], config: EvaluateConfig) -> Input:
    found = _find(others, base, config, source=base["source"])
    return Input(name, title, found, _evaluate(base, base["source"], config))


def _random(name: str, title: str, base: Summary, others: Sequence[Summary], config: EvaluateConfig) -> Input:
    options = [*_data(base), *option_words(methods="random", ipc=base["ipc"]), *_options(base, config)]
    found = _find(others, base, config, method="random")
    return Input(name, title, found, shlex.join(["delt", "compare", *options]))


def _find(
    others: Sequence[Summary],
    base: Summary,
    config: EvaluateConfig,
    *,
    source: str | None = None,
    method: str | None = None,
    any_epochs: bool = False,
) -> Summary | None:
    """Return the evaluation that was trained with ``config`` on a source or a method's images, on equal terms."""
    alike = ["dataset_fingerprint", "class_names", "student", "student_width", "student_stem", "image_size"]
    alike += ["ipc"] if method != "real" else []
    alike += ["teacher_fingerprint"] if config.labels != "hard" else []
    wanted = _compared(config, any_epochs)
    fits = [
        other
        for other in others
        if all(other[name] == base[name] for name in alike)
        and (source is None or other["source"] == source)
        and (method is None or other["method"] == method)
        and _compared(here_config(other), any_epochs) == wanted
    ]
    return max(fits, key=lambda other: (other["epochs"] == config.epochs, len(other["seeds"])), default=None)


def _compared(config: EvaluateConfig, any_epochs: bool) -> dict[str, Any]:
    """Return what must be equal: the settings whatever recipe they came from."""
    aside = _STUDENT | _FREE | ({"epochs"} if any_epochs else set())
    if config.labels == "hard":  # temperature and the like have no effect
        aside |= {"temperature", "cross_entropy_weight"}
    replayed = {"labels": "on-the-fly"} if config.labels == "stored" else {}
    return config.model_dump(exclude=aside) | replayed


def _evaluate(base: Summary, source: str, config: EvaluateConfig) -> str:
    data = _data(base) if source == "real" else []
    return shlex.join(["delt", "evaluate", source, *data, *_options(base, config)])


def _data(base: Summary) -> list[str]:
    """Return the options that name the data; the size only where it is not the dataset's usual one."""
    usual = CATALOGUE.get(base["dataset"])
    is_usual = usual is not None and usual.image_size == base["image_size"]
    return option_words(dataset=base["dataset"], image_size=None if is_usual else base["image_size"])


def _options(base: Summary, config: EvaluateConfig) -> list[str]:
    """Return the options that set a training: recipe, what differs from it, student and seeds."""
    recipe = "hard" if config.labels == "hard" and base["recipe"] in ("delt", "hard") else base["recipe"]
    plain = EvaluateConfig.for_recipe(recipe).at_size(base["image_size"])
    width, stem, seeds = base["student_width"], base["student_stem"], len(base["seeds"])
    size = {"student_width": None if width == 1 else width, "student_stem": None if stem == "auto" else stem}
    return [
        *option_words(recipe=recipe, epochs=config.epochs, student=base["student"], **size),
        *changed_words(config, plain, without=_STUDENT | {"epochs"}),
        *option_words(seeds=seeds if seeds > 1 else None),
    ]
