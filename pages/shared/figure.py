"""Figures: a plain one, and one with two buttons that save it as PNG or SVG."""

from __future__ import annotations

import re

import plotly.graph_objects as go
import streamlit as st

from pages.shared.component import component

_save = component(
    "figure",
    html='<div class="tools">Save as <button type="button" class="save" data-format="png">PNG</button>'
    '<button type="button" class="save" data-format="svg">SVG</button></div>',
)
_CONFIG = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
}


def described(figure: go.Figure) -> str:
    """Say what a figure shows, for those who do not see it: its axes, and the names of what is drawn."""
    of = {"y": figure.select_yaxes(), "x": figure.select_xaxes()}
    axes = {name: list(dict.fromkeys(filter(None, (axis.title.text for axis in found)))) for name, found in of.items()}
    parts = [" over ".join(", ".join(titles) for titles in axes.values() if titles)]
    parts.append(", ".join(dict.fromkeys(trace.name for trace in figure.data if trace.name)))
    return re.sub(r"<[^>]*>", " ", "Chart. " + ": ".join(filter(None, parts)))


def draw(figure: go.Figure, key: str) -> None:
    """Draw a figure and the buttons that save it; the key is the chart's, and the name of the saved files.

    Plotly's own tools stand one below the other in a margin on the right, where they cover neither title nor legend.
    """
    figure.update_layout(modebar_orientation="v", margin_r=max(44, figure.layout.margin.r or 0))
    st.plotly_chart(figure, key=key, config=_CONFIG, alt=described(figure))
    name = re.sub(r"[^a-zA-Z0-9_-]", "-", key)
    _save(key=f"{key}/save", data={"figure": name, "filename": name})


def plain(figure: go.Figure, key: str) -> None:
    """Draw a figure without tools."""
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=described(figure))
