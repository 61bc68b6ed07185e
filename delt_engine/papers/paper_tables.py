"""Every table and figure of the two papers as data: what it shows, by which axes, and which printed numbers are in it.

Printed numbers are rows of assets/published/results.csv. A figure without printed numbers lists what it shows instead,
as rows without a value. Axes are what :func:`axis` knows: a column of that file, or a word of its variants.

Source: DELT Tables 1 to 12 and Figures 1 to 12; CDA Tables 1 to 21 and Figures 1 to 11. Drawings of the method (DELT
Figures 1 and 3 to 5; CDA Figures 3 and 4) and more images (CDA Figures 8 to 11) hold no numbers and say what shows the
like here.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from delt_engine.data.catalogue import CATALOGUE
from delt_engine.errors import ConfigError
from delt_engine.papers.cda_tables import CDA_TABLES
from delt_engine.papers.delt_tables import DELT_TABLES
from delt_engine.papers.names import network_title
from delt_engine.papers.published import PublishedValue, all_published
from delt_engine.papers.table_record import PaperTable

_ATTRIBUTES = ("dataset", "ipc", "method", "student", "teacher", "metric")

TABLES = (*DELT_TABLES, *CDA_TABLES)
"""In the order of the papers, tables before figures."""


def find_table(table_id: str) -> PaperTable:
    """Return a table or figure by its id.

    Raises:
        ConfigError: there is none of that name.
    """
    known = {table.id: table for table in TABLES}
    if table_id not in known:
        near = difflib.get_close_matches(table_id, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`delt papers` lists them."
        raise ConfigError(f"table: {table_id!r} given, but there is no table or figure of that name; {hint}")
    return known[table_id]


@lru_cache(maxsize=64)
def rows_of(table: PaperTable) -> tuple[PublishedValue, ...]:
    """Return the printed numbers of a table, then what else it shows as rows whose value is not a number."""
    labels = table.numbers or (table.label,)
    printed = (one for one in all_published() if one.source == table.paper and one.table in labels)
    return (*printed, *(_row(table, shown) for shown in table.shows))


def _row(table: PaperTable, shown: Mapping[str, Any]) -> PublishedValue:
    names = {name: shown.get(name, "") for name in ("dataset", "method", "metric", "student", "teacher")}
    words = " ".join(f"{name}={value}" for name, value in shown.items() if name not in (*names, "ipc"))
    return PublishedValue(
        variant=words, value=math.nan, std=None, source=table.paper, table=table.label, ipc=shown["ipc"], **names
    )


def axis(value: PublishedValue, name: str) -> str:
    """Return where a number stands on an axis, as printed; "" where it has no place on it.

    >>> [axis(one, "RI") for one in rows_of(find_table("delt-4c"))][:2]
    ['500', '1000']
    """
    if name in _ATTRIBUTES:
        found = getattr(value, name)
        return "" if found is None else str(found)
    return value.words.get(name, "")


_AXIS_TITLES = {
    "dataset": "Dataset",
    "ipc": "IPC",
    "method": "Method",
    "student": "Student",
    "teacher": "Recovery network",
    "metric": "Measure",
    "alpha": "Alpha",
    "batch_size": "Batch size",
    "classes": "Classes",
    "crop": "Crop range",
    "crop_lower": "Lower bound",
    "epochs": "Epochs",
    "init": "Begun from",
    "milestone": "Milestone",
    "order": "Order",
    "patches": "Patches",
    "recipe": "Recipe",
    "recovery_iterations": "Iterations",
    "relabel": "Relabelled by",
    "scheduler": "Curriculum",
    "selection": "Selection",
    "steps": "Steps",
    "type": "Constant crops",
}

_WORDS = {"best-of-resnet18-densenet121": "The better of two", "cda": "CDA", "ridnik": "Ridnik et al."}
_WORDS |= {"delt": "DELT", "imagenet-1k": "ImageNet-1K"}

METRIC_TITLES = {
    "top1": "Top-1, %",
    "top5": "Top-5, %",
    "hours": "Hours",
    "params_m": "Parameters, M",
    "cosine": "Cosine within a class",
    "images": "Images",
    "whole": "Whole image, %",
    "crops": "Ten crops, %",
}
"""What a number is."""


def axis_title(name: str) -> str:
    """Return what an axis is called.

    >>> axis_title("dataset"), axis_title("RI")
    ('Dataset', 'RI')
    """
    return _AXIS_TITLES.get(name, name)


def axis_label(value: PublishedValue, name: str) -> str:
    """Return where a number stands on an axis, for people."""
    text = axis(value, name)
    if name == "method":
        return value.method_title
    if name == "dataset" and text in CATALOGUE:
        return CATALOGUE[text].title
    if name == "metric":
        return METRIC_TITLES[text]
    if name in ("student", "teacher", "relabel"):
        return network_title(text)
    return f"{int(text):,}" if text.isdigit() else _WORDS.get(text, text[:1].upper() + text[1:])


def place(value: PublishedValue, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return where a number stands on several axes."""
    return tuple(axis(value, name) for name in names)
