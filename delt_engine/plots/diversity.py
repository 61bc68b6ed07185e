"""Figures of how alike the images of a class are: by class, by image, and the early against the late half.

A similarity is the cosine of an image's features and those of its class's centroid, so 1 is identical and lower is
more diverse.

Source: DELT Fig. 2, left (classes sorted by similarity); the other forms are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import plotly.graph_objects as go

from delt_engine.analysis.diversity_store import DiversityResult
from delt_engine.plots.style import NEUTRAL, ROUND_SCALE, SYMBOLS, add_spans, blank_figure, honest_range, method_colour

EARLY_COLOUR, LATE_COLOUR = ROUND_SCALE[0], ROUND_SCALE[-1]
"""The halves have the colours of the first and the last round."""

_DASHES = {"real": "dash", "random": "dot"}
"""Of real images."""
_AGAIN = ("solid", "dashdot", "longdash")
"""Dashes of the first, second and later sets of one method, which share its colour."""
LEAST_COSINE = 0.05
"""Cosine similarity that an axis spans at least."""
MOST_BOXES = 12
"""Classes with boxes of their own at once."""
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
    seen: Counter[str] = Counter()
    for one, symbol in zip(sets, cycle(SYMBOLS), strict=False):
        curve, method = one.result.sorted_curve(), one.result.method
        dash = _AGAIN[min(seen[method], len(_AGAIN) - 1)]
        seen[method] += 1
        figure.add_scatter(
            name=one.label,
            x=list(range(1, len(curve) + 1)),
            y=[value for _, value in curve],
            mode="lines+markers" if len(curve) <= _MARKED else "lines",
            marker={"size": 7, "symbol": symbol},
            line={"color": method_colour(method), "width": 2.5, "dash": _DASHES.get(method, dash)},
            hovertext=[f"{one.label}, {name}: {value:.3f}" for name, value in curve],
            hoverinfo="text",
        )
    most = max((len(one.result.classes) for one in sets), default=1)
    figure.update_yaxes(range=_span(value for one in sets for value in one.result.per_class))
    return figure.update_xaxes(range=[0.5, most + 0.5], tickformat="d", **({"dtick": 1} if most <= 20 else {}))


def _span(values: Iterable[float]) -> list[float]:
    return list(honest_range(map(float, values), LEAST_COSINE, ceiling=1.0))


def class_boxes(sets: Sequence[Shown], space: str, classes: Sequence[str]) -> go.Figure:
    """Draw, class by class, a box of its images' similarities for every set, dashed their mean."""
    figure = blank_figure("", f"Cosine similarity to the centroid<br>{space}", height=420)
    found = [(one, name) for one in sets for name in classes if name in one.result.class_names]
    for one in sets:
        own = [(name, one.result.values(name)) for shown, name in found if shown is one]
        figure.add_box(
            name=one.label,
            x=[name for name, values in own for _ in values],
            y=[float(value) for _, values in own for value in values],
            boxpoints=False,
            boxmean=True,
            line={"color": method_colour(one.result.method), "width": 1.5},
        )
    figure.update_yaxes(range=_span(value for one, name in found for value in one.result.values(name)))
    return figure.update_layout(boxmode="group", boxgap=0.2, boxgroupgap=0.15)


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
    figure.update_xaxes(range=_span(value for one in sets for value in one.result.values()))
    return figure.update_yaxes(autorange="reversed", showgrid=False)


def early_and_late(sets: Sequence[Shown], space: str) -> go.Figure:
    """Draw the similarity within a class as a whole, and of sets that have rounds within its early and its late half.

    A half has its own centroid, and fewer images, so halves are to be read beside halves and classes beside classes.
    """
    figure = blank_figure(f"Cosine similarity to the centroid, {space}", "", height=50 * len(sets) + 130)
    halved = [(one, both) for one in sets if (both := one.result.early_late)]
    add_spans(figure, [(*both, one.label) for one, both in halved])
    for at, (half, colour) in enumerate((("Early", EARLY_COLOUR), ("Late", LATE_COLOUR))):
        words = [(one.early_words, one.late_words)[at] for one, _ in halved]
        figure.add_scatter(
            name=f"{half} half",
            x=[both[at] for _, both in halved],
            y=[one.label for one, _ in halved],
            mode="markers+text",
            marker={"size": 13, "color": colour, "symbol": "diamond" if at else "circle"},
            text=words,
            cliponaxis=False,
            textposition="bottom center" if at else "top center",
            hovertext=[
                f"{one.label}, {half.lower()} half, {said}: {both[at]:.3f}"
                for (one, both), said in zip(halved, words, strict=True)
            ],
            hoverinfo="text",
        )
    look = {"symbol": "line-ns-open", "size": 16, "color": NEUTRAL, "line": {"width": 4}}
    figure.add_scatter(name="Whole class", x=[None], y=[sets[0].label], mode="markers", marker=look)  # the legend's
    figure.add_scatter(
        showlegend=False,
        x=[one.result.mean for one in sets],
        y=[one.label for one in sets],
        mode="markers",
        marker={
            "size": 20,
            "symbol": "line-ns-open",
            "color": [method_colour(one.result.method) for one in sets],
            "line": {"width": 4},
        },
        hovertext=[f"{one.label}, whole class: {one.result.mean:.3f}" for one in sets],
        hoverinfo="text",
    )
    figure.update_xaxes(range=_span([*(one.result.mean for one in sets), *(v for _, both in halved for v in both)]))
    names = [one.label for one in sets]
    return figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], showgrid=False)
