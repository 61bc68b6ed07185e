"""Figures of the papers' tables: printed numbers, and what was measured here, in the form of the paper's own figure.

Both stand in one panel where they are of the same question; a laptop's numbers have a panel of their own, since only
their order may be compared. Printed numbers are pale, hollow and dashed, measured ones are solid and have whiskers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from delt_engine.plots.style import (
    BN_COLOUR,
    GRID,
    LINE,
    NEUTRAL,
    ROUND_SCALE,
    add_line,
    apply_style,
    blank_figure,
    honest_range,
    method_colour,
)

Form = Literal["bars", "lines", "heat"]

LEAST_POINTS = 5.0
"""What the axis of lines spans at least."""

PRINTED, HERE = "As printed", "Measured here"
_OTHERS = (LINE, ROUND_SCALE[0], ROUND_SCALE[2], BN_COLOUR, ROUND_SCALE[1], NEUTRAL)
"""Colours of series that are of no method."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_PALE, _MEDIUM = 0.35, 0.6
_NARROW = 7
"""Places along x up to which two panels stand side by side."""


@dataclass(frozen=True)
class Mark:
    """One number of a table: where it stands, as printed and as measured here; None where there is none.

    Attributes:
        x: its place along x; two words where values stand in groups.
        series, panel: the other places.
        method: of the series, for its colour; "" where a series is of none.
        words: what is said when it is pointed at.
    """

    x: tuple[str, ...]
    series: str
    method: str
    printed: float | None
    here: float | None
    printed_spread: float = 0.0
    here_spread: float = 0.0
    panel: str = ""
    words: str = ""


@dataclass(frozen=True)
class Axes:
    """What stands along the axes, and whether measured numbers may share one with printed ones."""

    x: str
    y: str
    series: str = ""
    is_one_scale: bool = True


def table_figure(form: Form, marks: Sequence[Mark], axes: Axes) -> go.Figure:
    """Draw a table's numbers as bars, lines or a heat map; ``y`` of a heat map is its colour."""
    return _heat(marks, axes) if form == "heat" else _panels(form, marks, axes)


def _panels(form: Form, marks: Sequence[Mark], axes: Axes) -> go.Figure:
    sides = _sides(marks, axes)
    panels = list(dict.fromkeys(mark.panel for mark in marks))
    places = {panel: list(dict.fromkeys(mark.x for mark in marks if mark.panel == panel)) for panel in panels}
    own_places = form == "lines" and any(found != places[panels[0]] for found in places.values())
    cells = [(panel, side) for panel in panels for side in sides]
    across = len(sides) if len({mark.x for mark in marks}) <= _NARROW else 1
    if own_places:  # as CDA Fig. 7: panels stand side by side, or where numbers of two scales do, below each other
        across = len(panels) if len(sides) == 1 else len(sides)
    rows = len(cells) // across
    titles = [" · ".join(filter(None, (panel, side if len(sides) > 1 else ""))) for panel, side in cells]
    figure = make_subplots(rows, across, subplot_titles=titles, vertical_spacing=0.16 / rows)
    apply_style(figure, 360 if rows == 1 else 110 + 200 * rows)
    looks = series_looks(marks)
    for number, (panel, side) in enumerate(cells):
        place = {"row": number // across + 1, "col": number % across + 1}
        own = [mark for mark in marks if mark.panel == panel]
        for series in dict.fromkeys(mark.series for mark in own):
            of_series = [mark for mark in own if mark.series == series]
            add = _add_bars if form == "bars" else _add_series
            add(figure, of_series, looks[series], side, place)
        values = [value for mark in own for value in _shown(mark, side)]
        reach = (0, 1.08 * max(values, default=1.0)) if form == "bars" else honest_range(values, LEAST_POINTS, 0.0)
        figure.update_yaxes(range=reach, **place)
        figure.update_yaxes(title_text=axes.y if place["col"] == 1 else "", **place)
        is_last = place["row"] == rows
        figure.update_xaxes(title_text=axes.x if is_last else "", showticklabels=is_last or own_places, **place)
        if len(marks[0].x) == 1:
            order = [found[0] for found in places[panel]]
            figure.update_xaxes(type="category", categoryorder="array", categoryarray=order, **place)
    if len(marks[0].x) > 1:
        figure.update_xaxes(type="multicategory", dividercolor=GRID)
    if form == "bars":
        figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.06, scattermode="group", scattergap=0.25)
    figure.for_each_trace(_Once())
    is_told = len(dict.fromkeys(mark.series for mark in marks)) > 1
    height = figure.layout.height
    return figure.update_layout(showlegend=is_told, legend_y=1.0 + 34 / height, margin_t=32 + 26 * any(titles))


