"""What all figures share: colours of methods and rounds, axes, lines.

Backgrounds are transparent, and texts take font and colour from the theme, so a figure stands in a light and in a
dark theme alike. Colours that carry meaning have a contrast of 3 or more against white and against near-black, and the
methods' stay apart for colour-blind readers; where lines cross, dashes tell them apart as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

METHOD_COLOURS: dict[str, str] = {
    "delt": "#e57519",  # orange
    "delt-plus": "#a85500",  # rust, near DELT's own
    "cda": "#6c3ef9",  # indigo
    "cda-init": "#ad8f71",  # tan
    "cda-early-late": "#c41137",  # crimson
    "sre2l": "#00a2ba",  # cyan
    "sre2l-init": "#9827cb",  # purple
    "rded": "#a529a9",  # magenta
    "gvbsm": "#b07aeb",  # lilac
    "dm": "#c38848",  # ochre
    "dc": "#ec358d",  # rose
    "el2n": "#5f74fa",  # cornflower
    "forgetting": "#b0268c",  # berry
    "herding": "#fe4cb9",  # pink
    "random": "#5e6467",  # grey
    "real": "#06723d",  # green
}
"""One colour a method, the same everywhere. Ours: moved by a search until every pair is at least 18 apart (CIE76) in
normal sight and in full protan, deutan and tritan simulation, those of coresets 15; SRe2L and CDA, seen side by side
most, are at least 36 apart."""

ROUND_SCALE: tuple[str, ...] = ("#7a4bd6", "#c2488f", "#e5752f")
"""Colours from the first round to the last: violet, pink, orange, growing lighter."""

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")
"""Marks of series that their colours alone would tell apart."""

NEUTRAL = "#858585"
LINE = "#12908a"
BN_COLOUR = "#a8741a"
"""Of lines that stand for no method; the last of the BatchNorm loss."""
GRID = "rgba(133, 133, 133, 0.22)"


def method_colour(method: str) -> str:
    """Return a method's colour, grey for one that has none."""
    return METHOD_COLOURS.get(method, NEUTRAL)


def round_colour(round_number: int, num_rounds: int) -> str:
    """Return the colour of a round, counted from 1, on :data:`ROUND_SCALE`.

    >>> round_colour(1, 8), round_colour(8, 8)
    ('#7a4bd6', '#e5752f')
    """
    share = (round_number - 1) / (num_rounds - 1) if num_rounds > 1 else 0.0
    place = min(max(share, 0.0), 1.0) * (len(ROUND_SCALE) - 1)
    left = min(int(place), len(ROUND_SCALE) - 2)
    pair = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in ROUND_SCALE[left : left + 2]]
    return "#" + "".join(f"{round(a + (b - a) * (place - left)):02x}" for a, b in zip(*pair, strict=True))


def blank_figure(x_title: str, y_title: str, height: int = 300) -> go.Figure:
    """Return an empty figure in the common style."""
    figure = apply_style(go.Figure(), height)
    figure.update_xaxes(title_text=x_title)
    return figure.update_yaxes(title_text=y_title)


def two_panels(
    x_title: str, upper: str, lower: str, height: int, share: float = 0.62, spacing: float = 0.1
) -> go.Figure:
    """Return two empty panels over one x axis, the upper one with a ``share`` of the height."""
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=spacing, row_heights=[share, round(1 - share, 3)]
    )
    apply_style(figure, height)
    figure.update_xaxes(title_text=x_title, row=2, col=1)
    figure.update_yaxes(title_text=upper, row=1, col=1)
    return figure.update_yaxes(title_text=lower, row=2, col=1)


def apply_style(figure: go.Figure, height: int) -> go.Figure:
    """Give a figure the common style: no background, thin grid, small margins, no font or text colour of its own."""
    figure.update_layout(
        template=go.layout.Template(layout={"colorway": list(METHOD_COLOURS.values())}),
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 8, "r": 24, "t": 32, "b": 8},
        height=height,
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "title_text": ""},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    return figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)


def add_line(
    figure: go.Figure,
    name: str,
    x: Sequence[Any],
    y: Sequence[Any],
    colour: str,
    *,
    hover: str = "",
    dash: str = "solid",
    width: float = 2,
    **rest: Any,
) -> None:
    """Add a line, with marks where a ``marker`` is given; ``hover`` is the text of a point, in Plotly's template."""
    rest |= {"hovertemplate": f"{hover}<extra></extra>"} if hover else {"hoverinfo": "skip"}
    rest |= {"mode": "lines+markers" if "marker" in rest else "lines"}
    figure.add_scatter(name=name, x=list(x), y=list(y), line={"color": colour, "dash": dash, "width": width}, **rest)


def add_spans(figure: go.Figure, spans: Sequence[tuple[Any, Any, Any]], **line: Any) -> None:
    """Add thin lines from x to x at a height, given as (x, x, y), that join marks of one row."""
    x = [value for first, last, _ in spans for value in (first, last, None)]
    y = [value for _, _, height in spans for value in (height, height, None)]
    look = {"color": NEUTRAL, "width": 2} | line
    figure.add_scatter(x=x, y=y, mode="lines", showlegend=False, hoverinfo="skip", line=look)


def honest_range(
    values: Iterable[float], least: float, floor: float | None = None, ceiling: float | None = None
) -> tuple[float, float]:
    """Return an axis around values that spans at least ``least``, so that a small difference looks small.

    It has a tenth of its span as margin on both sides and stays within ``floor`` and ``ceiling``.

    >>> honest_range([0.969, 0.972], 0.05, ceiling=1.0)
    (0.9405, 1.0)
    >>> honest_range([40.0, 80.0], 20.0)
    (36.0, 84.0)
    """
    found = list(values) or [0.0]
    low, high = min(found), max(found)
    middle, span = (low + high) / 2, max(high - low, least)
    low, high = middle - 0.6 * span, middle + 0.6 * span
    if ceiling is not None and high > ceiling:
        low, high = min(low, ceiling - span), ceiling
    if floor is not None and low < floor:
        low, high = floor, max(high, floor + span)
    return round(low, 6), round(high, 6)


def name_rows(figure: go.Figure, names: Sequence[str]) -> None:
    """Name rows 0, 1, ... of the y axis, the first one on top."""
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=list(names), autorange="reversed", showgrid=False)


def add_note(figure: go.Figure, text: str, x: float = 0.5, y: float = 0.5) -> None:
    """Write into an empty figure why it is empty; places are shares of its size."""
    figure.add_annotation(text=text, x=x, y=y, xref="paper", yref="paper", showarrow=False)


def mark_rounds(figure: go.Figure, iterations: int, rounds: int) -> None:
    """Mark the end of every round but the last; of more than 64 rounds none, since they would fill the figure."""
    line = {"color": GRID, "width": 1}
    for number in range(1, rounds if rounds <= 64 else 0):
        x = number * iterations / rounds
        figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, xref="x", yref="paper", layer="below", line=line)
