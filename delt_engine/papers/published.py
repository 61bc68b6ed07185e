"""What the papers print: their accuracies, and in what an evaluation here differs from the way they were measured.

A published accuracy is only drawn beside a measured one for the same dataset, images per class and student, and never
without the settings that differ.

Source: DELT Tables 1 to 12 and CDA Tables 1 to 20, copied to assets/published; what their tables do not state is from
the published evaluation code and says so.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from delt_engine.config.methods import METHOD_TITLES
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.config.students import EvaluateConfig, rand_augment_rule
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import CheckpointError
from delt_engine.models.card import TeacherCard, read_card, teacher_files
from delt_engine.paths import assets_dir

PAPERS = {"delt": "DELT", "cda": "CDA"}
MAIN_TABLES = {
    "delt": ("Table 1", "Table 2", "Table 5"),
    "cda": ("Table 1", "Table 4", "Table 7", "Table 8", "Table 17"),
}
"""Tables that compare methods; the others are ablations."""

_ASIDE = ("implied", "reproduced", "recovery_iterations")
"""What a variant may say without being another method."""

_DELT_SEEDS = 3
_EVALUATED_ALIKE = ("delt", "cda-init", "rded")
"""Methods whose published evaluation is the same code: best tested epoch, ImageNet's statistics."""

_JPEG = ("delt", "cda", "cda-init", "sre2l")
"""Methods whose published code writes JPEG at Pillow's default quality."""


@dataclass(frozen=True)
class PublishedValue:
    """One printed number, in percent for accuracies; ``variant`` is what its table varies, as ``key=value`` words."""

    method: str
    variant: str
    value: float
    std: float | None
    source: str
    table: str
    dataset: str
    ipc: int | None
    student: str
    teacher: str
    metric: str

    @property
    def where(self) -> str:
        """Paper and table, such as "DELT Table 1"."""
        return f"{PAPERS[self.source]} {self.table}"

    @property
    def method_title(self) -> str:
        """What the method is called."""
        return METHOD_TITLES.get(self.method, self.method.upper())

    @property
    def is_main(self) -> bool:
        """Whether it is from a comparison of methods and not from an ablation."""
        words = (word.partition("=")[0] for word in self.variant.split())
        return self.table in MAIN_TABLES[self.source] and all(word in _ASIDE for word in words)


class Difference(NamedTuple):
    """A setting that differs: its name, what it is here, and what was published."""

    name: str
    here: str
    published: str


