"""Figures of student accuracy: bars with spread, curves over epochs, classes, cost, and measured beside published.

Accuracies are percent on the real test images. A spread is the sample standard deviation over students of other seeds;
of one student there is none. Published numbers are drawn as open marks, so that nobody takes them for measured ones.

Source: DELT Table 1 (accuracy by IPC), Table 6 (cost); the forms are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from delt_engine.plots.recovery import METHOD_COLOURS, NEUTRAL, blank_figure

_GROUP = 0.84
"""Share of a group's width that bars fill."""
_WORDY = 14
"""Bars up to which each says its spread and its students in words."""
_TEXT = 0.14
"""Height of two lines of text as a share of the highest value."""
_ROW = 26
"""Height of a row of a figure that lists things, pixels."""
MOST_CLASSES = 40
"""Classes named in a figure; of more, those at both ends."""


@dataclass(frozen=True)
class Score:
    """Accuracy of one evaluation.

    Attributes:
        label: what it is called, the same for one method at several IPC.
        method: its colour is that of :data:`delt_engine.plots.recovery.METHOD_COLOURS`.
        ipc: images per class.
        value: percent, mean over the students.
        spread: their standard deviation.
        students: how many there are.
    """

    label: str
    method: str
    ipc: int
    value: float
    spread: float = 0.0
    students: int = 1


@dataclass(frozen=True)
class Curve:
    """Accuracy over epochs of the students of one evaluation: points (epoch, percent) by seed."""

    label: str
    method: str
    seeds: Mapping[int, Sequence[tuple[int, float]]]


@dataclass(frozen=True)
class CostPoint:
    """One set of images in the scatter: its cost, what a student learns from it, and how alike its images are."""

    score: Score
    cost: float
    cosine: float | None = None


def method_colour(method: str) -> str:
    """Return a method's colour, grey for one that has none."""
    return METHOD_COLOURS.get(method, NEUTRAL)


_HEADROOM = 1.2
"""Share of the highest mark that the axis ends at: words of three lines stand above it, below the legend."""


def accuracy_bars(
    scores: Sequence[Score],
    *,
    what: str = "Accuracy, last epoch",
    random: Mapping[int, float] | None = None,
    real: float | None = None,
    chance: float | None = None,
) -> go.Figure:
    """Draw a bar an evaluation, in groups by IPC, with spread, and the references as lines.

    Args:
        scores: what was measured.
        what: which accuracy, for the axis.
        random: IPC to the accuracy on as many random real images, a line over the group.
        real: accuracy on the whole real set.
        chance: accuracy of guessing.
    """
    figure = blank_figure("Images per class", f"{what} (%)", height=400)
    ipcs = sorted({score.ipc for score in scores} | set(random or {}))
    groups = {ipc: list(dict.fromkeys(score.label for score in scores if score.ipc == ipc)) for ipc in ipcs}
    width = _GROUP / max((len(group) for group in groups.values()), default=1)
    counts = {score.students for score in scores}
    room = _TEXT * max([score.value for score in scores] + [real or 0.0, 1.0])
    highest = [value for value in (*(random or {}).values(), real, chance) if value is not None]
    fullest_first = sorted(scores, key=lambda score: -len(groups[score.ipc]))  # its order is that of the legend
    for label in dict.fromkeys(score.label for score in fullest_first):
        own = [score for score in scores if score.label == label]
        places = [ipcs.index(s.ipc) + (groups[s.ipc].index(label) - (len(groups[s.ipc]) - 1) / 2) * width for s in own]
        words = [_words(s, len(scores) <= _WORDY, len(counts) > 1) for s in own]
        tops = [_top(score, (random or {}).get(score.ipc), room) for score in own]
        highest += tops
        _bars(figure, own, places, width, list(zip(words, tops, strict=True)))
    for ipc, value in sorted((random or {}).items()):
        _line(figure, "Random real images", value, "dash", METHOD_COLOURS["random"], at=ipcs.index(ipc))
    for name, value, dash, colour in (
        ("Whole real set", real, "dot", METHOD_COLOURS["real"]),
        ("Chance", chance, "dashdot", NEUTRAL),
    ):
        if value is not None:
            _line(figure, name, value, dash, colour, groups=len(ipcs))
    figure.update_xaxes(
        tickvals=list(range(len(ipcs))),
        ticktext=[f"IPC {ipc:,}" for ipc in ipcs],
        range=[-0.5, max(1, len(ipcs)) - 0.5],
        showgrid=False,
    )
    figure.update_yaxes(range=[0, _HEADROOM * max([*highest, 1.0])])
    figure.update_layout(barmode="overlay", bargap=0, legend_traceorder="normal")
    return figure


