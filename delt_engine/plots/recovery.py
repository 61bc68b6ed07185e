"""Every figure of the app: arrays and records in, a Plotly figure out.

Backgrounds are transparent, and texts take font and colour from the theme, so a figure stands in a light and in a
dark theme alike. Colours that carry meaning have a contrast of 3 or more against white and against near-black, and the
methods' stay apart for colour-blind readers; where lines cross, dashes tell them apart as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from delt_engine.config import RecoverConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ShapeError
from delt_engine.recovery.batches import clock
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at
from delt_engine.runs.events import SqueezeEpochEvent, StudentEpochEvent

_Epoch = TypeVar("_Epoch", SqueezeEpochEvent, StudentEpochEvent)

METHOD_COLOURS: dict[str, str] = {
    "delt": "#e57517",  # orange
    "cda": "#1f4fff",  # blue
    "cda-init": "#a89078",  # tan
    "sre2l": "#1a98fa",  # sky blue
    "rded": "#d668b7",  # pink
    "gvbsm": "#9440b2",  # purple
    "random": "#6a6a6a",  # grey
    "real": "#087830",  # green
}
"""One colour a method, the same everywhere. Ours: the hues of Okabe and Ito's palette, moved in lightness until every
pair is at least 21 apart (CIE76) in normal sight and in full protan, deutan and tritan simulation."""

ROUND_SCALE: tuple[str, ...] = ("#7a4bd6", "#c2488f", "#e5752f")
"""Colours from the first round to the last: violet, pink, orange, growing lighter."""

NEUTRAL = "#858585"
LINE = "#12908a"
"""Of lines that stand for no method."""
GRID = "rgba(133, 133, 133, 0.22)"
LOSS_STYLES: dict[str, tuple[str, str]] = {
    "Total": (NEUTRAL, "solid"),
    "Cross-entropy": (LINE, "dash"),
    "BatchNorm, weighted": ("#a8741a", "dot"),
}
"""Colour and dash of each line of :func:`loss_curves`; no method's colour."""
_SINGLE_LANES = 60
"""Up to this IPC every image is a bar of its own; above, images of one round share a bar as high as they are many."""
_POINTS = 400


def round_colour(round_number: int, num_rounds: int) -> str:
    """Return the colour of a round on :data:`ROUND_SCALE`.

    Args:
        round_number: 1-based.
        num_rounds: K; the only round of one takes the first colour.

    >>> round_colour(1, 8), round_colour(8, 8)
    ('#7a4bd6', '#e5752f')
    """
    share = (round_number - 1) / (num_rounds - 1) if num_rounds > 1 else 0.0
    place = min(max(share, 0.0), 1.0) * (len(ROUND_SCALE) - 1)
    left = min(int(place), len(ROUND_SCALE) - 2)
    pair = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in ROUND_SCALE[left : left + 2]]
    return "#" + "".join(f"{round(a + (b - a) * (place - left)):02x}" for a, b in zip(*pair, strict=True))


def probability_histogram(
    probabilities: np.ndarray,
    chosen: Sequence[int] | np.ndarray = (),
    title: str = "",
    *,
    start_rounds: Sequence[int] | None = None,
    num_rounds: int = 1,
    bins: int = 40,
) -> go.Figure:
    """Draw how probable the teacher finds the true class of a class's patches, and which of them are chosen.

    Args:
        probabilities: (n,) in [0, 1], one a patch.
        chosen: positions of the chosen patches in ``probabilities``, in the order of joining.
        title: above the figure; none when empty.
        start_rounds: 1-based round in which each chosen patch joins; colours the marks.
        num_rounds: K, the end of the colours.
        bins: bars over 0..1.

    Returns:
        Bars over 0..1, above them one mark a chosen patch, and a line at the median.

    Raises:
        ShapeError: as many rounds as chosen patches are needed.
    """
    probabilities, chosen = np.asarray(probabilities, np.float64), np.asarray(chosen, np.int64)
    if start_rounds is not None and len(start_rounds) != len(chosen):
        raise ShapeError(f"start_rounds: {len(start_rounds)} given, but {len(chosen)} patches are chosen.")
    counts, edges = np.histogram(probabilities, bins=bins, range=(0.0, 1.0))
    top = max(1, counts.max())
    figure = blank_figure("Teacher's probability of the true class", "Patches", title)
    figure.add_bar(
        name="All patches",
        x=(edges[:-1] + edges[1:]) / 2,
        y=counts,
        width=1.0 / bins,
        marker={"color": NEUTRAL, "opacity": 0.55, "line": {"width": 0}},
        hovertext=[
            f"{count} {'patch' if count == 1 else 'patches'} from {low:.3g} to {high:.3g}"
            for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
        ],
        hoverinfo="text",
    )
    if len(chosen):
        figure.add_trace(_chosen_marks(probabilities, chosen, start_rounds, num_rounds, top))
    if len(probabilities):
        median = float(np.median(probabilities))
        figure.add_scatter(
            name=f"Median {median:.3f}",
            x=[median, median],
            y=[0, 1.16 * top],
            mode="lines",
            line={"color": NEUTRAL, "dash": "dash", "width": 1.5},
            hoverinfo="name",
        )
    figure.update_xaxes(range=[-0.01, 1.01])
    figure.update_layout(bargap=0, showlegend=True)
    return figure


