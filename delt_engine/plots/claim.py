"""Figures of EarlyLate's claim: a line a class, with a dot a method, or one a kind of pair inside a DELT run.

Similarities are cosines; the axis ends at 1 and is at least 0.05 wide, so that a small difference looks small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from delt_engine.lab.claim import Claim, Pairs
from delt_engine.plots.style import NEUTRAL, ROUND_SCALE, SYMBOLS, add_spans, blank_figure, method_colour

NARROWEST = 0.05
MOST_CLASSES = 40
"""Classes named in a figure."""


def claim_dots(claim: Claim, here: str = "") -> go.Figure:
    """Draw how alike each method's images of each class are; the class ``here`` is named in bold."""
    series = [(f"{one.title}, mean {one.mean:.3f}", method_colour(one.method), one.alike) for one in claim.sets]
    return _dots("Mean cosine to the class's centre", list(claim.delt.alike), series, here)


def pair_dots(pairs: Pairs, here: str = "") -> go.Figure:
    """Draw how alike two early images, two late ones, and one of each are, by class."""
    series = [
        ("Two early images", ROUND_SCALE[0], pairs.early),
        ("Two late images", ROUND_SCALE[-1], pairs.late),
        ("One early, one late", NEUTRAL, pairs.mixed),
    ]
    return _dots("Mean cosine of pairs", list(pairs.early), series, here)


def _dots(
    what: str, names: Sequence[str], series: Sequence[tuple[str, str, Mapping[str, float]]], here: str
) -> go.Figure:
    if len(names) > MOST_CLASSES:  # those in which the first two differ most either way, and the one that is shown
        order = sorted(names, key=lambda name: series[0][2][name] - series[1][2][name])
        kept = {*order[: MOST_CLASSES // 2], *order[-MOST_CLASSES // 2 :], here}
        names = [name for name in names if name in kept]
    figure = blank_figure(what, "", height=max(180, 24 * len(names) + 100))
    values = [by_class[name] for _, _, by_class in series for name in names]
    low = min(1 - NARROWEST, math.floor(min(values) / NARROWEST) * NARROWEST)
    rows = list(range(len(names)))
    ends = [[by_class[name] for _, _, by_class in series] for name in names]
    add_spans(figure, [(min(each), max(each), row) for row, each in zip(rows, ends, strict=True)], width=1)
    for at, (title, colour, by_class) in enumerate(series):
        figure.add_scatter(
            name=title,
            x=[by_class[name] for name in names],
            y=rows,
            mode="markers",
            marker={"color": colour, "symbol": SYMBOLS[at % len(SYMBOLS)], "size": 11},
            hovertext=[f"{title.split(',')[0]}, {name}: {by_class[name]:.3f}" for name in names],
            hoverinfo="text",
        )
    words = [f"<b>{name}</b>" if name == here else name for name in names]
    figure.update_yaxes(tickvals=rows, ticktext=words, autorange="reversed", showgrid=False)
    margin = (1 - low) * 0.02
    return figure.update_xaxes(range=[low - margin, 1 + margin]).update_layout(showlegend=True)
