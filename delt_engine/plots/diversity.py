"""Figures of how alike the images of a class are: by class, by image, and the early against the late group.

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
from delt_engine.plots.accuracy import method_colour
from delt_engine.plots.recovery import NEUTRAL, blank_figure, round_colour

_DASHES = {"real": "dash", "random": "dot"}
"""Of real images."""
_MARKED = 40
"""Classes up to which each is a mark on its curve."""
_MOST_POINTS = 400
"""Points drawn beside a box; of more images, evenly chosen ones."""
_ROW = 58


@dataclass(frozen=True, eq=False)
class Shown:
    """One set of images in a figure.

    Attributes:
        label: what it is called there.
        result: what was measured.
        early_words: how long the images of the early half were optimised, such as "1,000 iterations".
        late_words: likewise of the late half.
    """

    label: str
    result: DiversityResult
    early_words: str = ""
    late_words: str = ""


def class_curves(sets: Sequence[Shown], space: str) -> go.Figure:
    """Draw the similarity of each class, of every set sorted by itself from the most alike class on.

    Args:
        sets: what was measured; real images are dashed.
        space: in which features, for the axis.

    Source: DELT Fig. 2, left.
    """
    figure = blank_figure("Class, each set sorted by itself", f"Cosine similarity<br>{space}", height=380)
    for one in sets:
        curve, colour = one.result.sorted_curve(), method_colour(one.result.method)
        figure.add_scatter(
            name=one.label,
            x=list(range(1, len(curve) + 1)),
            y=[value for _, value in curve],
            mode="lines+markers" if len(curve) <= _MARKED else "lines",
            marker={"size": 7},
            line={"color": colour, "width": 2.5, "dash": _DASHES.get(one.result.method, "solid")},
            hovertext=[f"{one.label}, {name}: {value:.3f}" for name, value in curve],
            hoverinfo="text",
        )
    most = max((len(one.result.classes) for one in sets), default=1)
    figure.update_xaxes(range=[0.5, most + 0.5], tickformat="d", **({"dtick": 1} if most <= 20 else {}))
    return figure


def distribution(sets: Sequence[Shown], space: str) -> go.Figure:
    """Draw the similarities of single images as a box a set, with the images as points beside it."""
    figure = blank_figure(f"Cosine similarity to the class centroid, {space}", "", height=_height(len(sets)))
    for one in sets:
        values = np.sort(one.result.values()).astype(np.float64)
        figure.add_box(
            name=one.label,
            x=values,
            orientation="h",
            boxpoints=False,
            showlegend=False,
            boxmean=True,
            line={"color": method_colour(one.result.method), "width": 2},
            width=0.42,
            hoverinfo="x",
        )
        shown = values[np.unique(np.linspace(0, len(values) - 1, min(len(values), _MOST_POINTS)).astype(int))]
        figure.add_scatter(
            x=shown,
            y=[one.label] * len(shown),
            mode="markers",
            showlegend=False,
            marker={"size": 5, "color": method_colour(one.result.method), "opacity": 0.45, "symbol": "line-ns-open"},
            hovertemplate=f"{one.label}: %{{x:.3f}}<extra></extra>",
        )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def early_and_late(sets: Sequence[Shown], space: str) -> go.Figure:
    """Draw the similarity within the early and within the late half of a class, of each set that has rounds."""
    grouped = [(one, *one.result.early_late) for one in sets if one.result.early_late]
    figure = blank_figure(f"Cosine similarity to the half's own centroid, {space}", "", height=_height(len(grouped)))
    for one, *ends in grouped:
        figure.add_scatter(
            x=ends,
            y=[one.label] * 2,
            mode="lines",
            showlegend=False,
            hoverinfo="skip",
            line={"color": NEUTRAL, "width": 2},
        )
    for at, (half, colour) in enumerate((("Early", round_colour(1, 2)), ("Late", round_colour(2, 2)))):
        words = [one.late_words if at else one.early_words for one, *_ in grouped]
        figure.add_scatter(
            name=f"{half} half",
            x=[ends[at] for _, *ends in grouped],
            y=[one.label for one, *_ in grouped],
            mode="markers+text",
            marker={"size": 14, "color": colour},
            text=words,
            cliponaxis=False,
            textposition="bottom center" if at else "top center",
            hovertext=[
                f"{one.label}, {half.lower()} half, {word}: {ends[at]:.3f}"
                for (one, *ends), word in zip(grouped, words, strict=True)
            ],
            hoverinfo="text",
        )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _height(rows: int) -> int:
    return _ROW * rows + 120
