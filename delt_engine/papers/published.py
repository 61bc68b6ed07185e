"""What the papers print: their accuracies, and in what an evaluation here differs from the way they were measured.

A published accuracy is only drawn beside a measured one for the same dataset, images per class and student, and never
without the settings that differ.

Source: DELT Tables 1 to 12 and CDA Tables 1 to 20, copied to assets/published; what their tables do not state is from
the published evaluation code and says so.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from delt_engine.config.methods import METHOD_TITLES
from delt_engine.config.students import EvaluateConfig
from delt_engine.papers.names import our_network
from delt_engine.paths import assets_dir

PAPERS = {"delt": "DELT", "cda": "CDA"}
MAIN_TABLES = {
    "delt": ("Table 1", "Table 2", "Table 5"),
    "cda": ("Table 1", "Table 4", "Table 7", "Table 8", "Table 17"),
}
"""Tables that compare methods; the others are ablations."""

_ASIDE = ("implied", "reproduced", "recovery_iterations", "epochs")
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


@dataclass(frozen=True)
class PublishedValue:
    """One printed number, in percent for accuracies; ``variant`` is what its table varies, as ``key=value`` words.

    ``assumed`` names what its table leaves open and is filled in here; see :data:`ASSUMED`. A row of a figure that
    prints no number has not-a-number as its value. ``printed`` and ``printed_std`` are the numbers as they are written.
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
    printed: str = ""
    printed_std: str = ""

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
        method=row["method"],
        variant=row["variant"],
        source=row["source"],
        table=row["table"],
        dataset=row["dataset"],
        metric=row["metric"],
        printed=row["value"],
        printed_std=row["std"],
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
    if value.method == "g-vbsm":
        return "gvbsm"
    starts_real = value.words.get("init") in ("yes", "delt")
    if value.method in ("cda", "sre2l") and starts_real:
        return f"{value.method}-init"
    if value.words.get("base") == "cda" and value.words.get("init") == "none":
        return "cda-early-late"
    return value.method


def printed_with_spread(value: PublishedValue) -> str:
    """Return a number as its paper prints it, with its spread; "" where a figure prints none.

    >>> [printed_with_spread(value) for value in all_published() if value.value in (16.6, 46.3, 0.195)]
    ['16.6 ± 0.9', '0.195', '46.30']
    """
    return " ± ".join(filter(None, (value.printed, value.printed_std)))


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


def here_config(summary: Mapping[str, Any]) -> EvaluateConfig:
    """Return the settings of an evaluation: its recipe at the size of its images, with what was changed."""
    changed = {name: pair[1] for name, pair in summary["changes"].items()}
    if changed.get("labels") == "stored":
        changed["label_store"] = "as evaluated"  # the folder is not part of the result
    return EvaluateConfig.for_recipe(summary["recipe"], **changed).at_size(summary["image_size"])
