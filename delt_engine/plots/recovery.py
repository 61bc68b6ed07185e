"""Figures of a recovery: which image joins when, learning rate and crops, losses, and what the teacher saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from delt_engine.config import RecoverConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ShapeError
from delt_engine.plots.style import (
    BN_COLOUR,
    LINE,
    NEUTRAL,
    add_line,
    add_note,
    blank_figure,
    mark_rounds,
    round_colour,
    two_panels,
)
from delt_engine.recovery.batches import clock
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at
from delt_engine.runs.events import Event, StepEvent

LOSS_HEIGHT = 380
"""Height of the losses in pixels, also while they are empty, so that nothing moves when the first step comes."""

_SINGLE_LANES = 60
"""Up to this IPC every image is a bar of its own; above, images of one round share a bar as high as they are many."""
_OWN_LANE, _GHOST_LANE = (0.5, -0.2), (0.28, 0.25)
"""Thickness of a lane and of the one of another plan beneath it, and how far each is from the image's place."""

_POINTS = 400
_OTHERS = ("dash", "dot", "dashdot", "longdash", "longdashdot")
_LEGEND = 6
"""Groups named in the legend, about; of more, evenly chosen ones, so that the legend stays one line."""


def schedule_lanes(
    schedule: EarlyLateSchedule, *, ghost: EarlyLateSchedule | None = None, height: int | None = None
) -> go.Figure:
    """Draw a lane per image of a class over the iterations: a bar from where it joins to MI, in its round's colour.

    Above 60 images those of one round share a bar that is as high as they are many. The lanes of ``ghost``, another
    plan of the same images, stand in grey beneath. ``height`` is in pixels.

    Source: DELT Fig. 4, Eq. 7.
    """
    tall = max(180, min(26 * schedule.ipc + 90, 460)) if height is None else height
    figure = blank_figure("Iteration", "Image of the class" if height is None else "Image", height=tall)
    for plan in filter(None, (ghost, schedule)):
        _add_lanes(figure, plan, is_ghost=plan is ghost, has_ghost=ghost is not None)
    mark_rounds(figure, schedule.iterations, schedule.num_rounds)
    figure.update_layout(barmode="overlay", showlegend=False)
    figure.update_xaxes(range=[0, max(plan.iterations for plan in (schedule, ghost or schedule))])
    ticks = {"dtick": 1} if schedule.ipc <= (20 if height is None else 5) else {"nticks": 10 if height is None else 5}
    return figure.update_yaxes(range=[schedule.ipc + 0.5, 0.5], showgrid=False, tickformat="d", **ticks)


def _add_lanes(figure: go.Figure, schedule: EarlyLateSchedule, *, is_ghost: bool, has_ghost: bool) -> None:
    first, single = 1, schedule.ipc <= _SINGLE_LANES
    thickness, shift = (_GHOST_LANE if is_ghost else _OWN_LANE) if single and has_ghost else (0.8 if single else 1, 0)
    for number, count in enumerate(schedule.newcomers, start=1):
        if not count:
            continue
        begin = (number - 1) * schedule.round_iterations
        length = schedule.iterations - begin
        images = list(range(first, first + count)) if single else [first + (count - 1) / 2]
        when = f"in round {number} of {schedule.num_rounds}, at iteration {begin}"
        before = "Before: image" if is_ghost else "Image"
        words = [f"{before} {image:g} joins {when}, and gets {length} iterations" for image in images]
        if count > 1 and not single:
            words = [f"{before}s {first} to {first + count - 1} join {when}, and get {length} iterations"]
        colour = round_colour(number, schedule.last_start)
        figure.add_bar(
            name=f"Round {number}",
            orientation="h",
            y=[image + shift for image in images],
            x=[length] * len(images),
            base=[begin] * len(images),
            width=thickness if single else count,
            opacity=0.45 if is_ghost else 1,
            marker={"color": NEUTRAL if is_ghost else colour, "line": {"width": 0}},
            hovertext=words,
            hoverinfo="text",
        )
        first += count


def learning_curves(config: RecoverConfig) -> go.Figure:
    """Draw the learning rate and the smallest crop over a run, one above the other.

    Source: DELT Table 8b (cosine learning rate); CDA Algorithm 1 (curriculum).
    """
    length = config.round_iterations if config.restart_rounds else config.iterations
    # evenly spread, and both sides of every jump
    spread = np.linspace(0, config.iterations - 1, min(config.iterations, _POINTS)).astype(int).tolist()
    turn = int(config.milestone * length + 1e-6)  # the last iteration before the milestone's jump
    starts = range(0, config.iterations, length) if config.iterations // length <= _POINTS else range(0)
    jumps = [start + at for start in starts for at in (0, turn, turn + 1, length - 1) if 0 <= at < length]
    iterations = sorted({*spread, *jumps})
    times = [clock(iteration, config) for iteration in iterations]
    rates = [
        config.sgd_rate if config.is_batch_to_batch else learning_rate_at(*time, config.learning_rate) for time in times
    ]
    low, high = config.min_crop, config.max_crop
    if config.is_batch_to_batch and not config.siamese:
        low = high = 1.0
    crops = [crop_scale_at(*time, config.curriculum, config.milestone, low, high)[0] for time in times]
    figure = two_panels("Iteration", "Learning rate", "Smallest crop", height=320, share=0.5, spacing=0.12)
    for row, (name, values) in enumerate((("Learning rate", rates), ("Smallest crop", crops)), start=1):
        hover = f"Iteration %{{x}}: {name.lower()} %{{y:.4g}}"
        add_line(figure, name, iterations, values, LINE, hover=hover, row=row, col=1)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(range=[0, 1.02], row=2, col=1)
    figure.update_xaxes(range=[0, config.iterations])
    mark_rounds(figure, config.iterations, config.schedule.num_rounds)
    return figure.update_layout(showlegend=False)