def _chosen_marks(
    probabilities: np.ndarray, chosen: np.ndarray, start_rounds: Sequence[int] | None, num_rounds: int, top: float
) -> go.Scatter:
    """Return one upright mark a chosen patch, on a strip above the bars."""
    places = np.empty(len(probabilities), np.int64)
    places[np.argsort(probabilities, kind="stable")] = np.arange(len(probabilities))
    texts = [
        f"Image {at + 1}: probability {probabilities[row]:.4f}, rank {places[row] + 1} of {len(probabilities)}"
        for at, row in enumerate(chosen)
    ]
    colours: Any = METHOD_COLOURS["delt"]
    if start_rounds is not None:
        colours = [round_colour(number, num_rounds) for number in start_rounds]
        texts = [f"{text}, joins in round {r} of {num_rounds}" for text, r in zip(texts, start_rounds, strict=True)]
    return go.Scatter(
        name=f"Chosen ({len(chosen)})",
        x=probabilities[chosen],
        y=np.full(len(chosen), 1.08 * top),
        mode="markers",
        marker={"symbol": "line-ns", "size": 16, "color": colours, "line": {"width": 2, "color": colours}},
        hovertext=texts,
        hoverinfo="text",
    )


def loss_curves(events: Iterable[Mapping[str, Any]], batch: int | None = None) -> go.Figure:
    """Draw cross-entropy, the weighted BatchNorm term, and their sum over the iterations of one batch.

    The weighted term is the total less the cross-entropy, whatever weight the run had.

    Args:
        events: records of a run; those of kind ``step`` are drawn.
        batch: the batch to draw; the latest with a step when None.

    Returns:
        Three lines, and a thin upright line where a round ends; without steps an empty figure that says so.
    """
    steps = [event for event in events if event.get("kind") == "step"]
    if steps:
        batch = steps[-1].get("batch", 0) if batch is None else batch
        steps = [step for step in steps if step.get("batch", 0) == batch]
    figure = blank_figure("Iteration", "Loss")
    if not steps:
        figure.add_annotation(text="No steps yet", x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)
        return figure
    iterations = [step["iteration"] for step in steps]
    total = np.array([step["total_loss"] for step in steps], np.float64)
    ce = np.array([step["ce_loss"] for step in steps], np.float64)
    for (name, (colour, dash)), values in zip(LOSS_STYLES.items(), (total, ce, total - ce), strict=True):
        figure.add_scatter(
            name=name,
            x=iterations,
            y=values,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=f"{name} %{{y:.4g}}<extra></extra>",
        )
    last = steps[-1]
    mark_rounds(figure, last["iterations"], last["rounds"])
    figure.update_layout(hovermode="x unified", showlegend=True)
    figure.update_xaxes(range=[0, last["iterations"]])
    figure.update_yaxes(rangemode="tozero")
    return figure


