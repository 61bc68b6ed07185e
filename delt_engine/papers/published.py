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
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

from delt_engine.config.methods import METHOD_TITLES
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.config.students import EvaluateConfig, rand_augment_rule
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import CheckpointError
from delt_engine.models.card import read_card, teacher_files
from delt_engine.papers.names import our_network
from delt_engine.paths import assets_dir

PAPERS = {"delt": "DELT", "cda": "CDA"}
MAIN_TABLES = {
    "delt": ("Table 1", "Table 2", "Table 5"),
    "cda": ("Table 1", "Table 4", "Table 7", "Table 8", "Table 17"),
}
"""Tables that compare methods; the others are ablations."""

_ASIDE = ("implied", "reproduced", "recovery_iterations")
"""What a variant may say without being another method."""

ASSUMED: dict[tuple[str, str], dict[str, Any]] = {
    ("delt", "Table 4b"): {"ipc": 50},
    ("delt", "Table 10"): {"ipc": 50, "student": "resnet18"},
    ("delt", "Table 11"): {"ipc": 50, "student": "resnet18"},
    ("delt", "Table 12"): {"dataset": "imagenet-100", "ipc": 50, "student": "resnet18"},
    ("cda", "Table 1"): {"student": "resnet18"},
    ("cda", "Table 2"): {"ipc": 50},
    ("cda", "Table 3"): {"ipc": 50},
    ("cda", "Table 6"): {"ipc": 10},
    ("cda", "Table 11"): {"student": "resnet18"},
    ("cda", "Table 13"): {"student": "resnet18"},
    ("cda", "Table 18"): {"ipc": 50},
}
"""What tables leave open, filled in by equal numbers of other tables or the text around them.

Source: DELT Tables 10 to 12 have the level of Table 1's 67.9 (ImageNet-100, IPC 50, ResNet-18), Table 4b that of 4a at
IPC 50; CDA names one ResNet-18 throughout its appendix, IPC 50 for ImageNet-1K, and Table 6 has Table 4's value at
IPC 10.
"""

_OTHER_TITLES = {"minimax-diffusion": "MinimaxDiffusion", "full": "Full data", "": ""}
"""Methods that are not here and are not written in capitals."""

_ONLY_OWN_STUDENTS = ("Table 1", "Table 13")
"""Tables of CDA whose other methods had ConvNets as their students."""

_DELT_SEEDS = 3
_EVALUATED_ALIKE = ("delt", "cda-init", "rded")
"""Methods whose published evaluation is the same code: best tested epoch, ImageNet's statistics."""

_TRAINING_TITLES = {
    "lr_schedule": "Learning rate over epochs",
    "loss": "Loss",
    "temperature": "Temperature",
    "labels": "Labels",
    "mix": "Mix",
    "min_crop": "Smallest crop",
    "flip": "Flips",
    "shuffle_patches": "Shuffle tiles",
}
"""Settings of training that no table states."""

_JPEG = ("delt", "cda", "cda-init", "sre2l")
"""Methods whose published code writes JPEG at Pillow's default quality."""