def group_loss_curves(
    events: Iterable[Event],
    *,
    iterations: int,
    num_rounds: int,
    last_start: int | None = None,
    batch: int | None = None,
) -> go.Figure:
    """Draw the cross-entropy of each start group, and below it the BatchNorm term of the joined batch as a whole.

    A start group are the images that joined in one round; its line begins there. BatchNorm statistics are taken over
    all joined images together, so that term has no share a group could own: it is the total less the cross-entropy.
    Both are losses before a step, on the crops of that step.

    Args:
        events: of a run; steps without groups, of old runs, have one line for all images.
        iterations: MI, the end of the axis.
        num_rounds: K.
        last_start: the round in which the last images join, the end of the colours; K when None.
        batch: the batch to draw; the latest with a step when None.
    """
    steps = [event for event in events if isinstance(event, StepEvent)]
    if steps:
        batch = steps[-1].batch if batch is None else batch
        steps = [step for step in steps if step.batch == batch]
    if steps and steps[0].ce_loss is None:
        return _matching_loss(steps, iterations, num_rounds)
    figure = two_panels("Iteration", "Cross-entropy", "BatchNorm", LOSS_HEIGHT)
    groups: dict[int, list[tuple[int, float]]] = {}  # (iteration, loss) by start round; 0 stands for all images
    for step in steps:
        for number, loss in zip(
            step.start_rounds or (0,), step.start_ce_losses or (step.ce_loss or 0.0,), strict=False
        ):
            groups.setdefault(number, []).append((step.iteration, loss))
    gap = max(1, -(-len(groups) // _LEGEND))
    for place, (number, points) in enumerate(sorted(groups.items())):
        name = f"Round {number}" if number else "All images"
        colour = round_colour(number, last_start or num_rounds) if number else NEUTRAL
        is_named = place % gap == 0 or place == len(groups) - 1
        hover = f"{name}: cross-entropy %{{y:.4g}}"
        x, y = zip(*points, strict=True)
        mark: dict[str, Any] = (
            {"marker": {"size": 6}} if len(points) == 1 else {}
        )  # a line through one point is invisible
        add_line(figure, name, x, y, colour, hover=hover, showlegend=is_named, row=1, col=1, **mark)
    if steps:
        at, weighted = [step.iteration for step in steps], [step.total_loss - (step.ce_loss or 0.0) for step in steps]
        name, hover = "BatchNorm, all joined images", "BatchNorm, weighted: %{y:.4g}"
        add_line(figure, name, at, weighted, BN_COLOUR, dash="dot", hover=hover, row=2, col=1)
    else:
        add_note(figure, "No steps yet", y=0.75)
    mark_rounds(figure, iterations, num_rounds)
    figure.update_xaxes(range=[0, iterations])
    figure.update_yaxes(rangemode="tozero")
    return figure.update_layout(showlegend=True, hovermode="x unified", uirevision="losses")


def _matching_loss(steps: Sequence[StepEvent], iterations: int, num_rounds: int) -> go.Figure:
    """Draw the distance between synthetic and real batches, of methods without a teacher."""
    figure = blank_figure("Iteration", "Distance to real batches", height=LOSS_HEIGHT)
    at, name = [step.iteration for step in steps], "Mean over the classes"
    add_line(figure, name, at, [step.total_loss for step in steps], LINE, hover=f"{name}: %{{y:.4g}}")
    mark_rounds(figure, iterations, num_rounds)
    figure.update_xaxes(range=[0, iterations])
    figure.update_yaxes(rangemode="tozero")
    return figure.update_layout(hovermode="x unified", uirevision="losses")


def prediction_curves(
    iterations: Sequence[int], probabilities: Mapping[str, Sequence[float | None]], *, joins_at: int = 0
) -> go.Figure:
    """Draw the teacher's probabilities of an image's likeliest classes over a run, a line a class, the own one bold.

    Probabilities are by name of the class, its own first, None where a class was not among the likeliest. Before
    ``joins_at`` the image is what it started from. Iterations are counted from the beginning of the run.

    Raises:
        ShapeError: a line is not as long as ``iterations``.
    """
    figure = blank_figure("Iteration of the run", "Teacher's probability", height=300)
    for place, (name, values) in enumerate(probabilities.items()):
        if len(values) != len(iterations):
            raise ShapeError(f"probabilities: {len(values)} given for {name}, but there are {len(iterations)} rounds.")
        colour, width, size = (NEUTRAL, 1.5, 5) if place else (LINE, 3, 7)
        dash = _OTHERS[(place - 1) % len(_OTHERS)] if place else "solid"
        hover, marks = f"{name}: %{{y:.3f}} after %{{x:,}} iterations", {"size": size}
        add_line(figure, name, iterations, values, colour, hover=hover, width=width, dash=dash, marker=marks)
    if joins_at:
        figure.add_vline(x=joins_at, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
        at = {"x": joins_at, "y": 1, "xanchor": "left", "yanchor": "top", "xshift": 4, "yref": "paper"}
        figure.add_annotation(text="joins", showarrow=False, **at)
    figure.update_layout(legend={"font": {"size": 11}, "entrywidth": 72})
    figure.update_yaxes(range=[-0.03, 1.05])
    return figure.update_xaxes(rangemode="tozero")
