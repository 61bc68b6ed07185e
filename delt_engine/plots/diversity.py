"""Figures of how alike the images of a class are: by class, by image, and the early against the late half.

A similarity is the cosine of an image's features and those of its class's centroid, so 1 is identical and lower is
more diverse.

Source: DELT Fig. 2, left (classes sorted by similarity); the other forms are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from delt_engine.analysis.diversity_store import DiversityResult
from delt_engine.plots.style import ROUND_SCALE, add_spans, blank_figure, method_colour

EARLY_COLOUR, LATE_COLOUR = ROUND_SCALE[0], ROUND_SCALE[-1]
"""The halves have the colours of the first and the last round."""

_DASHES = {"real": "dash", "random": "dot"}
"""Of real images."""
_MARKED = 40
"""Classes up to which each is a mark on its curve."""
_MOST_POINTS = 400
"""Points drawn beside a box; of more images, evenly chosen ones."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One set of images in a figure.

    Attributes:
        label: what it is called there.
        result: what was measured.
        early_words, late_words: how long the images of each half were optimised, such as "1,000 iterations".
    """

    label: str
    result: DiversityResult
    early_words: str = ""
    late_words: str = ""


def class_curves(sets: Sequence[Shown], space: str) -> go.Figure:
    """Draw the similarity of each class, of every set sorted by itself from the most alike class on.

    Real images are dashed; ``space`` says for the axis in which features.

    Source: DELT Fig. 2, left.
    """
    figure = blank_figure("Class, each set sorted by itself", f"Cosine similarity<br>{space}", height=380)
    for one in sets:
        curve, method = one.result.sorted_curve(), one.result.method
        figure.add_scatter(
            name=one.label,
            x=list(range(1, len(curve) + 1)),
            y=[value for _, value in curve],
            mode="lines+markers" if len(curve) <= _MARKED else "lines",
            marker={"size": 7},
            line={"color": method_colour(method), "width": 2.5, "dash": _DASHES.get(method, "solid")},
            hovertext=[f"{one.label}, {name}: {value:.3f}" for name, value in curve],
            hoverinfo="text",
        )
    most = max((len(one.result.classes) for one in sets), default=1)
    return figure.update_xaxes(range=[0.5, most + 0.5], tickformat="d", **({"dtick": 1} if most <= 20 else {}))


def distribution(sets: Sequence[Shown], space: str) -> go.Figure:
    """Draw the similarities of single images as a box a set, with the images as points beside it."""
    figure = blank_figure(f"Cosine similarity to the class centroid, {space}", "", height=58 * len(sets) + 120)
    for one in sets:
        values, colour = np.sort(one.result.values()).astype(np.float64), method_colour(one.result.method)
        figure.add_box(
            name=one.label,
            x=values,
            orientation="h",
            boxpoints=False,
            showlegend=False,
            boxmean=True,
            line={"color": colour, "width": 2},
            width=0.42,
            hoverinfo="x",
        )
        shown = values[np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_POINTS)).astype(int))]
        figure.add_scatter(
            x=shown,
            y=[one.label] * len(shown),
            mode="markers",
            showlegend=False,
            marker={"size": 5, "color": colour, "opacity": 0.45, "symbol": "line-ns-open"},
            hovertemplate=f"{one.label}: %{{x:.3f}}<extra></extra>",
        )
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def early_and_late(sets: Sequence[Shown], space: str) -> go.Figure:
    """Draw the similarity within the early and within the late half of a class, of each set that has rounds."""
    shown = [(one, one.result.early_late) for one in sets]
    rows = [(one.label, (one.early_words, one.late_words), both) for one, both in shown if both]
    figure = blank_figure(f"Cosine similarity to the half's own centroid, {space}", "", height=58 * len(rows) + 120)
    add_spans(figure, [(*both, label) for label, _, both in rows])
    for at, (half, colour) in enumerate((("Early", EARLY_COLOUR), ("Late", LATE_COLOUR))):
        figure.add_scatter(
            name=f"{half} half",
            x=[both[at] for _, _, both in rows],
            y=[label for label, _, _ in rows],
            mode="markers+text",
            marker={"size": 14, "color": colour},
            text=[words[at] for _, words, _ in rows],
            cliponaxis=False,
            textposition="bottom center" if at else "top center",
            hovertext=[f"{label}, {half.lower()} half, {words[at]}: {both[at]:.3f}" for label, words, both in rows],
            hoverinfo="text",
        )
    return figure.update_yaxes(autorange="reversed", showgrid=False)