@dataclass(frozen=True)
class PublishedValue:
    """One printed number, in percent for accuracies; ``variant`` is what its table varies, as ``key=value`` words.

    ``assumed`` names what its table leaves open and is filled in here; see :data:`ASSUMED`. A row of a figure that
    prints no number has not-a-number as its value.
    """

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
    assumed: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Paper and table, such as "DELT Table 1"."""
        return f"{PAPERS[self.source]} {self.table}"

    @property
    def method_title(self) -> str:
        """What the method is called."""
        return METHOD_TITLES.get(self.method) or _OTHER_TITLES.get(self.method, self.method.upper())

    @property
    def words(self) -> dict[str, str]:
        """The words of the variant."""
        return dict(word.split("=", 1) for word in self.variant.split())

    @property
    def is_printed(self) -> bool:
        """Whether there is a number."""
        return not math.isnan(self.value)

    @property
    def is_main(self) -> bool:
        """Whether it is from a comparison of methods and not from an ablation."""
        return self.table in MAIN_TABLES[self.source] and all(word in _ASIDE for word in self.words)


class Difference(NamedTuple):
    """A setting that differs: its name, what it is here, and what was published."""

    name: str
    here: str
    published: str


@lru_cache(maxsize=1)
def all_published() -> tuple[PublishedValue, ...]:
    """Return every printed number, in the order of the papers."""
    with (assets_dir() / "published" / "results.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_read(row) for row in csv.DictReader(file))


def _read(row: Mapping[str, str]) -> PublishedValue:
    value = PublishedValue(
        value=float(row["value"]),
        std=float(row["std"]) if row["std"] else None,
        ipc=int(row["ipc"]) if row["ipc"] else None,
        student=row["eval_model"],
        teacher=row["recover_model"],
        **{name: row[name] for name in ("method", "variant", "source", "table", "dataset", "metric")},
    )
    known = ASSUMED.get((value.source, value.table), {}) if value.metric == "top1" else {}
    if value.table in _ONLY_OWN_STUDENTS and value.method != "cda":
        known = {}
    filled = {name: given for name, given in known.items() if not getattr(value, name)}
    return replace(value, method=_our_method(value), assumed=tuple(filled), **filled)


def _our_method(value: PublishedValue) -> str:
    """Return our name of a printed method: with real patches to start from, and with EarlyLate on CDA, it has its own.

    Source: DELT Table 4d writes ``init=delt``, Table 9 ``init=yes``; Table 3 has EarlyLate from noise.
    """
    starts_real = value.words.get("init") in ("yes", "delt")
    if value.method in ("cda", "sre2l") and starts_real:
        return f"{value.method}-init"
    if value.words.get("base") == "cda" and value.words.get("init") == "none":
        return "cda-early-late"
    return value.method


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
    """Return what was printed for a dataset of the catalogue, images per class and student such as ``convnet-4``.

    ``ipc`` is None for numbers on the whole set, ``metric`` is ``top1`` or ``top5``. Without a method all are found.
    """
    return tuple(
        value
        for value in all_published()
        if (value.dataset, value.ipc, our_network(value.student), value.metric) == (dataset, ipc, student, metric)
        and (method is None or value.method == method)
        and (with_ablations or value.is_main)
    )


def published_like(summary: Mapping[str, Any]) -> tuple[PublishedValue, ...]:
    """Return what was printed for the dataset, images per class, student and method of an evaluate run's ``result``.

    Nothing where only some of the dataset's classes were told apart, which is easier than what the papers do.
    """
    entry = find_entry(summary["dataset"])
    if entry is None or len(summary["class_names"]) != entry.num_classes:
        return ()
    return published(summary["dataset"], summary["ipc"], summary["student"], summary["method"])


def settings_that_differ(summary: Mapping[str, Any], method: str | None = None) -> list[Difference]:
    """Return in what an evaluate run's ``result`` differs from how the published accuracy of a method was measured.

    The method is the run's own when not given; without a publication there is nothing to differ from.
    """
    paper = _paper(method or summary["method"], summary["dataset"])
    if paper is None:
        return []
    rows = (row for part in (_training, _networks, _images, _reported) for row in part(summary, paper))
    texts = [Difference(name, _text(here), _text(there)) for name, here, there in rows if there is not None]
    return [row for row in texts if row.here != row.published]


def here_config(summary: Mapping[str, Any]) -> EvaluateConfig:
    """Return the settings of an evaluation: its recipe at the size of its images, with what was changed."""
    changed = {name: pair[1] for name, pair in summary["changes"].items()}
    if changed.get("labels") == "stored":
        changed["label_store"] = "as evaluated"  # the folder is not part of the result
    return EvaluateConfig.for_recipe(summary["recipe"], **changed).at_size(summary["image_size"])


@dataclass(frozen=True)
class _Paper:
    """How a method's published accuracy was measured; ``stated`` and ``recover`` are its tables' own words."""

    method: str
    config: EvaluateConfig
    stated: Mapping[str, Any]
    recover: Mapping[str, Any]


def _paper(method: str, dataset: str) -> _Paper | None:
    """Return the settings of a method's publication, None where there is none.

    SRe2L and RDED are not in our tables' settings, so their recipes stand for them.
    """
    if method in ("sre2l", "rded"):
        return _Paper(method, EvaluateConfig.for_recipe(method), {}, {})
    source = {"delt": "delt", "cda": "cda", "cda-init": "delt"}.get(method, "")
    tables = published_settings().get(source, {}).get(dataset)
    if not tables:
        return None
    recipe = EvaluateConfig.for_recipe("delt" if source == "delt" else "sre2l")
    return _Paper(method, recipe, tables["validate"], tables["recover"])


Row = tuple[str, Any, Any]
"""Name of a setting, what it is here, and what was published; None where that is not known."""


def _training(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Row]:
    """Yield the settings of the student's training: those a table states, then those of the code."""
    config, stated, recipe = here_config(summary), paper.stated, paper.config
    batch = stated.get("batch_size", recipe.batch_size)
    rate = stated.get("base_lr", recipe.learning_rate)
    if isinstance(batch, Mapping):
        batch = batch.get(f"ipc{summary['ipc']}")
    if isinstance(rate, Mapping):
        rate = rate.get(summary["student"], rate.get("default"))
    yield "Epochs", summary["epochs"], stated.get("training_epoch", recipe.epochs)
    yield "Batch size", summary["batch_size"], batch
    yield "Learning rate", summary["learning_rate"], rate
    yield "Optimiser", config.optimizer, str(stated.get("optimizer", recipe.optimizer)).lower()
    yield "Weight decay", config.weight_decay, stated.get("weight_decay", recipe.weight_decay)
    theirs = recipe.at_size(summary["image_size"])
    for name, title in _TRAINING_TITLES.items():
        yield title, getattr(config, name), getattr(theirs, name)
    auto = rand_augment_rule(summary["dataset"], summary["image_size"])
    here, there = (auto if name == "auto" else name for name in (config.rand_augment, recipe.rand_augment))
    if own := stated.get("randaugment"):
        there = f"m{own['m']}-n{own['n']}-mstd{own['mstd']:g}"
    yield "RandAugment", here, there


