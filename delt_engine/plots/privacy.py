"""Figure of the nearest-neighbour test: how near each synthetic image is to a real one, over the round it joined in."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from delt_engine.analysis.privacy import PrivacyResult
from delt_engine.plots.style import NEUTRAL, blank_figure, round_colour

_SPREAD = 0.6
"""Width over which the images of one round stand beside each other, in rounds."""


def distance_figure(result: PrivacyResult, num_rounds: int, picked: int | None = None) -> go.Figure:
    """Draw a mark an image, filled where its nearest real image is one that it started from; a click has its number.

    Distances are multiples of what a test image has, drawn as a line at 1; plain ones where there are no test images.
    """
    has_line = bool(len(result.test_distance))
    unit = "Distance to nearest real" + (" (test image = 1)" if has_line else "")
    figure = blank_figure("Start round", unit, height=340)
    values = result.relative if has_line else result.distance[:, 0]
    for title, of, symbol in _groups(result):
        rows = np.flatnonzero(of)
        if not len(rows):
            continue
        figure.add_scatter(
            name=title,
            x=(result.start_round + _beside(result))[rows].tolist(),
            y=values[rows].tolist(),
            mode="markers",
            customdata=rows.tolist(),
            marker={
                "symbol": symbol,
                "size": 9,
                "color": [round_colour(int(result.start_round[row]), num_rounds) for row in rows],
                "line": {"width": 1.5, "color": NEUTRAL},
            },
            hovertext=[_words(result, row, float(values[row])) for row in rows.tolist()],
            hoverinfo="text",
        )
    if has_line:
        figure.add_hline(y=1.0, line={"color": NEUTRAL, "dash": "dash"})
    if picked is not None:
        figure.add_scatter(
            x=[float(result.start_round[picked] + _beside(result)[picked])],
            y=[float(values[picked])],
            mode="markers",
            marker={"symbol": "circle-open", "size": 18, "color": NEUTRAL, "line": {"width": 2}},
            hoverinfo="skip",
            showlegend=False,
        )
    figure.update_yaxes(rangemode="tozero")
    figure.update_xaxes(range=[0.5, num_rounds + 0.5], dtick=max(1, num_rounds // 10), showgrid=False)
    return figure.update_layout(showlegend=True)


def _groups(result: PrivacyResult) -> list[tuple[str, np.ndarray, str]]:
    first = result.source_rank == 1
    known = result.has_source
    return [
        ("Nearest is its own photograph", first, "circle"),
        ("Nearest is another one", known & ~first, "circle-open"),
        ("Started from noise", ~known, "diamond-open"),
    ]


def _beside(result: PrivacyResult) -> np.ndarray:
    """Return a place within its round for each image, in the order they are stored, around 0."""
    places = np.zeros(len(result))
    for number in np.unique(result.start_round):
        rows = np.flatnonzero(result.start_round == number)
        places[rows] = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(rows)) if len(rows) > 1 else 0.0
    return places


def _words(result: PrivacyResult, row: int, value: float) -> str:
    name = result.class_names[result.class_index[row]]
    rank = int(result.source_rank[row])
    own = f"; its own photograph is number {rank:,}" if rank > 1 else "; that is its own photograph" if rank else ""
    joined = f"joined in round {result.start_round[row]}, {result.iterations[row]:,} iterations"
    return f"{name}, image {result.index[row] + 1}<br>{joined}<br>nearest real image at {value:.2f}{own}"
