"""The papers' tables of settings, as they print them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from delt_engine.data.catalogue import find_entry
from delt_engine.papers.published import published_settings
from delt_engine.papers.table_record import PaperTable
from pages.shared import controls
from pages.shared.wording import sentence

_DATASETS = {"cda-10": "cifar100", "cda-12": "tiny-imagenet", "cda-16": "imagenet-1k", "cda-21": "imagenet-21k"}
"""CDA has a table a dataset; DELT one of all."""

_STAGES = {"squeeze": "Squeeze", "recover": "Recover", "validate": "Students"}


def draw(table: PaperTable) -> None:
    """Draw a table of settings: one row a setting, one column a dataset."""
    printed = published_settings()[table.paper]
    datasets = [_DATASETS[table.id]] if table.id in _DATASETS else list(printed)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for dataset in datasets:
        entry = find_entry(dataset)
        for stage, settings in printed[dataset].items():
            for name, value in settings.items():
                title = sentence(name.replace("_", " "))
                row = rows.setdefault((stage, name), {"Stage": _STAGES[stage], "Setting": title})
                row[entry.title if entry else dataset] = words(value)
    controls.table(list(rows.values()))
    st.caption("Every form and command takes them with a preset: `--preset` of `delt squeeze`, `recover`, `evaluate`.")


def words(value: Any) -> str:
    """Return a printed setting in words.

    >>> words({"ipc1": 10, "ipc10": 50}), words([0.5, 0.9])
    ('ipc1: 10, ipc10: 50', '0.5, 0.9')
    """
    if isinstance(value, dict):
        return ", ".join(f"{name}: {words(own)}" for name, own in value.items())
    return ", ".join(map(words, value)) if isinstance(value, list) else str(value)