def _networks(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Row]:
    """Yield the size of the images, teacher and student; published ones have their full width."""
    entry = find_entry(summary["dataset"])
    if entry is not None:
        yield "Image size", f"{summary['image_size']} px", f"{entry.image_size} px"
    width = summary["student_width"]
    yield "Width of the student", 1.0 if width is None else float(width), 1.0
    for _, path in teacher_files():
        with contextlib.suppress(CheckpointError):  # a damaged file hides no other one
            card = read_card(path)
            if card.fingerprint == summary["teacher_fingerprint"]:
                own = card.network if card.width == 1 else f"{card.network}, width {card.width:g}"
                is_convnet = paper.method == "delt" and summary["student"].startswith("convnet")
                yield "Teacher", own, summary["student"] if is_convnet else "resnet18"
                return


def _images(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Row]:
    """Yield how the images were made; a real or foreign set has no such settings."""
    ipc, made, total = summary["ipc"], summary.get("image_iterations"), paper.recover.get("recovery_iteration")
    if made and isinstance(total, int) and ipc:
        mean: float = total
        if paper.method == "delt" and ipc == 1:
            student = summary["student"].replace("convnet-", "convnet")
            mean = paper.recover.get("ipc1_recovery_iterations", {}).get(student) or total
        elif paper.method == "delt":
            mean = EarlyLateSchedule(ipc, total, paper.recover["round_iteration"]).image_iterations(1) / ipc
        yield "Iterations an image, mean", f"{made / summary['images']:,.0f}", f"{mean:,.0f}"
    if summary["method"] not in ("real", "folder") and paper.method in _JPEG:
        yield "Image files", "PNG", "JPEG, quality 75 (published code)"


def _reported(summary: Mapping[str, Any], paper: _Paper) -> Iterator[Row]:
    """Yield how the accuracy is reported, as far as the method's published code says it."""
    seeds = len(summary["seeds"])
    if paper.method in ("delt", "cda-init") and seeds != _DELT_SEEDS:
        yield "Seeds", seeds, f"{_DELT_SEEDS} (published code)"
    if paper.method in _EVALUATED_ALIKE:
        yield "Accuracy", "last epoch, the best beside it", "best of the tested epochs (published code)"
        yield "Statistics of the images", "the dataset's own", "ImageNet's for every set (published code)"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
