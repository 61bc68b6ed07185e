"""Figures about the data: patches by the teacher's probability, and images per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ShapeError
from delt_engine.plots.style import LINE, METHOD_COLOURS, NEUTRAL, blank_figure, round_colour, two_panels

_MOST_DOTS = 4000
"""Patches drawn as dots; of larger classes every n-th is."""


def patch_figure(
    probabilities: np.ndarray,
    start_rounds: Mapping[int, int],
    schedule: EarlyLateSchedule,
    *,
    window: tuple[float, float] = (0.0, 1.0),
    iterations: Mapping[int, int] | None = None,
    pinned: Sequence[int] = (),
    dropped: Sequence[int] = (),
    bins: int = 40,
) -> go.Figure:
    """Draw a class's patches by the teacher's probability: a histogram, and below it one dot a patch to pick from.

    Args:
        probabilities: (n,) in [0, 1], ascending, so that the position of a patch is its rank.
        start_rounds: rank of each chosen patch to the 1-based round in which its image joins.
        schedule: of one class; its last start is the end of the colours.
        window: band of probabilities that is looked at; the rest is shaded.
        iterations: rank of each chosen patch to the iterations its image gets, for the texts.
        pinned: ranks of the patches that the reader took.
        dropped: ranks of those that the reader left out.
        bins: bars over 0..1.

    The custom data of a dot is its rank. A drag makes a band, across both.

    Raises:
        ShapeError: the probabilities are not ascending, so positions are no ranks.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if len(probabilities) > 1 and (np.diff(probabilities) < 0).any():
        raise ShapeError("probabilities: not ascending, but the position of a patch must be its rank.")
    figure = two_panels("Teacher's probability of the true class", "Patches", "", height=360, spacing=0.04)
    counts, edges = np.histogram(probabilities, bins=bins, range=(0.0, 1.0))
    figure.add_bar(
        name="Patches",
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=1.0 / bins,
        showlegend=False,
        marker={"color": NEUTRAL, "opacity": 0.55, "line": {"width": 0}},
        hoverinfo="text",
        hovertext=[
            f"{count} {'patch' if count == 1 else 'patches'} from {low:.3g} to {high:.3g}"
            for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
        ],
        row=1,
        col=1,
    )
    figure.add_trace(_dots(probabilities, start_rounds, schedule, iterations or {}, pinned, dropped), row=2, col=1)
    low, high = window
    for left, right in ((-0.01, low), (high, 1.01)):
        if (left, right) not in ((-0.01, 0.0), (1.0, 1.01)):
            box = {"x0": left, "x1": right, "y0": 0, "y1": 1, "xref": "x", "yref": "paper", "layer": "above"}
            figure.add_shape(type="rect", fillcolor="rgba(133, 133, 133, 0.25)", line={"width": 0}, **box)
    if len(probabilities):
        median = float(np.median(probabilities))
        figure.add_vline(x=median, line={"color": NEUTRAL, "dash": "dash", "width": 1.5}, row=1, col=1)
        place = {"x": median, "y": 1.1, "yref": "y domain", "xanchor": "right" if median > 0.5 else "left"}
        figure.add_annotation(text=f"median {median:.3f}", showarrow=False, font={"size": 11}, **place, row=1, col=1)
    figure.update_xaxes(range=[-0.01, 1.01])
    figure.update_yaxes(visible=False, range=[-0.15, 1.15], row=2, col=1)
    return figure.update_layout(
        bargap=0,
        dragmode="select",
        selectdirection="h",
        clickmode="event+select",
        showlegend=False,
        modebar={"orientation": "h", "remove": ["zoom", "pan", "zoomin", "zoomout", "autoscale", "resetscale"]},
    )


def _dots(
    probabilities: np.ndarray,
    start_rounds: Mapping[int, int],
    schedule: EarlyLateSchedule,
    iterations: Mapping[int, int],
    pinned: Sequence[int],
    dropped: Sequence[int],
) -> go.Scattergl:
    """Return one dot a patch: the chosen ones larger and in their round's colour, the dropped ones crossed out."""
    total = len(probabilities)
    step = max(1, -(-total // _MOST_DOTS))
    always = {*start_rounds, *pinned, *dropped}
    ranks = sorted({*range(0, total, step), *(rank for rank in always if 0 <= rank < total)})
    pins, drops = set(pinned), set(dropped)
    texts, colours, sizes, symbols = [], [], [], []
    for rank in ranks:
        start = start_rounds.get(rank)
        text = f"probability {probabilities[rank]:.4f}, rank {rank + 1} of {total}"
        if start:
            its = f", {iterations[rank]:,} iterations" if rank in iterations else ""
            text += f"<br>joins in round {start} of {schedule.num_rounds}{its}"
        text += "<br>pinned" if rank in pins else "<br>dropped" if rank in drops else ""
        texts.append(text)
        colours.append(round_colour(start, schedule.last_start) if start else METHOD_COLOURS["random"])
        sizes.append(11 if start or rank in pins or rank in drops else 5)
        symbols.append("x" if rank in drops else "diamond" if rank in pins else "circle")
    spread = np.random.default_rng(0).random(total)  # height says nothing: it keeps dots apart, and in place
    return go.Scattergl(
        name="Each patch",
        x=probabilities[ranks],
        y=spread[ranks],
        mode="markers",
        customdata=ranks,
        marker={"color": colours, "size": sizes, "symbol": symbols, "opacity": 0.8, "line": {"width": 0}},
        hovertext=texts,
        hoverinfo="text",
        unselected={"marker": {"opacity": 0.35}},
    )


def class_counts(names: Sequence[str], train: Sequence[int], test: Sequence[int]) -> go.Figure:
    """Draw how many train and test images each class has, side by side.

    Raises:
        ShapeError: as many counts as names are needed.
    """
    if not len(names) == len(train) == len(test):
        raise ShapeError(f"counts: {len(train)} and {len(test)} given, but there are {len(names)} classes.")
    figure = blank_figure("", "Images", height=240)
    for title, counts, colour in (("Train", train, NEUTRAL), ("Test", test, LINE)):
        hover = f"%{{x}}: %{{y:,}} {title.lower()} images<extra></extra>"
        look = {"color": colour, "line": {"width": 0}}
        figure.add_bar(name=title, x=list(names), y=list(counts), marker=look, hovertemplate=hover)
    figure.update_layout(barmode="group", showlegend=True)
    return figure.update_xaxes(type="category", showticklabels=len(names) <= 40)
