"""Figures of the papers' tables: printed numbers, and what was measured here, in the form of the paper's own figure.

Both stand in one panel where they are of the same question; a laptop's numbers have a panel of their own, since only
their order may be compared. Printed numbers are pale, hollow and dashed, measured ones are solid and have whiskers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from delt_engine.plots.style import (
    BN_COLOUR,
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
"""What an axis of lines spans at least."""

PRINTED, HERE = "As printed", "Measured here"
_OTHERS = (LINE, ROUND_SCALE[0], ROUND_SCALE[2], BN_COLOUR, ROUND_SCALE[1], NEUTRAL)
"""Colours of series that are of no method."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_PALE = 0.35


@dataclass(frozen=True)
class Mark:
    """One number of a table: where it stands, as printed and as measured here; None where there is none.

    Attributes:
        x, series, panel: its places as text.
        method: of the series, for its colour; "" where a series is of none.
        words: what is said when it is pointed at.
    """

    x: str
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
    panels = list(dict.fromkeys(mark.panel for mark in marks))
    columns = _columns(marks, axes)
    titles = [
        " · ".join(filter(None, (panel, what if len(columns) > 1 else ""))) for panel in panels for what in columns
    ]
    figure = make_subplots(len(panels), len(columns), subplot_titles=titles, vertical_spacing=0.28 / len(panels))
    apply_style(figure, 330 if len(panels) == 1 else 90 + 240 * len(panels))
    looks = series_looks(marks)
    for row, panel in enumerate(panels, 1):
        own = [mark for mark in marks if mark.panel == panel]
        for column, what in enumerate(columns, 1):
            place = {"row": row, "col": column}
            for series in dict.fromkeys(mark.series for mark in own):
                of_series = [mark for mark in own if mark.series == series]
                first = row == column == 1
                add = _add_bars if form == "bars" else _add_series
                add(figure, of_series, looks[series], what, place, in_legend=first)
            values = [value for mark in own for value in _shown(mark, what)]
            bottom, top = honest_range(values, LEAST_POINTS, 0.0)
            figure.update_yaxes(range=[0 if form == "bars" else bottom, max(top, 1e-9)], **place)
            figure.update_yaxes(title_text=axes.y if column == 1 else "", **place)
            figure.update_xaxes(title_text=axes.x if row == len(panels) else "", type="category", **place)
    many = len(dict.fromkeys(mark.series for mark in marks)) > 1
    return figure.update_layout(
        barmode="group",
        bargap=0.25,
        bargroupgap=0.06,
        showlegend=many,
        legend_y=1.0 + 34 / figure.layout.height,
        margin_t=32 + 26 * any(titles),
    )


def _columns(marks: Iterable[Mark], axes: Axes) -> tuple[str, ...]:
    """Return the panels side by side: one where nothing was measured, or where both may share an axis."""
    if not any(mark.here is not None for mark in marks):
        return (PRINTED,)
    return ("",) if axes.is_one_scale else (PRINTED, HERE)


def _shown(mark: Mark, what: str) -> Iterator[float]:
    if mark.printed is not None and what != HERE:
        yield from (mark.printed - mark.printed_spread, mark.printed + mark.printed_spread)
    if mark.here is not None and what != PRINTED:
        yield from (mark.here - mark.here_spread, mark.here + mark.here_spread)


@dataclass(frozen=True)
class Look:
    """Colour and dash of a series; ``order`` counts those that have the same colour."""

    colour: str
    dash: str


def series_looks(marks: Iterable[Mark]) -> Mapping[str, Look]:
    """Return how each series looks: in its method's colour, else in one of its own; equal colours differ by dashes."""
    found: dict[str, Look] = {}
    others, seen = iter(_OTHERS * 3), dict.fromkeys(("",), count())
    for mark in marks:
        if mark.series not in found:
            colour = method_colour(mark.method) if mark.method else next(others)
            found[mark.series] = Look(colour, _DASHES[next(seen.setdefault(colour, count())) % len(_DASHES)])
    return found