class _Once:
    """Lets the first trace of each name stand in the legend."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, trace: Any) -> None:
        trace.update(showlegend=trace.name not in self.seen)
        self.seen.add(trace.name)


def _sides(marks: Iterable[Mark], axes: Axes) -> tuple[str, ...]:
    """Return what stands apart: one where nothing was measured, or where both may share an axis."""
    if not any(mark.here is not None for mark in marks):
        return (PRINTED,)
    return ("",) if axes.is_one_scale else (PRINTED, HERE)


def _shown(mark: Mark, side: str) -> Iterator[float]:
    if mark.printed is not None and side != HERE:
        yield from (mark.printed - mark.printed_spread, mark.printed + mark.printed_spread)
    if mark.here is not None and side != PRINTED:
        yield from (mark.here - mark.here_spread, mark.here + mark.here_spread)


@dataclass(frozen=True)
class Look:
    """Colour and dash of a series."""

    colour: str
    dash: str


def series_looks(marks: Iterable[Mark]) -> Mapping[str, Look]:
    """Return how each series looks: in its method's colour, else in one of its own; equal colours differ by dashes."""
    found: dict[str, Look] = {}
    others = cycle(_OTHERS)
    for mark in marks:
        if mark.series not in found:
            colour = method_colour(mark.method) if mark.method else next(others)
            alike = sum(look.colour == colour for look in found.values())
            found[mark.series] = Look(colour, _DASHES[alike % len(_DASHES)])
    return found


def _add_bars(figure: go.Figure, marks: Sequence[Mark], look: Look, side: str, place: Mapping[str, int]) -> None:
    """Add printed bars, pale, with the measured numbers over them; in a panel of their own measured ones are bars."""
    shared: dict[str, Any] = {"name": marks[0].series, "legendgroup": marks[0].series, "offsetgroup": marks[0].series}
    shared |= {"x": _places(marks), "hovertext": [mark.words for mark in marks], "hoverinfo": "text"}
    is_here = side == HERE
    pattern = {"shape": {"solid": "", "dash": "/", "dot": "."}.get(look.dash, "x"), "fgopacity": 0.6}
    figure.add_bar(
        y=[mark.here if is_here else mark.printed for mark in marks],
        marker={"color": look.colour, "opacity": {HERE: 1.0, PRINTED: _MEDIUM}.get(side, _PALE), "pattern": pattern},
        error_y=_whiskers([mark.here_spread if is_here else mark.printed_spread for mark in marks]),
        **shared,
        **place,
    )
    if side == "":
        figure.add_scatter(
            y=[mark.here for mark in marks],
            mode="markers",
            marker={"color": look.colour, "size": 11, "symbol": "diamond", "line": {"width": 1, "color": "white"}},
            error_y=_whiskers([mark.here_spread for mark in marks]),
            **shared,
            **place,
        )


def _add_series(figure: go.Figure, marks: Sequence[Mark], look: Look, side: str, place: Mapping[str, int]) -> None:
    """Add a line through the printed numbers, thin and hollow, and one through the measured ones."""
    name = marks[0].series
    for kind, is_drawn in ((PRINTED, side != HERE), (HERE, side != PRINTED)):
        is_here = kind == HERE
        own = [mark for mark in marks if (mark.here if is_here else mark.printed) is not None]
        if not is_drawn or not own:
            continue
        own_panel = side in (PRINTED, HERE)
        add_line(
            figure,
            name,
            _places(own),
            [mark.here if is_here else mark.printed for mark in own],
            look.colour,
            dash=look.dash if own_panel or is_here else "dot",
            width=2.5 if is_here or own_panel else 1.5,
            marker={"size": 9, "symbol": "circle" if is_here else "circle-open", "line": {"width": 2}},
            error_y=_whiskers([mark.here_spread if is_here else mark.printed_spread for mark in own]),
            hovertext=[mark.words for mark in own],
            hoverinfo="text",
            legendgroup=name,
            row=place["row"],
            col=place["col"],
        )


