"""Figures of student accuracy: bars with spread, curves over epochs, classes, cost, and measured beside published.

Accuracies are percent on the real test images. A spread is the sample standard deviation over students of other seeds;
of one student there is none. Published numbers are drawn as open marks, so that nobody takes them for measured ones.

Source: DELT Table 1 (accuracy by IPC), Table 6 (cost); the forms are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import plotly.graph_objects as go

from delt_engine.plots.label_sides import label_sides
from delt_engine.plots.style import (
    METHOD_COLOURS,
    NEUTRAL,
    SYMBOLS,
    add_line,
    add_spans,
    blank_figure,
    honest_range,
    method_colour,
    name_rows,
)

_GROUP, _FEWEST = 0.84, 4
"""Share of a group's width that bars fill, and how many it has room for at least: a lone bar is not page-wide."""
_NAMED, _WORDY = 7, 14
"""Bars up to which each is named below the axis, and up to which each says its value there in words."""
_LINE_PX = 16
"""Height of a line of words below the axis."""
MOST_CLASSES = 40
"""Classes named in a figure; of more, those at both ends."""
_WHISKERS = {"color": NEUTRAL, "thickness": 1.5, "width": 4}
_HALO, _CORE = ("#ffffff", 5.0, 7), ("#161616", 1.8, 5)
"""Colour, thickness and width of a whisker: dark within light, so that it is read on any bar and in both themes."""
LEAST_POINTS = 20.0
"""Points of accuracy that an axis of dots spans at least."""
LEAST_COSINE = 0.05
"""Cosine similarity that an axis or a scale of colours spans at least."""


@dataclass(frozen=True)
class Score:
    """Accuracy of one evaluation.

    Attributes:
        label: what it is called, the same for one method at several IPC.
        method: its colour is that of :data:`delt_engine.plots.style.METHOD_COLOURS`.
        value, spread: percent, mean and standard deviation over the students.
    """

    label: str
    method: str
    ipc: int
    value: float
    spread: float = 0.0
    students: int = 1

    @property
    def title(self) -> str:
        """Label and IPC."""
        return f"{self.label}, IPC {self.ipc:,}"

    @property
    def whisker(self) -> float:
        """The spread, 0 of a single student."""
        return self.spread if self.students > 1 else 0.0

    @property
    def words(self) -> str:
        """The accuracy with spread and number of students.

        >>> Score("DELT", "delt", 10, 43.02, 0.91, 3).words, Score("DELT", "delt", 10, 43.0).words
        ('43.0 ± 0.9 % (3 students)', '43.0 % (1 student)')
        """
        if self.students > 1:
            return f"{self.value:.1f} ± {self.spread:.1f} % ({self.students} students)"
        return f"{self.value:.1f} % (1 student)"


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


@dataclass(frozen=True)
class PublishedMark:
    """A published number in one row of a figure: percent, its spread if printed, and where it stands."""

    value: float
    spread: float | None
    source: str