def schedule_lanes(schedule: EarlyLateSchedule) -> go.Figure:
    """Draw a lane per image of a class over the iterations: where it joins, and how long it is optimised.

    Returns:
        Bars from each image's first iteration to MI, image 1 on top, coloured by the round in which they join. Above
        60 images those of one round share a bar that is as high as they are many.

    Source: DELT Fig. 4, Eq. 7.
    """
    figure = blank_figure("Iteration", "Image of the class", height=max(180, min(26 * schedule.ipc + 90, 460)))
    first = 1
    for number, count in enumerate(schedule.newcomers, start=1):
        if not count:
            continue
        begin = (number - 1) * schedule.round_iterations
        length = schedule.iterations - begin
        single = schedule.ipc <= _SINGLE_LANES
        images = list(range(first, first + count)) if single else [first + (count - 1) / 2]
        span = f"Images {first} to {first + count - 1} join" if count > 1 else f"Image {first} joins"
        rest = f"in round {number} of {schedule.num_rounds}, at iteration {begin}"
        figure.add_bar(
            name=f"Round {number}",
            orientation="h",
            y=images,
            x=[length] * len(images),
            base=[begin] * len(images),
            width=0.8 if single else count,
            marker={"color": round_colour(number, schedule.num_rounds), "line": {"width": 0}},
            hovertext=[
                f"Image {image} joins {rest}, and gets {length} iterations"
                if single
                else f"{span} {rest}, and {'get' if count > 1 else 'gets'} {length} iterations"
                for image in images
            ],
            hoverinfo="text",
        )
        first += count
    mark_rounds(figure, schedule.iterations, schedule.num_rounds)
    figure.update_layout(barmode="overlay", showlegend=False)
    figure.update_xaxes(range=[0, schedule.iterations])
    ticks = {"dtick": 1} if schedule.ipc <= 20 else {"nticks": 10}
    figure.update_yaxes(range=[schedule.ipc + 0.5, 0.5], showgrid=False, tickformat="d", **ticks)
    return figure


def learning_curves(config: RecoverConfig) -> go.Figure:
    """Draw the learning rate and the smallest crop over a run, one above the other.

    Source: DELT Table 8b (cosine learning rate); CDA Algorithm 1 (curriculum).
    """
    length = config.round_iterations if config.restart_rounds else config.iterations
    iterations = _sampled(config.iterations, length, config.milestone)
    rates = [learning_rate_at(*clock(s, config), config.learning_rate) for s in iterations]
    limits = (config.curriculum, config.milestone, config.min_crop, config.max_crop)
    crops = [crop_scale_at(*clock(s, config), *limits)[0] for s in iterations]
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12)
    apply_style(figure, height=320)
    for row, (name, values) in enumerate((("Learning rate", rates), ("Smallest crop", crops)), start=1):
        figure.add_scatter(
            name=name,
            x=iterations,
            y=values,
            mode="lines",
            line={"color": LINE, "width": 2},
            hovertemplate=f"Iteration %{{x}}: {name.lower()} %{{y:.4g}}<extra></extra>",
            row=row,
            col=1,
        )
        figure.update_yaxes(title_text=name, rangemode="tozero", row=row, col=1)
    figure.update_yaxes(range=[0, 1.02], row=2, col=1)
    figure.update_xaxes(range=[0, config.iterations])
    figure.update_xaxes(title_text="Iteration", row=2, col=1)
    mark_rounds(figure, config.iterations, config.schedule.num_rounds)
    figure.update_layout(showlegend=False)
    return figure


def _sampled(iterations: int, length: int, milestone: float) -> list[int]:
    """Return the iterations at which curves are drawn: evenly spread, and both sides of every jump."""
    spread = np.linspace(0, iterations - 1, min(iterations, _POINTS)).astype(int).tolist()
    turn = int(np.ceil(milestone * length))
    starts = range(0, iterations, length) if iterations // length <= _POINTS else range(0)
    jumps = [start + at for start in starts for at in (0, turn - 1, turn, length - 1) if 0 <= at < length]
    return sorted(set(spread) | set(jumps))


def newest_epochs(events: Iterable[_Epoch]) -> list[_Epoch]:
    """Return the epochs of one training in order, each once and as it was last written.

    A training that was killed goes on from its last checkpoint, so epochs after that one are written again; those that
    it has not come to again are left out.
    """
    found: list[_Epoch] = []
    for event in events:
        while found and found[-1].epoch >= event.epoch:
            found.pop()
        found.append(event)
    return found


def mark_rounds(figure: go.Figure, iterations: int, rounds: int) -> None:
    """Mark the end of every round but the last; of more than 64 rounds none, since they would fill the figure."""
    if rounds > 64:
        return
    for number in range(1, rounds):
        x = number * iterations / rounds
        line = {"color": GRID, "width": 1}
        figure.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, xref="x", yref="paper", layer="below", line=line)


def blank_figure(x_title: str, y_title: str, title: str = "", height: int = 300) -> go.Figure:
    """Return an empty figure in the common style."""
    figure = go.Figure()
    apply_style(figure, height)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    if title:
        figure.update_layout(title_text=title, margin_t=64)
    return figure


def apply_style(figure: go.Figure, height: int) -> None:
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
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
