"""Figures of students in training, and of measured numbers beside published ones.

Published numbers are open diamonds on dashed lines, measured ones filled circles, so that nobody takes one for the
other. Accuracies are percent on the real test images.

Source: ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from delt_engine.plots.accuracy import Score, method_colour, told
from delt_engine.plots.recovery import LINE, LOSS_STYLES, NEUTRAL, apply_style, blank_figure, newest_epochs
from delt_engine.runs.events import Event, StudentEpochEvent

HEIGHT = 380
"""Height of the live figure in pixels, also while it is empty, so that nothing moves when the first epoch comes."""

_SEED_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_ROW = 44
"""Height of a row of the comparison with papers, pixels."""


@dataclass(frozen=True)
class PublishedMark:
    """A published number in one row of the figure: percent, its spread if printed, and where it stands."""

    value: float
    spread: float | None
    source: str


def student_curves(events: Iterable[Event], *, epochs: int, method: str = "") -> go.Figure:
    """Draw test accuracy and training loss of students at work over their epochs, a line a student.

    Args:
        events: of an evaluation; its epochs are drawn, of one that stands there twice the newer.
        epochs: the end of the axis.
        method: whose images are learned, for the colour.

    Returns:
        Two stacked panels of a fixed height.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1, row_heights=[0.6, 0.4])
    apply_style(figure, HEIGHT)
    students: dict[int, list[StudentEpochEvent]] = {}
    for event in events:
        if isinstance(event, StudentEpochEvent):
            students.setdefault(event.student, []).append(event)
    for number, written in sorted(students.items()):
        own = newest_epochs(written)
        dash = _SEED_DASHES[number % len(_SEED_DASHES)]
        name = f"Student {number + 1}"
        figure.add_trace(_tested(own, "top1", name, method_colour(method), dash), row=1, col=1)
        if any(event.top1_ema is not None for event in own):
            figure.add_trace(_tested(own, "top1_ema", f"{name}, EMA", LINE, dash), row=1, col=1)
        figure.add_trace(_loss(own, name, dash), row=2, col=1)
    if not students:
        figure.add_annotation(text="No epoch yet", x=0.5, y=0.75, xref="paper", yref="paper", showarrow=False)
    figure.update_xaxes(range=[0, epochs])
    figure.update_xaxes(title_text="Epoch", row=2, col=1)
    figure.update_yaxes(title_text="Test accuracy (%)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="Loss", row=2, col=1)
    figure.update_layout(showlegend=True, uirevision="students")
    return figure


def _tested(events: Sequence[StudentEpochEvent], key: str, name: str, colour: str, dash: str) -> go.Scatter:
    points = [(event.epoch, getattr(event, key)) for event in events if getattr(event, key) is not None]
    return go.Scatter(
        name=name,
        x=[epoch for epoch, _ in points],
        y=[value for _, value in points],
        mode="lines+markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"size": 5},
        hovertemplate=f"{name}, epoch %{{x}}: %{{y:.1f}} %<extra></extra>",
    )


def _loss(events: Sequence[StudentEpochEvent], name: str, dash: str) -> go.Scatter:
    return go.Scatter(
        name=f"{name}, loss",
        x=[event.epoch for event in events],
        y=[event.loss for event in events],
        mode="lines",
        showlegend=False,
        line={"color": LOSS_STYLES["Total"][0], "width": 2, "dash": dash},
        hovertemplate=f"{name}, epoch %{{x}}: loss %{{y:.4g}}<extra></extra>",
    )


def against_published(rows: Sequence[tuple[Score, Sequence[PublishedMark]]]) -> go.Figure:
    """Draw each measured accuracy and the published ones for the same cell in a row of their own.

    Args:
        rows: a measured score, and what papers print for its dataset, IPC and student.
    """
    figure = blank_figure("Accuracy (%)", "", height=_ROW * len(rows) + 110)
    for place, (score, marks) in enumerate(rows):
        values = [score.value, *(mark.value for mark in marks)]
        figure.add_scatter(
            x=[min(values), max(values)],
            y=[place, place],
            mode="lines",
            showlegend=False,
            hoverinfo="skip",
            line={"color": NEUTRAL, "width": 1.5, "dash": "dot"},
        )
    for name, symbol in (("Measured here", "circle"), ("Published", "diamond-open")):
        look = {"size": 12, "symbol": symbol, "color": NEUTRAL, "line": {"width": 2.5 * (symbol != "circle")}}
        figure.add_scatter(name=name, x=[None], y=[None], mode="markers", marker=look)  # the legend's, of no method
    measured = [score for score, _ in rows]
    colours = [method_colour(score.method) for score in measured]
    figure.add_scatter(
        showlegend=False,
        x=[score.value for score in measured],
        y=list(range(len(rows))),
        mode="markers",
        error_x={"array": [score.spread for score in measured], "color": NEUTRAL, "thickness": 1.5, "width": 4},
        marker={"size": 14, "color": colours},
        hovertext=[f"{s.label}, measured: {told(s)}" for s in measured],
        hoverinfo="text",
    )
    printed = [(place, score, mark) for place, (score, marks) in enumerate(rows) for mark in marks]
    figure.add_scatter(
        showlegend=False,
        x=[mark.value for _, _, mark in printed],
        y=[place for place, _, _ in printed],
        mode="markers",
        error_x={"array": [mark.spread or 0.0 for _, _, mark in printed], "color": NEUTRAL, "thickness": 1, "width": 4},
        marker={
            "size": 14,
            "symbol": "diamond-open",
            "line": {"width": 2.5},
            "color": [method_colour(score.method) for _, score, _ in printed],
        },
        hovertext=[f"{score.label}, published: {mark.value:.1f} %<br>{mark.source}" for _, score, mark in printed],
        hoverinfo="text",
    )
    names = [f"{score.label}, IPC {score.ipc:,}" for score in measured]
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=names, autorange="reversed", showgrid=False)
    figure.update_xaxes(rangemode="tozero")
    return figure