def _places(marks: Sequence[Mark]) -> list[Any]:
    """Return places along x: words, or of groups a list a level."""
    levels = list(zip(*(mark.x for mark in marks), strict=True))
    return [list(level) for level in levels] if len(levels) > 1 else list(levels[0])


def _whiskers(spreads: Sequence[float]) -> dict[str, Any]:
    return {"array": list(spreads), "visible": any(spreads), "thickness": 1.5, "width": 4, "color": NEUTRAL}


def _heat(marks: Sequence[Mark], axes: Axes) -> go.Figure:
    """Draw a map of numbers beside one of those measured here, each with colours of its own range."""
    x, y = (list(dict.fromkeys(words)) for words in ([mark.x[0] for mark in marks], [mark.series for mark in marks]))
    has_here = any(mark.here is not None for mark in marks)
    columns = (PRINTED, HERE) if has_here else (PRINTED,)
    figure = make_subplots(1, len(columns), subplot_titles=columns, shared_yaxes=True, horizontal_spacing=0.06)
    apply_style(figure, 130 + 62 * len(y))
    at = {(mark.x[0], mark.series): mark for mark in marks}
    for column, what in enumerate(columns, 1):
        rows = [[at.get((across, down)) for across in x] for down in y]
        values = [[None if one is None else one.here if what == HERE else one.printed for one in row] for row in rows]
        known = [value for row in values for value in row if value is not None]
        low, high = honest_range(known, 2.0)
        digits = 1 if what == HERE else 2
        figure.add_heatmap(
            x=x,
            y=y,
            z=values,
            zmin=low,
            zmax=high,
            text=[["" if value is None else f"{value:.{digits}f}" for value in row] for row in values],
            texttemplate="%{text}",
            textfont={"size": 15},
            hovertext=[["" if one is None else one.words for one in row] for row in rows],
            hoverinfo="text",
            colorscale="Viridis",
            showscale=False,
            xgap=3,
            ygap=3,
            row=1,
            col=column,
        )
    figure.update_xaxes(type="category", title_text=axes.x, showgrid=False)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False)
    figure.update_yaxes(title_text=axes.series, col=1, row=1)
    return figure.update_layout(margin_t=40)


@dataclass(frozen=True)
class HoursCurve:
    """Hours over images a class: a line by a schedule at one rate, with the points that were printed and measured."""

    title: str
    method: str
    line: Sequence[tuple[int, float]]
    printed: Sequence[tuple[int, float]] = ()
    here: Sequence[tuple[int, float]] = ()
    dash: str = "solid"


def hours_over_ipc(curves: Sequence[HoursCurve]) -> go.Figure:
    """Draw hours of synthesis over images a class: lines by the schedule, open points printed, filled ones measured."""
    figure = blank_figure("Images per class", "Hours", height=360)
    for curve in curves:
        colour = method_colour(curve.method)
        if curve.line:
            hover = f"{curve.title}: %{{y:.2f}} h at IPC %{{x}}, by the schedule"
            x, y = zip(*curve.line, strict=True)
            add_line(figure, curve.title, x, y, colour, hover=hover, dash=curve.dash, legendgroup=curve.title)
        for what, points, symbol in (
            ("printed", curve.printed, "diamond-open"),
            ("measured here", curve.here, "circle"),
        ):
            if points:
                figure.add_scatter(
                    name=curve.title,
                    legendgroup=curve.title,
                    showlegend=not curve.line and what == "printed",
                    x=[ipc for ipc, _ in points],
                    y=[hours for _, hours in points],
                    mode="markers",
                    marker={"size": 13, "symbol": symbol, "color": colour, "line": {"width": 2.5, "color": colour}},
                    hovertext=[f"{curve.title}, IPC {ipc}: {hours:.3g} h, {what}" for ipc, hours in points],
                    hoverinfo="text",
                )
    return figure.update_yaxes(rangemode="tozero", exponentformat="none")