def accuracy_bars(
    scores: Sequence[Score],
    *,
    what: str = "Accuracy, last epoch",
    random: Mapping[int, float] | None = None,
    real: float | None = None,
    chance: float | None = None,
) -> go.Figure:
    """Draw a bar an evaluation, in groups by IPC, with spread, and the references as lines; the axis begins at 0.

    References are the accuracies on as many random real images, by IPC a line over the group, on the whole real set,
    and of guessing. ``what`` says for the axis which accuracy that is. Values stand below the axis, each under its bar,
    where no whisker and no line runs through them.
    """
    random = dict(random or {})
    ipcs = sorted({score.ipc for score in scores} | set(random))
    groups = {ipc: list(dict.fromkeys(score.label for score in scores if score.ipc == ipc)) for ipc in ipcs}
    width = _GROUP / max([_FEWEST, *map(len, groups.values())])
    is_named, is_wordy = len(scores) <= _NAMED, len(scores) <= _WORDY
    says_students = len({score.students for score in scores}) > 1
    words = {score: _words(score, is_named, is_wordy, says_students) for score in scores}
    lines = max((text.count("<br>") + 1 for text in words.values()), default=0)
    figure = blank_figure("", f"{what} (%)", height=340 + _LINE_PX * lines)
    highest = [value for value in (*random.values(), real, chance) if value is not None]
    fullest_first = sorted(scores, key=lambda score: -len(groups[score.ipc]))  # its order is that of the legend
    for label in dict.fromkeys(score.label for score in fullest_first):
        own = [score for score in scores if score.label == label]
        x = [ipcs.index(s.ipc) + (groups[s.ipc].index(label) - (len(groups[s.ipc]) - 1) / 2) * width for s in own]
        highest += [score.value + score.whisker for score in own]
        figure.add_bar(
            name=label,
            legendgroup=label,
            showlegend=not is_named,
            x=x,
            y=[score.value for score in own],
            width=width * 0.9,
            marker={"color": method_colour(own[0].method), "line": {"width": 0}},
            hovertext=[f"{score.title}: {score.words}" for score in own],
            hoverinfo="text",
        )
        _add_whiskers(figure, label, x, own)
        for place, score in zip(x, own, strict=True):
            _below(figure, place, words[score])
    at = {ipc: (place - 0.47, place + 0.47) for place, ipc in enumerate(ipcs)}
    whole = (-0.5, len(ipcs) - 0.5)
    references: list[tuple[str, float | None, str, str, tuple[float, float]]] = [
        *(("Random real images", random[ipc], "dash", METHOD_COLOURS["random"], at[ipc]) for ipc in sorted(random)),
        ("Whole real set", real, "dot", METHOD_COLOURS["real"], whole),
        ("Chance", chance, "dashdot", NEUTRAL, whole),
    ]
    for name, value, dash, colour, span in references:
        if value is not None:
            look: dict[str, Any] = {"legendgroup": name, "showlegend": all(trace.name != name for trace in figure.data)}
            hover = f"{name}: {value:.1f} %"
            add_line(figure, name, span, [value, value], colour, hover=hover, dash=dash, width=2.5, **look)
    for place, ipc in enumerate(ipcs):
        _below(figure, place, f"<b>{ipc:,} image{'' if ipc == 1 else 's'} per class</b>", lines)
    figure.update_xaxes(showticklabels=False, range=[-0.5, max(1, len(ipcs)) - 0.5], showgrid=False)
    figure.update_yaxes(range=[0, 1.06 * max([*highest, 1.0])])
    return figure.update_layout(
        barmode="overlay", bargap=0, legend_traceorder="normal", margin_b=_LINE_PX * (lines + 1) + 20
    )


def _words(score: Score, is_named: bool, is_wordy: bool, says_students: bool) -> str:
    if not is_wordy:
        return f"{score.value:.1f}"
    spread = f"± {score.spread:.1f}" if score.students > 1 else ""
    parts = [score.label if is_named else "", f"<b>{score.value:.1f}</b>", spread]
    return "<br>".join([*filter(None, parts), *([f"n = {score.students}"] if says_students else [])])


def _below(figure: go.Figure, x: float, text: str, lines: int = 0) -> None:
    """Write below the axis, so many lines further down."""
    look: dict[str, Any] = {"xref": "x", "yref": "paper", "y": 0, "yanchor": "top", "showarrow": False}
    figure.add_annotation(x=x, text=text, yshift=-4 - _LINE_PX * lines - 6 * bool(lines), **look)


def _add_whiskers(figure: go.Figure, label: str, x: Sequence[float], scores: Sequence[Score]) -> None:
    """Add the spreads of bars, where there are any."""
    if not any(score.whisker for score in scores):
        return
    for colour, thickness, width in (_HALO, _CORE):
        figure.add_scatter(
            legendgroup=label,
            showlegend=False,
            x=list(x),
            y=[score.value for score in scores],
            error_y={
                "array": [score.whisker for score in scores],
                "color": colour,
                "thickness": thickness,
                "width": width,
            },
            mode="markers",
            marker={"size": 0.1, "color": colour},
            hoverinfo="skip",
        )


