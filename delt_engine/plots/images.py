"""The figure of a single image: what the teacher saw in it, round after round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from delt_engine.errors import ShapeError
from delt_engine.plots.style import LINE, NEUTRAL, add_line, blank_figure

_OTHERS = ("dash", "dot", "dashdot", "longdash", "longdashdot")


def prediction_curves(
    iterations: Sequence[int], probabilities: Mapping[str, Sequence[float | None]], *, joins_at: int = 0
) -> go.Figure:
    """Draw the teacher's probabilities of an image's likeliest classes over a run, a line a class, the own one bold.

    Args:
        iterations: when the teacher was asked, counted from the beginning of the run.
        probabilities: by name of the class; its own class first. None where a class was not among the likeliest.
        joins_at: iteration at which the image joins; before it, it is what it started from.

    Raises:
        ShapeError: a line is not as long as ``iterations``.
    """
    figure = blank_figure("Iteration of the run", "Teacher's probability", height=300)
    for place, (name, values) in enumerate(probabilities.items()):
        if len(values) != len(iterations):
            raise ShapeError(f"probabilities: {len(values)} given for {name}, but there are {len(iterations)} rounds.")
        colour, width, dash, size = (
            (LINE, 3, "solid", 7) if place == 0 else (NEUTRAL, 1.5, _OTHERS[(place - 1) % len(_OTHERS)], 5)
        )
        hover = f"{name}: %{{y:.3f}} after %{{x:,}} iterations"
        look = {"width": width, "dash": dash, "mode": "lines+markers", "marker": {"size": size}}
        add_line(figure, name, iterations, values, colour, hover=hover, **look)
    if joins_at:
        figure.add_vline(x=joins_at, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
        place = {"xanchor": "left", "yanchor": "top", "xshift": 4, "yref": "paper"}
        figure.add_annotation(x=joins_at, y=1, text="joins", showarrow=False, **place)
    figure.update_layout(legend={"font": {"size": 11}, "entrywidth": 72})
    figure.update_yaxes(range=[-0.03, 1.05])
    return figure.update_xaxes(rangemode="tozero")
