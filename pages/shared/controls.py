"""Widgets drawn from the settings' own records: default, limits, wording and origin stand in config.py only."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import streamlit as st

from delt_engine.config import FieldSpec, Settings, field_specs
from pages.shared.session import prime

_SHORT = 22
"""Letters of all choices together up to which they stand side by side."""

_WIDTH = 170
"""Least width of a setting among others, CSS pixels."""


def setting(spec: FieldSpec, value: Any, page: str, *, compact: bool = False) -> Any:
    """Draw one setting and return the reader's value; the widget's key is "<page>/<name>".

    Args:
        spec: the setting as its record declares it.
        value: what it is now.
        page: first part of the key.
        compact: draw a choice as a list that opens, for narrow places.
    """
    key = f"{page}/{spec.name}"
    now = prime(key, value)
    shared: dict[str, Any] = {"label": spec.title, "key": key, "help": help_text(spec)}
    if spec.kind == "bool":
        return st.toggle(value=now, **shared)
    if spec.kind == "choice":
        if not compact and sum(map(len, spec.choices)) <= _SHORT:
            return st.segmented_control(options=spec.choices, default=now, required=True, wrap=True, **shared)
        return st.selectbox(options=spec.choices, index=spec.choices.index(now), **shared)
    if spec.kind == "int":
        low, high = int(spec.minimum or 0), None if spec.maximum is None else int(spec.maximum)
        return int(st.number_input(value=now, min_value=low, max_value=high, step=1, **shared))
    if spec.kind == "float":
        low, high = float(spec.minimum or 0.0), None if spec.maximum is None else float(spec.maximum)
        return float(st.number_input(value=now, min_value=low, max_value=high, step=_step(spec), format="%g", **shared))
    return st.text_input(value=now, **shared)


def settings(record: Settings, names: Iterable[str], page: str, *, compact: bool = False) -> dict[str, Any]:
    """Draw settings of a record one after the other and return their values by name."""
    specs = {spec.name: spec for spec in field_specs(type(record))}
    return {name: setting(specs[name], getattr(record, name), page, compact=compact) for name in names}


def settings_grid(record: Settings, names: Iterable[str], page: str) -> dict[str, Any]:
    """Draw settings of a record side by side, as many in a line as fit, and return their values by name."""
    with st.grid(min_column_width=_WIDTH, vertical_alignment="bottom"):
        return settings(record, names, page, compact=True)


def names_behind_more(record: type[Settings], leave_out: Iterable[str] = ()) -> list[str]:
    """Return the settings of a record that belong under "more", in order."""
    left_out = set(leave_out)
    return [spec.name for spec in field_specs(record) if spec.more and spec.name not in left_out]


def spec_of(record: type[Settings], name: str) -> FieldSpec:
    """Return the spec of one setting."""
    return next(spec for spec in field_specs(record) if spec.name == name)


def help_text(spec: FieldSpec) -> str:
    """Return a setting's help with its default and the place the default is from."""
    source = f" ({spec.source})" if spec.source else ""
    default = "" if spec.default is None else f" Default: {spec.default}{source}."
    return f"{spec.help}{default}"


def _step(spec: FieldSpec) -> float:
    """Return a step that suits the default's size."""
    size = abs(float(spec.default)) or 1.0
    return 10.0 ** (math.floor(math.log10(size)) - 1)