def accuracy_curves(curves: Sequence[Curve]) -> go.Figure:
    """Draw accuracy over epochs: a thin line a seed, and the mean of the seeds as a strong one."""
    figure = blank_figure("Epoch", "Accuracy (%)", height=380)
    for curve, symbol in zip(curves, cycle(SYMBOLS), strict=False):
        lines = [(f"{curve.label}, seed {seed}", points) for seed, points in curve.seeds.items()]
        lines = [*(lines if len(lines) > 1 else ()), (curve.label, mean_curve(curve.seeds))]
        for name, points in lines:
            is_mean = name == curve.label
            mark = {"size": 6, "symbol": symbol}
            look: dict[str, Any] = {"marker": mark} if is_mean else {"opacity": 0.45, "showlegend": False}
            look |= {"legendgroup": curve.label, "width": 3 if is_mean else 1}
            x, y = [epoch for epoch, _ in points], [value for _, value in points]
            hover = f"{name}, epoch %{{x}}: %{{y:.1f}} %"
            add_line(figure, name, x, y, method_colour(curve.method), hover=hover, **look)
    return figure.update_yaxes(rangemode="tozero")


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
    figure = blank_figure(f"Points of {names[0]} above {names[1]}", "", height=26 * len(order) + 110)
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
    name_rows(figure, [class_names[at] for at in order])
    reach = 1.2 * max(1.0, float(np.abs(gaps).max(initial=0.0)))
    return figure.update_xaxes(range=[-reach, reach], zeroline=True, zerolinecolor=NEUTRAL)


def cost_scatter(points: Sequence[CostPoint], cost: str) -> go.Figure:
    """Draw accuracy against what the images cost to make, coloured by how alike the images of a class are.

    Sets without a cosine are grey; ``cost`` is the title of the axis, for instance "Image-iterations". The accuracies
    span at least :data:`LEAST_POINTS`, the colours at least :data:`LEAST_COSINE`.
    """
    figure = blank_figure(cost, "Accuracy (%)", height=420)
    known = [point for point in points if point.cosine is not None]
    low, high = honest_range([point.cosine or 0.0 for point in known], LEAST_COSINE, ceiling=1.0)
    bar = {"title": {"text": "Cosine similarity", "side": "right"}, "thickness": 12, "len": 0.9}
    scale: dict[str, Any] = {"colorscale": "Viridis", "reversescale": True, "showscale": True, "colorbar": bar}
    scale |= {"color": [point.cosine for point in known], "cmin": low, "cmax": high}
    reach = [
        value + sign * point.score.whisker for point in points for value in [point.score.value] for sign in (-1, 1)
    ]
    bottom, top = honest_range(reach, LEAST_POINTS, 0.0, 100.0)
    most = max((point.cost for point in points), default=1.0) or 1.0
    left, right = -0.1 * most, 1.15 * most
    spots = [((p.cost - left) / (right - left), (p.score.value - bottom) / (top - bottom)) for p in points]
    sides = dict(zip(points, label_sides(spots, [point.score.title for point in points]), strict=True))
    for group, colours in ((known, scale), ([point for point in points if point.cosine is None], {"color": NEUTRAL})):
        if not group:
            continue
        alike = ["not measured" if point.cosine is None else f"{point.cosine:.3f}" for point in group]
        figure.add_scatter(
            x=[point.cost for point in group],
            y=[point.score.value for point in group],
            mode="markers+text",
            text=[point.score.title for point in group],
            textposition=[sides[point] for point in group],
            cliponaxis=False,
            showlegend=False,
            error_y={"array": [point.score.whisker for point in group], **_WHISKERS},
            marker={"size": 15, "line": {"width": 2.5, "color": [method_colour(p.score.method) for p in group]}}
            | colours,
            hovertext=[
                f"{p.score.title}: {p.score.words}<br>{cost}: {p.cost:,.0f}<br>Cosine similarity: {words}"
                for p, words in zip(group, alike, strict=True)
            ],
            hoverinfo="text",
        )
    figure.update_xaxes(range=[left, right])
    return figure.update_yaxes(range=[bottom, top])


