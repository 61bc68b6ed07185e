"""Figures of the early-versus-late lab: how alike the halves of a class are.

In the style of :mod:`delt_engine.plots.recovery`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from delt_engine.errors import ShapeError
from delt_engine.plots.recovery import NEUTRAL, ROUND_SCALE, blank_figure

EARLY_COLOUR, LATE_COLOUR = ROUND_SCALE[0], ROUND_SCALE[-1]
"""The halves have the colours of the first and the last round."""


def likeness_curves(iterations: Sequence[int], early: Sequence[float], late: Sequence[float]) -> go.Figure:
    """Draw how alike both halves of a class are along the run.

    Args:
        iterations: completed at each point; 0 is the real patches.
        early: mean cosine of the pairs of the early half.
        late: of the late half.

    Raises:
        ShapeError: not as many values as iterations.
    """
    if not len(iterations) == len(early) == len(late):
        raise ShapeError(f"likeness: {len(early)} and {len(late)} values given for {len(iterations)} iterations.")
    figure = blank_figure("Completed iterations", "Mean cosine in the half", height=280)
    halves = (("Early half", early, EARLY_COLOUR, "solid"), ("Late half", late, LATE_COLOUR, "dash"))
    for name, values, colour, dash in halves:
        figure.add_scatter(
            name=name,
            x=list(iterations),
            y=list(values),
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            marker={"size": 6},
            hovertemplate=f"{name} %{{y:.3f}} after %{{x}} iterations<extra></extra>",
        )
    figure.update_layout(showlegend=True)
    return figure


def likeness_pairs(classes: Mapping[str, tuple[float, float]]) -> go.Figure:
    """Draw early and late half of every class as two dots on a line, the largest gap towards early on top.

    Args:
        classes: mean cosine of the early and of the late half, by class name.
    """
    names = sorted(classes, key=lambda name: classes[name][0] - classes[name][1])
    figure = blank_figure("Mean cosine in the half", "", height=max(160, 26 * len(names) + 90))
    for name in names:
        figure.add_scatter(
            x=list(classes[name]),
            y=[name, name],
            mode="lines",
            line={"color": NEUTRAL, "width": 2},
            showlegend=False,
            hoverinfo="skip",
        )
    dots = (("Early half", EARLY_COLOUR, "circle"), ("Late half", LATE_COLOUR, "diamond"))
    for at, (title, colour, symbol) in enumerate(dots):
        figure.add_scatter(
            name=title,
            x=[classes[name][at] for name in names],
            y=names,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 11},
            hovertemplate=f"%{{y}}, {title.lower()}: %{{x:.3f}}<extra></extra>",
        )
    figure.update_layout(showlegend=True)
    return figure
