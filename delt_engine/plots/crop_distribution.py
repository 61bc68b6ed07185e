"""CDA Figure 2 drawn: centres of random crops, and some of their boxes, for bounds from hard to easy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from delt_engine.papers.crop_distribution import CropDistribution

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = (30, 10)
"""Boxes in the second and the third row, as in the paper."""


def crop_figure(distributions: Sequence[CropDistribution]) -> Figure:
    """Return one column a pair of bounds: all centres above, then 30 and 10 boxes."""
    from plotly.subplots import make_subplots

    columns = len(distributions)
    figure = make_subplots(
        rows=3, cols=columns, column_titles=[one.title for one in distributions], horizontal_spacing=0.01
    )
    shapes = []  # set at once: each one added by itself would check all before it
    for column, one in enumerate(distributions, 1):
        down, across = one.centres.T
        marker = {"size": 3, "opacity": 0.4}
        figure.add_scatter(x=across, y=down, mode="markers", marker=marker, row=1, col=column, hoverinfo="skip")
        for row, count in enumerate(SHOWN, 2):
            for top, left, height, width in (one.boxes[:count] / one.image_size).tolist():
                number = (row - 1) * columns + column
                box = {"x0": left, "x1": left + width, "y0": top, "y1": top + height}
                place = {"xref": f"x{number}", "yref": f"y{number}"}
                shapes.append({"type": "rect", **box, **place, "line": {"width": 1}, "opacity": 0.6})
            figure.add_scatter(x=[None], y=[None], row=row, col=column, hoverinfo="skip")
    figure.update_xaxes(range=[0, 1], visible=False)
    figure.update_yaxes(range=[1, 0], visible=False)  # an image begins at its top
    figure.update_layout(shapes=shapes, showlegend=False, height=420, margin={"l": 0, "r": 0, "t": 30, "b": 0})
    return figure