def against_published(rows: Sequence[tuple[Score, Sequence[PublishedMark]]]) -> go.Figure:
    """Draw each measured accuracy and what papers print for its dataset, IPC and student in a row of their own."""
    figure = blank_figure("Accuracy (%)", "", height=44 * len(rows) + 110)
    values = [[score.value, *(mark.value for mark in marks)] for score, marks in rows]
    add_spans(figure, [(min(row), max(row), place) for place, row in enumerate(values)], width=1.5, dash="dot")
    for name, symbol in (("Measured here", "circle"), ("Published", "diamond-open")):
        key = {"size": 12, "symbol": symbol, "color": NEUTRAL, "line": {"width": 2.5 * (symbol != "circle")}}
        figure.add_scatter(name=name, x=[None], y=[None], mode="markers", marker=key)  # the legend's, of no method
    measured = [(at, s, s.value, s.spread, f"measured: {s.words}") for at, (s, _) in enumerate(rows)]
    printed = [
        (at, score, mark.value, mark.spread or 0.0, f"published: {mark.value:.1f} %<br>{mark.source}")
        for at, (score, marks) in enumerate(rows)
        for mark in marks
    ]
    is_open: dict[str, Any] = {"symbol": "diamond-open", "line": {"width": 2.5}}
    for marks, look, thickness in ((measured, {}, 1.5), (printed, is_open, 1)):
        figure.add_scatter(
            showlegend=False,
            x=[value for _, _, value, _, _ in marks],
            y=[place for place, *_ in marks],
            mode="markers",
            error_x={"array": [spread for _, _, _, spread, _ in marks], **_WHISKERS, "thickness": thickness},
            marker={"size": 14, "color": [method_colour(score.method) for _, score, *_ in marks], **look},
            hovertext=[f"{score.label}, {words}" for _, score, _, _, words in marks],
            hoverinfo="text",
        )
    name_rows(figure, [score.title for score, _ in rows])
    return figure.update_xaxes(rangemode="tozero")


@dataclass(frozen=True)
class MiCurve:
    """Accuracy of one method by MI: the scores in the order of MI."""

    label: str
    method: str
    scores: Mapping[int, Score]


def accuracy_over_mi(curves: Sequence[MiCurve]) -> go.Figure:
    """Draw accuracy with its spread over MI, a line a method; MI stands on a logarithmic axis.

    The accuracies span at least :data:`LEAST_POINTS`.
    """
    figure = blank_figure("MI, iterations of the first images", "Accuracy, last epoch (%)", height=380)
    reach: list[float] = []
    for curve, symbol in zip(curves, cycle(SYMBOLS), strict=False):
        colour, scores = method_colour(curve.method), list(curve.scores.values())
        reach += [score.value + sign * score.whisker for score in scores for sign in (-1, 1)]
        figure.add_scatter(
            name=curve.label,
            x=list(curve.scores),
            y=[score.value for score in scores],
            mode="lines+markers",
            line={"color": colour, "width": 2.5},
            marker={"size": 10, "symbol": symbol},
            error_y={"array": [score.whisker for score in scores], **_WHISKERS, "color": colour},
            hovertext=[f"{curve.label}, MI {at:,}: {score.words}" for at, score in curve.scores.items()],
            hoverinfo="text",
        )
    places = sorted({at for curve in curves for at in curve.scores})
    figure.update_xaxes(type="log", tickvals=places, ticktext=[f"{at:,}" for at in places])
    return figure.update_yaxes(range=honest_range(reach, LEAST_POINTS, 0.0, 100.0))
