"""Figures of a single image: what the teacher said of it, round after round.

Styled as :mod:`delt_engine.plots.recovery` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from delt_engine.errors import ShapeError
from delt_engine.plots.recovery import LINE, NEUTRAL, blank_figure

_OTHERS = ("dash", "dot", "dashdot", "longdash", "longdashdot")


def prediction_curves(
    iterations: Sequence[int], probabilities: Mapping[str, Sequence[float | None]], *, joins_at: int = 0
) -> go.Figure:
    """Draw the teacher's probabilities of an image's likeliest classes over a run.

    Args:
        iterations: when the teacher was asked, counted from the beginning of the run.
        probabilities: by name of the class; its own class first. None where a class was not among the likeliest.
        joins_at: iteration at which the image joins; before it, it is what it started from.

    Returns:
        A line a class, the own one bold, with a mark where the teacher was asked.

    Raises:
        ShapeError: a line is not as long as ``iterations``.
    """
    figure = blank_figure("Iteration of the run", "Teacher's probability", height=300)
    for place, (name, values) in enumerate(probabilities.items()):
        if len(values) != len(iterations):
            raise ShapeError(f"probabilities: {len(values)} given for {name}, but there are {len(iterations)} rounds.")
        own = place == 0
        line = {"color": LINE if own else NEUTRAL, "width": 3 if own else 1.5}
        figure.add_scatter(
            name=name,
            x=list(iterations),
            y=list(values),
            mode="lines+markers",
            marker={"size": 7 if own else 5},
            line=line | ({} if own else {"dash": _OTHERS[(place - 1) % len(_OTHERS)]}),
            hovertemplate=f"{name}: %{{y:.3f}} after %{{x:,}} iterations<extra></extra>",
        )
    if joins_at:
        figure.add_vline(x=joins_at, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=joins_at, y=1, yref="paper", text="joins", showarrow=False, xanchor="left", yanchor="top", xshift=4
        )
    figure.update_layout(legend={"font": {"size": 11}, "entrywidth": 72})
    figure.update_yaxes(range=[-0.03, 1.05])
    figure.update_xaxes(rangemode="tozero")
    return figure