def _bars(
    figure: go.Figure, scores: Sequence[Score], x: Sequence[float], width: float, texts: Sequence[tuple[str, float]]
) -> None:
    spreads = [score.spread if score.students > 1 else 0.0 for score in scores]
    label = scores[0].label
    figure.add_bar(
        name=label,
        legendgroup=label,
        x=x,
        y=[score.value for score in scores],
        width=width * 0.9,
        marker={"color": method_colour(scores[0].method), "line": {"width": 0}},
        error_y={"array": spreads, "visible": any(spreads), "color": NEUTRAL, "thickness": 1.5, "width": 4},
        hovertext=[f"{s.label}, IPC {s.ipc:,}: {told(s)}" for s in scores],
        hoverinfo="text",
    )
    figure.add_scatter(
        legendgroup=label,
        showlegend=False,
        x=x,
        mode="text",
        textposition="top center",
        hoverinfo="skip",
        y=[top for _, top in texts],
        text=[words for words, _ in texts],
        cliponaxis=False,
    )


def told(score: Score) -> str:
    """Return an accuracy in words, with spread and number of students.

    >>> told(Score("DELT", "delt", 10, 43.02, 0.91, 3)), told(Score("DELT", "delt", 10, 43.0))
    ('43.0 ± 0.9 % (3 students)', '43.0 % (1 student)')
    """
    if score.students > 1:
        return f"{score.value:.1f} ± {score.spread:.1f} % ({score.students} students)"
    return f"{score.value:.1f} % (1 student)"


def _top(score: Score, line: float | None, room: float) -> float:
    """Return where the words above a bar begin: over its whisker, and over a line that would run through them."""
    top = score.value + (score.spread if score.students > 1 else 0.0)
    return line if line is not None and top - room / 8 < line < top + room else top


def _words(score: Score, is_wordy: bool, says_students: bool) -> str:
    if not is_wordy:
        return f"{score.value:.1f}"
    spread = f"<br>± {score.spread:.1f}" if score.students > 1 else ""
    return f"<b>{score.value:.1f}</b>{spread}" + (f"<br>n = {score.students}" if says_students else "")


def _line(
    figure: go.Figure, name: str, value: float, dash: str, colour: str, *, at: int | None = None, groups: int = 1
) -> None:
    x = [at - 0.47, at + 0.47] if at is not None else [-0.5, groups - 0.5]
    is_first = all(trace.name != name for trace in figure.data)
    figure.add_scatter(
        name=name,
        legendgroup=name,
        showlegend=is_first,
        x=x,
        y=[value, value],
        mode="lines",
        line={"color": colour, "width": 2.5, "dash": dash},
        hovertemplate=f"{name}: {value:.1f} %<extra></extra>",
    )


def accuracy_curves(curves: Sequence[Curve]) -> go.Figure:
    """Draw accuracy over epochs: a thin line a seed, and the mean of the seeds as a strong one."""
    figure = blank_figure("Epoch", "Accuracy (%)", height=380)
    for curve in curves:
        colour = method_colour(curve.method)
        if len(curve.seeds) > 1:
            for seed, points in curve.seeds.items():
                figure.add_scatter(
                    name=f"{curve.label}, seed {seed}",
                    legendgroup=curve.label,
                    showlegend=False,
                    mode="lines",
                    x=[epoch for epoch, _ in points],
                    y=[value for _, value in points],
                    opacity=0.45,
                    line={"color": colour, "width": 1},
                    hovertemplate=f"{curve.label}, seed {seed}, epoch %{{x}}: %{{y:.1f}} %<extra></extra>",
                )
        mean = mean_curve(curve.seeds)
        figure.add_scatter(
            name=curve.label,
            legendgroup=curve.label,
            mode="lines+markers",
            x=[epoch for epoch, _ in mean],
            y=[value for _, value in mean],
            line={"color": colour, "width": 3},
            marker={"size": 5},
            hovertemplate=f"{curve.label}, epoch %{{x}}: %{{y:.1f}} %<extra></extra>",
        )
    figure.update_yaxes(rangemode="tozero")
    return figure