def _add_bars(
    figure: go.Figure, marks: Sequence[Mark], look: Look, what: str, place: Mapping[str, int], *, in_legend: bool
) -> None:
    """Add printed bars, pale, with the measured numbers over them; in a panel of their own measured ones are bars."""
    shared = {"name": marks[0].series, "legendgroup": marks[0].series, "offsetgroup": marks[0].series}
    shared |= {"x": [mark.x for mark in marks], "hovertext": [mark.words for mark in marks], "hoverinfo": "text"}
    is_here = what == HERE
    pattern = {"shape": {"solid": "", "dash": "/", "dot": "."}.get(look.dash, "x"), "fgopacity": 0.6}
    figure.add_bar(
        y=[mark.here if is_here else mark.printed for mark in marks],
        marker={"color": look.colour, "opacity": 1.0 if is_here else _PALE, "pattern": pattern},
        error_y=_whiskers([mark.here_spread if is_here else mark.printed_spread for mark in marks]),
        showlegend=in_legend,
        **shared,
        **place,
    )
    if what == "":
        figure.add_scatter(
            y=[mark.here for mark in marks],
            mode="markers",
            marker={"color": look.colour, "size": 11, "symbol": "diamond", "line": {"width": 1, "color": "white"}},
            error_y=_whiskers([mark.here_spread for mark in marks]),
            showlegend=False,
            **shared,
            **place,
        )


def _add_series(
    figure: go.Figure, marks: Sequence[Mark], look: Look, what: str, place: Mapping[str, int], *, in_legend: bool
) -> None:
    """Add a line through the printed numbers, thin and hollow, and one through the measured ones."""
    name = marks[0].series
    for kind, is_drawn in ((PRINTED, what != HERE), (HERE, what != PRINTED)):
        is_here = kind == HERE
        own = [mark for mark in marks if (mark.here if is_here else mark.printed) is not None]
        if not is_drawn or not own:
            continue
        own_panel = what in (PRINTED, HERE)
        add_line(
            figure,
            name,
            [mark.x for mark in own],
            [mark.here if is_here else mark.printed for mark in own],
            look.colour,
            dash=look.dash if own_panel or is_here else "dot",
            width=2.5 if is_here or own_panel else 1.5,
            marker={"size": 9, "symbol": "circle" if is_here else "circle-open", "line": {"width": 2}},
            error_y=_whiskers([mark.here_spread if is_here else mark.printed_spread for mark in own]),
            hovertext=[mark.words for mark in own],
            hoverinfo="text",
            legendgroup=name,
            showlegend=in_legend and (kind == PRINTED or what == HERE or not any(m.printed is not None for m in marks)),
            **place,
        )


def _whiskers(spreads: Sequence[float]) -> dict[str, Any]:
    return {"array": list(spreads), "visible": any(spreads), "thickness": 1.5, "width": 4, "color": NEUTRAL}


def _heat(marks: Sequence[Mark], axes: Axes) -> go.Figure:
    """Draw a map of numbers beside one of those measured here, each with colours of its own range."""
    x, y = (list(dict.fromkeys(getattr(mark, name) for mark in marks)) for name in ("x", "series"))
    has_here = any(mark.here is not None for mark in marks)
    columns = (PRINTED, HERE) if has_here else (PRINTED,)
    figure = make_subplots(1, len(columns), subplot_titles=columns, shared_yaxes=True, horizontal_spacing=0.06)
    apply_style(figure, 130 + 62 * len(y))
    at = {(mark.x, mark.series): mark for mark in marks}
    for column, what in enumerate(columns, 1):
        rows = [[at.get((across, down)) for across in x] for down in y]
        values = [[None if one is None else one.here if what == HERE else one.printed for one in row] for row in rows]
        known = [value for row in values for value in row if value is not None]
        low, high = honest_range(known, 2.0)
        figure.add_heatmap(
            x=x,
            y=y,
            z=values,
            zmin=low,
            zmax=high,
            text=[["" if value is None else f"{value:.2f}" for value in row] for row in values],
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
    return figure.update_yaxes(rangemode="tozero")
