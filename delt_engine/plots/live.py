"""Figures of a run at work: its loss for each group of images that joined together."""

from __future__ import annotations

from collections.abc import Iterable

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from delt_engine.plots.recovery import LOSS_STYLES, NEUTRAL, apply_style, mark_rounds, round_colour
from delt_engine.runs.events import Event, StepEvent

HEIGHT = 380
"""Height of the figure in pixels, also while it is empty, so that nothing moves when the first step comes."""

_LEGEND = 6
"""Groups named in the legend, about; of more, evenly chosen ones, so that the legend stays one line."""


def group_loss_curves(
    events: Iterable[Event], *, iterations: int, num_rounds: int, batch: int | None = None
) -> go.Figure:
    """Draw the cross-entropy of each start group, and below it the BatchNorm term of the joined batch as a whole.

    A start group are the images that joined in one round; its line begins there. BatchNorm statistics are taken over
    all joined images together, so that term has no share a group could own. Both are losses before a step, on the
    crops of that step.

    Args:
        events: of a run; the steps of its recovery are drawn. Steps of runs made before groups were told have one
            line for all images.
        iterations: MI, the end of the axis.
        num_rounds: K, the end of the colours.
        batch: the batch to draw; the latest with a step when None.

    Returns:
        Two stacked panels of a fixed height.
    """
    steps = [event for event in events if isinstance(event, StepEvent)]
    if steps:
        batch = steps[-1].batch if batch is None else batch
        steps = [step for step in steps if step.batch == batch]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.1, row_heights=[0.62, 0.38])
    apply_style(figure, HEIGHT)
    groups = _groups(steps)
    gap = -(-len(groups) // _LEGEND) if groups else 1
    for place, (number, points) in enumerate(groups.items()):
        figure.add_trace(_group_line(number, points, num_rounds), row=1, col=1)
        figure.data[-1].showlegend = place % gap == 0 or place == len(groups) - 1
    if steps:
        figure.add_trace(_bn_line(steps), row=2, col=1)
    else:
        figure.add_annotation(text="No steps yet", x=0.5, y=0.75, xref="paper", yref="paper", showarrow=False)
    mark_rounds(figure, iterations, num_rounds)
    figure.update_xaxes(range=[0, iterations])
    figure.update_xaxes(title_text="Iteration", row=2, col=1)
    figure.update_yaxes(title_text="Cross-entropy", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="BatchNorm", rangemode="tozero", row=2, col=1)
    figure.update_layout(showlegend=True, hovermode="x unified", uirevision="losses")
    return figure


def _groups(steps: Iterable[StepEvent]) -> dict[int, list[tuple[int, float]]]:
    """Return (iteration, cross-entropy) of each start round, ascending; 0 stands for all images."""
    found: dict[int, list[tuple[int, float]]] = {}
    for step in steps:
        for number, loss in zip(step.start_rounds or (0,), step.start_ce_losses or (step.ce_loss,), strict=False):
            found.setdefault(number, []).append((step.iteration, loss))
    return dict(sorted(found.items()))


def _group_line(number: int, points: list[tuple[int, float]], num_rounds: int) -> go.Scatter:
    name = f"Round {number}" if number else "All images"
    colour = round_colour(number, num_rounds) if number else NEUTRAL
    return go.Scatter(
        name=name,
        x=[at for at, _ in points],
        y=[loss for _, loss in points],
        mode="lines",
        line={"color": colour, "width": 2},
        hovertemplate=f"{name}: cross-entropy %{{y:.4g}}<extra></extra>",
    )


def _bn_line(steps: list[StepEvent]) -> go.Scatter:
    colour, dash = LOSS_STYLES["BatchNorm, weighted"]
    return go.Scatter(
        name="BatchNorm, all joined images",
        x=[step.iteration for step in steps],
        y=[step.total_loss - step.ce_loss for step in steps],
        mode="lines",
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate="BatchNorm, weighted: %{y:.4g}<extra></extra>",
    )