def mean_curve(seeds: Mapping[int, Sequence[tuple[int, float]]]) -> list[tuple[int, float]]:
    """Return the mean over seeds at the epochs at which all of them were tested.

    >>> mean_curve({0: [(1, 10.0), (2, 30.0)], 1: [(1, 20.0)]})
    [(1, 15.0)]
    """
    tables = [dict(points) for points in seeds.values()]
    epochs = sorted(set.intersection(*map(set, tables))) if tables else []
    return [(epoch, float(np.mean([table[epoch] for table in tables]))) for epoch in epochs]


def class_differences(
    class_names: Sequence[str],
    first: Sequence[float],
    second: Sequence[float],
    names: tuple[str, str],
    colours: tuple[str, str],
) -> go.Figure:
    """Draw by how many points each class is better known by students of the first set than of the second.

    Bars to the right have the first one's colour, to the left the second one's; largest difference on top. Of more
    than :data:`MOST_CLASSES` classes those at both ends are drawn.
    """
    gaps = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    order = np.argsort(gaps, kind="stable")[::-1]
    if len(order) > MOST_CLASSES:
        order = np.concatenate([order[: MOST_CLASSES // 2], order[-(MOST_CLASSES // 2) :]])
    figure = blank_figure(f"Points of {names[0]} above {names[1]}", "", height=_ROW * len(order) + 110)
    figure.add_bar(
        orientation="h",
        x=gaps[order],
        y=list(range(len(order))),
        showlegend=False,
        marker={"color": [colours[0] if gaps[at] >= 0 else colours[1] for at in order], "line": {"width": 0}},
        text=[f"{gaps[at]:+.1f}" for at in order],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{class_names[at]}: {names[0]} {first[at]:.1f} %, {names[1]} {second[at]:.1f} %" for at in order],
        hoverinfo="text",
    )
    figure.update_yaxes(
        tickvals=list(range(len(order))),
        ticktext=[class_names[at] for at in order],
        autorange="reversed",
        showgrid=False,
    )
    reach = 1.2 * max(1.0, float(np.abs(gaps).max(initial=0.0)))
    figure.update_xaxes(range=[-reach, reach], zeroline=True, zerolinecolor=NEUTRAL)
    return figure


def cost_scatter(points: Sequence[CostPoint], cost: str) -> go.Figure:
    """Draw accuracy against what the images cost to make, coloured by how alike the images of a class are.

    Args:
        points: the sets of images; those without a cosine are grey.
        cost: words for the axis, for instance "Image-iterations".
    """
    figure = blank_figure(cost, "Accuracy (%)", height=400)
    bar = {"title": {"text": "Cosine similarity", "side": "right"}, "thickness": 12, "len": 0.9}
    scale = {"colorscale": "Viridis", "reversescale": True, "showscale": True, "colorbar": bar}
    for group, colours in ((_measured(points, True), scale), (_measured(points, False), {"color": NEUTRAL})):
        if not group:
            continue
        if colours is scale:
            colours = scale | {"color": [point.cosine for point in group]}
        figure.add_scatter(
            x=[point.cost for point in group],
            y=[point.score.value for point in group],
            mode="markers+text",
            text=[f"{point.score.label}, IPC {point.score.ipc:,}" for point in group],
            textposition="top center",
            cliponaxis=False,
            showlegend=False,
            error_y={"array": [point.score.spread for point in group], "color": NEUTRAL, "thickness": 1.5, "width": 4},
            marker={"size": 15, "line": {"width": 2.5, "color": [method_colour(p.score.method) for p in group]}}
            | colours,
            hovertext=[_point_words(point, cost) for point in group],
            hoverinfo="text",
        )
    most = max((point.cost for point in points), default=1.0) or 1.0
    figure.update_xaxes(range=[-0.08 * most, 1.12 * most])
    figure.update_layout(margin_t=40)
    return figure


def _measured(points: Iterable[CostPoint], with_cosine: bool) -> list[CostPoint]:
    return [point for point in points if (point.cosine is not None) == with_cosine]


def _point_words(point: CostPoint, cost: str) -> str:
    alike = "not measured" if point.cosine is None else f"{point.cosine:.3f}"
    words = f"{point.score.label}, IPC {point.score.ipc:,}: {told(point.score)}"
    return f"{words}<br>{cost}: {point.cost:,.0f}<br>Cosine similarity: {alike}"