@lru_cache(maxsize=1)
def all_published() -> tuple[PublishedValue, ...]:
    """Return every printed number, in the order of the papers."""
    with (assets_dir() / "published" / "results.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_value(row) for row in csv.DictReader(file))


@lru_cache(maxsize=1)
def published_settings() -> dict[str, Any]:
    """Return the hyper-parameter tables: paper, dataset, stage (squeeze, recover, validate)."""
    return json.loads((assets_dir() / "published" / "settings.json").read_text(encoding="utf-8"))


def published(
    dataset: str,
    ipc: int | None,
    student: str,
    method: str | None = None,
    *,
    metric: str = "top1",
    with_ablations: bool = False,
) -> tuple[PublishedValue, ...]:
    """Return what was printed for a dataset, images per class and student.

    Args:
        dataset: name in the catalogue.
        ipc: images per class; None for numbers on the whole set.
        student: network, such as ``resnet18`` or ``convnet-4``.
        method: one method; ``cda-init`` finds CDA's ablation with real patches. All when not given.
        metric: ``top1`` or ``top5``.
        with_ablations: also numbers of ablations.
    """
    student = student.replace("-", "") if student.startswith("convnet-") else student
    found = (
        value
        for value in all_published()
        if (value.dataset, value.ipc, value.student, value.metric) == (dataset, ipc, student, metric)
        and (method is None or value.method == method)
        and (with_ablations or value.is_main or value.method == "cda-init")
    )
    return tuple(found)


def published_like(summary: Mapping[str, Any]) -> tuple[PublishedValue, ...]:
    """Return what was printed for an evaluation's dataset, images per class, student and method.

    Nothing where only some of the dataset's classes were told apart, which is easier than what the papers do.

    Args:
        summary: the ``result`` of an evaluate run.
    """
    entry = find_entry(summary["dataset"])
    if entry is None or len(summary["class_names"]) != entry.num_classes:
        return ()
    return published(summary["dataset"], summary["ipc"], summary["student"], summary["method"])


def settings_that_differ(summary: Mapping[str, Any], method: str | None = None) -> list[Difference]:
    """Return in what an evaluation differs from how the method's published accuracy was measured.

    Args:
        summary: the ``result`` of an evaluate run.
        method: whose publication; the evaluation's own when not given. Without one there is nothing to differ from.
    """
    method = method or summary["method"]
    paper = _paper(method, summary["dataset"])
    if paper is None:
        return []
    rows = [*_training(summary, paper), *_networks(summary, paper), *_images(summary, paper), *_telling(summary, paper)]
    return [Difference(name, here, there) for name, here, there in rows if here != there]


def _value(row: Mapping[str, str]) -> PublishedValue:
    method, variant = row["method"], row["variant"]
    if method == "cda" and "init=yes" in variant.split():
        method = "cda-init"
    return PublishedValue(
        method=method,
        variant=variant,
        value=float(row["value"]),
        std=float(row["std"]) if row["std"] else None,
        source=row["source"],
        table=row["table"],
        dataset=row["dataset"],
        ipc=int(row["ipc"]) if row["ipc"] else None,
        student=row["eval_model"],
        teacher=row["recover_model"],
        metric=row["metric"],
    )


@dataclass(frozen=True)
class _Paper:
    """How a method's published accuracy was measured; ``stated`` and ``recover`` are its tables' own words."""

    config: EvaluateConfig
    stated: Mapping[str, Any]
    recover: Mapping[str, Any]
    method: str


def _paper(method: str, dataset: str) -> _Paper | None:
    """Return the settings of a method's publication, None where there is none.

    SRe2L and RDED are not in our tables' settings, so their recipes stand for them.
    """
    source = {"delt": "delt", "cda": "cda", "cda-init": "delt"}.get(method)
    tables = published_settings().get(source, {}).get(dataset, {}) if source else {}
    if source and tables:
        recipe = "delt" if source == "delt" else "sre2l"
        return _Paper(EvaluateConfig.for_recipe(recipe), tables["validate"], tables["recover"], method)
    if method in ("sre2l", "rded"):
        return _Paper(EvaluateConfig.for_recipe(method), {}, {}, method)
    return None


def _training(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Difference]:
    """Yield the settings of the student's training: those a table states, then those of the code."""
    config, stated = here_config(summary), paper.stated
    theirs = paper.config.at_size(summary["image_size"])
    epochs = stated.get("training_epoch", paper.config.epochs)
    yield Difference("Epochs", _number(summary["epochs"]), _number(epochs))
    batch = _of_ipc(stated.get("batch_size", paper.config.batch_size), summary["ipc"])
    if batch is not None:
        yield Difference("Batch size", _number(summary["batch_size"]), _number(batch))
    rate = _of_student(stated.get("base_lr", paper.config.learning_rate), summary["student"])
    if rate is not None:
        yield Difference("Learning rate", f"{summary['learning_rate']:g}", f"{rate:g}")
    optimizer = str(stated.get("optimizer", paper.config.optimizer)).lower()
    yield Difference("Optimiser", config.optimizer, optimizer)
    decay = stated.get("weight_decay", paper.config.weight_decay)
    yield Difference("Weight decay", f"{config.weight_decay:g}", f"{decay:g}")
    for name, title in (
        ("lr_schedule", "Learning rate over epochs"),
        ("loss", "Loss"),
        ("temperature", "Temperature"),
        ("labels", "Labels"),
        ("mix", "Mix"),
        ("min_crop", "Smallest crop"),
        ("flip", "Flips"),
        ("shuffle_patches", "Shuffle tiles"),
    ):
        yield Difference(title, _plain(getattr(config, name)), _plain(getattr(theirs, name)))
    yield Difference("RandAugment", *_rand_augment(summary, config, paper))


def here_config(summary: Mapping[str, Any]) -> EvaluateConfig:
    """Return the settings of an evaluation: its recipe at the size of its images, with what was changed."""
    changed = {name: pair[1] for name, pair in summary["changes"].items()}
    if changed.get("labels") == "stored":
        changed["label_store"] = "as evaluated"  # the folder is not part of the result
    return EvaluateConfig.for_recipe(summary["recipe"], **changed).at_size(summary["image_size"])


def _rand_augment(summary: Mapping[str, Any], config: EvaluateConfig, paper: _Paper) -> tuple[str, str]:
    auto = rand_augment_rule(summary["dataset"], summary["image_size"])
    here = auto if config.rand_augment == "auto" else config.rand_augment
    stated = paper.stated.get("randaugment")
    if stated:
        return here, f"m{stated['m']}-n{stated['n']}-mstd{stated['mstd']:g}"
    there = paper.config.rand_augment
    return here, auto if there == "auto" else there


def _networks(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Difference]:
    """Yield the size of the images, teacher and student; published ones have their full width."""
    entry = find_entry(summary["dataset"])
    if entry is not None:
        yield Difference("Image size", f"{summary['image_size']} px", f"{entry.image_size} px")
    width = summary["student_width"]
    yield Difference("Width of the student", f"{1.0 if width is None else width:g}", "1")
    card = next((card for card in _cards() if card.fingerprint == summary["teacher_fingerprint"]), None)
    if card is not None:
        own = f"{card.network}" if card.width == 1 else f"{card.network}, width {card.width:g}"
        is_convnet = paper.method == "delt" and summary["student"].startswith("convnet")
        yield Difference("Teacher", own, summary["student"] if is_convnet else "resnet18")


def _cards() -> Iterator[TeacherCard]:
    """Yield the cards of all teachers; a damaged file hides no other one."""
    for _, path in teacher_files():
        with contextlib.suppress(CheckpointError):
            yield read_card(path)


def _images(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Difference]:
    """Yield how the images were made; a real or foreign set has no such settings."""
    made, count = summary.get("image_iterations"), summary["images"]
    total = paper.recover.get("recovery_iteration")
    if made and isinstance(total, int) and summary["ipc"]:
        mean = total
        if paper.method == "delt":
            schedule = EarlyLateSchedule(summary["ipc"], *_rounds(paper, summary), early_late=summary["ipc"] > 1)
            mean = schedule.image_iterations(1) / summary["ipc"]
        yield Difference("Iterations an image, mean", f"{made / count:,.0f}", f"{mean:,.0f}")
    if summary["method"] not in ("real", "folder") and paper.method in _JPEG:
        yield Difference("Image files", "PNG", "JPEG, quality 75 (published code)")


def _rounds(paper: _Paper, summary: Mapping[str, Any]) -> tuple[int, int]:
    if summary["ipc"] == 1:
        own = paper.recover.get("ipc1_recovery_iterations", {}).get(summary["student"].replace("convnet-", "convnet"))
        total = own or paper.recover["recovery_iteration"]
        return total, total
    return paper.recover["recovery_iteration"], paper.recover["round_iteration"]


def _telling(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Difference]:
    """Yield how the accuracy is told, as far as the method's published code says it."""
    seeds = len(summary["seeds"])
    if paper.method in ("delt", "cda-init") and seeds != _DELT_SEEDS:
        yield Difference("Seeds", _number(seeds), f"{_DELT_SEEDS} (published code)")
    if paper.method in _EVALUATED_ALIKE:
        yield Difference("Accuracy", "last epoch, the best beside it", "best of the tested epochs (published code)")
        yield Difference("Statistics of the images", "the dataset's own", "ImageNet's for every set (published code)")


def _of_ipc(value: Any, ipc: int | None) -> int | None:
    return value.get(f"ipc{ipc}") if isinstance(value, Mapping) else value


def _of_student(value: Any, student: str) -> float | None:
    return value.get(student, value.get("default")) if isinstance(value, Mapping) else value


def _number(value: float) -> str:
    return f"{value:,}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
