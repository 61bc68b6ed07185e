"""Figures of pruned networks: accuracy before and after the cut, and the channels that stay of each layer.

Source: DELT Table 7 (accuracy by source); channels by layer as in Liu et al. 2017. The forms are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from delt_engine.plots.style import NEUTRAL, blank_figure, method_colour

STEPS = {"before": "Before", "sparse": "Sparse scales", "pruned": "Pruned", "finetuned": "Fine-tuned"}
"""What is measured, in order."""


@dataclass(frozen=True)
class PrunedOn:
    """A pruning as it is drawn.

    Attributes:
        label: the images, told apart from others; ``method`` gives the colour.
        accuracies: top-1 in percent by step, see :data:`STEPS`; ``spreads`` likewise, over the seeds.
        layers: name, channels before, channels kept (the mean over the seeds), from the image on.
        seeds: how many.
    """

    label: str
    method: str
    accuracies: Mapping[str, float]
    spreads: Mapping[str, float]
    layers: Sequence[tuple[str, int, float]]
    seeds: int = 1


def accuracy_steps(found: Sequence[PrunedOn], *, chance: float) -> go.Figure:
    """Draw the accuracy of each step, a bar a source with its spread, and chance as a line."""
    figure = blank_figure("", "Top-1 on the real test images (%)", 340)
    for one in found:
        spreads = [one.spreads.get(step, 0.0) if one.seeds > 1 else 0.0 for step in STEPS]
        figure.add_bar(
            name=one.label,
            x=list(STEPS.values()),
            y=[one.accuracies[step] for step in STEPS],
            marker_color=method_colour(one.method),
            error_y={"array": spreads, "visible": any(spreads), "color": NEUTRAL},
            hovertemplate=f"{one.label}, %{{x}}: %{{y:.1f}} %<extra></extra>",
        )
    figure.add_hline(chance, line={"color": NEUTRAL, "dash": "dot"}, name=f"Chance, {chance:.3g} %", showlegend=True)
    figure.update_yaxes(range=[0, 101])
    return figure.update_layout(barmode="group", bargap=0.25, showlegend=True)


def kept_channels(found: Sequence[PrunedOn]) -> go.Figure:
    """Draw the channels that stay of each layer, a bar a source, in front of all that there were."""
    figure = blank_figure("Layer, from the image on", "Channels", 320)
    names = [f"{number} ({name})" for number, (name, _, _) in enumerate(found[0].layers, start=1)]
    figure.add_bar(
        name="Before",
        x=names,
        y=[channels for _, channels, _ in found[0].layers],
        marker={"color": "rgba(133, 133, 133, 0.25)"},
        width=0.9,
        offset=-0.45,
        hovertemplate="%{x}: %{y} channels before<extra></extra>",
    )
    width = 0.84 / len(found)
    for place, one in enumerate(found):
        figure.add_bar(
            name=one.label,
            x=names,
            y=[kept for _, _, kept in one.layers],
            marker_color=method_colour(one.method),
            width=width,
            offset=-0.42 + place * width,
            customdata=[100.0 * kept / channels for _, channels, kept in one.layers],
            hovertemplate=f"{one.label}, %{{x}}: %{{y:.4g}} kept, %{{customdata:.0f}} %<extra></extra>",
        )
    return figure.update_layout(barmode="overlay", showlegend=True)
