"""A figure with two buttons that save it as PNG or SVG."""

from __future__ import annotations

import re
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st

_HERE = Path(__file__).resolve().parent / "components"
_HTML = (
    '<div class="tools">Save as <button type="button" data-format="png">PNG</button>'
    '<button type="button" data-format="svg">SVG</button></div>'
)
_component = st.components.v2.component(
    "delt.figure_download",
    html=_HTML,
    css=(_HERE / "figure.css").read_text(encoding="utf-8"),
    js=(_HERE / "figure.js").read_text(encoding="utf-8"),
)
_CONFIG = {
    "displaylogo": False,
    "displayModeBar": "hover",
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
}


def draw(figure: go.Figure, key: str) -> None:
    """Draw a figure and the buttons that save it.

    Args:
        figure: what to draw.
        key: the chart's key; also the name of the saved files.
    """
    st.plotly_chart(figure, key=key, config=_CONFIG)
    name = re.sub(r"[^a-zA-Z0-9_-]", "-", key)
    _component(key=f"{key}/save", data={"figure": name, "filename": name})
