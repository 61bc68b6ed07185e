"""Figure of continual learning: accuracy over the classes seen so far, a line a set of images, a band over orders.

Source: DELT Fig. 8, CDA Fig. 7. The band is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from delt_engine.plots.style import NEUTRAL, add_line, blank_figure, method_colour

MOST_TICKS = 20
"""Steps up to which each has a tick of its own."""


@dataclass(frozen=True)
class Learned:
    """Continual learning as it is drawn: all three have one entry a step.

    Attributes:
        label: the images, told apart from others; ``method`` gives the colour.
        seen: number of classes so far.
        top1: mean over the orders, percent; ``spread`` is the sample standard deviation, 0 for one order.
        is_published: printed in a paper, not measured here.
    """

    label: str
    method: str
    seen: Sequence[int]
    top1: Sequence[float]
    spread: Sequence[float] = ()
    is_published: bool = False


def accuracy_over_classes(lines: Sequence[Learned]) -> go.Figure:
    """Draw the accuracy over the classes seen, and chance, which falls with their number."""
    figure = blank_figure("Classes seen", "Top-1 on the test images of these classes (%)", 380)
    for one in lines:
        colour, legend = method_colour(one.method), f"{one.label}-{one.is_published}"
        if any(one.spread):
            pairs = list(zip(one.top1, one.spread, strict=True))
            upper, lower = (
                [min(top + more, 100.0) for top, more in pairs],
                [max(top - more, 0.0) for top, more in pairs],
            )
            figure.add_scatter(
                x=[*one.seen, *reversed(one.seen)],
                y=[*upper, *reversed(lower)],
                mode="lines",
                fill="toself",
                fillcolor=colour,
                opacity=0.14,
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=legend,
            )
        add_line(
            figure,
            one.label,
            one.seen,
            one.top1,
            colour,
            dash="dash" if one.is_published else "solid",
            marker={"symbol": "circle-open" if one.is_published else "circle", "size": 7},
            hover=f"{one.label}, %{{x}} classes: %{{y:.1f}} %",
            legendgroup=legend,
        )
    seen = sorted({count for one in lines for count in one.seen})
    if len(seen) <= MOST_TICKS:
        figure.update_xaxes(tickvals=seen)
    chance = [100.0 / count for count in seen]
    add_line(figure, "Chance", seen, chance, NEUTRAL, dash="dot", width=1, hover="Chance: %{y:.1f} %")
    figure.update_yaxes(range=[0, 102])
    return figure.update_layout(showlegend=True)
