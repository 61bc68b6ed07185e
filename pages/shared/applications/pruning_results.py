"""Finished prunings of one question side by side: accuracy at each step, channels by layer, size, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from delt_engine.plots import pruning
from delt_engine.plots.pruning import PrunedOn
from delt_engine.runs.prunings import COLUMNS, network_title, table_row
from delt_engine.runs.tables import Column
from pages.shared import figure, nav, tables
from pages.shared.applications import answers
from pages.shared.wording import count, plain, plural, short_name

_SAME = ("network_fingerprint", "percent", "sparsity", "sparsity_epochs", "epochs", "recipe", "dataset_fingerprint")
"""What prunings that stand side by side have in common."""

_MORE = (Column("finetuned_best", "Best epoch (%)", 1), Column("seeds_count", "n", 0), Column("source", "Source"))


def draw(found: Sequence[dict[str, Any]]) -> None:
    """Draw one question's prunings, which the reader chooses where there are several questions."""
    own = answers.one_question(found, _SAME, _title, "of")
    for one in own[:1]:
        _sizes(one)
    drawn = _drawn(own)
    figure.draw(pruning.accuracy_steps(drawn, chance=own[0]["chance"]), "applications/accuracy")
    st.caption(_measured(own))
    figure.draw(pruning.kept_channels(drawn), "applications/channels")
    st.caption(
        "Channels of each convolution, grey before the cut; the smallest BatchNorm scales of all layers go first. "
        f"{own[0]['percent']:g} % cut are channels, as published slimming code counts; of the weights "
        f"{own[0]['kept_weights_percent']:.1f} % stay. DELT's Table 7 is said to be of 50 % weights."
    )
    _table(own)
    _links(own)


def _title(one: dict[str, Any]) -> str:
    parts = (short_name(one["dataset"]), network_title(one), f"{one['percent']:g} % cut", f"{one['epochs']} epochs")
    return " · ".join(parts)


def _sizes(one: dict[str, Any]) -> None:
    """Draw what the cut leaves: channels, parameters and multiplications."""
    with st.container(horizontal=True):
        counted = "Published slimming code counts channels; a channel takes weights of two layers along."
        st.metric("Channels kept", f"{one['kept_percent']:.1f} %", help=counted)
        weights = f"DELT writes of 50 % weights without saying how it counts. {counted}"
        st.metric("Weights kept", f"{one['kept_weights_percent']:.1f} %", help=weights)
        for name, title in (("parameters", "Parameters"), ("macs", "MACs of an image")):
            size = one[name]
            change = f"{size['kept_percent'] - 100:.0f} %"
            st.metric(title, count(size["after"]), change, delta_color="off", help=f"{count(size['before'])} before.")


def _drawn(own: Sequence[dict[str, Any]]) -> list[PrunedOn]:
    return [
        PrunedOn(
            label=label,
            method=one["method"],
            accuracies={step: one[step] for step in pruning.STEPS},
            spreads={step: one[f"{step}_std"] for step in pruning.STEPS},
            layers=[(layer["name"], layer["channels"], layer["kept"]) for layer in one["layers"]],
            seeds=len(one["seeds"]),
        )
        for label, one in zip(answers.labels([one["pruning"] for one in own], own), own, strict=True)
    ]


def _measured(own: Sequence[dict[str, Any]]) -> str:
    """Return where the numbers are from."""
    one, seeds = own[0], {len(each["seeds"]) for each in own}
    trained = f", {one['network_epochs']} epochs on the real data" if one["network_epochs"] else ""
    number = plural(max(seeds), "seed") if len(seeds) == 1 else "several seeds"
    words = (
        f"Measured here on {count(one['test_images'])} test images of {one['dataset_title']}, mean over {number}. "
        f"Network: {one['network_name']}{trained}. Sparsity {one['sparsity']:g} for {one['sparsity_epochs']} epochs, "
        f"then {one['epochs']} epochs of fine-tuning, {one['recipe_title']} recipe, "
        f"labels of {one['teacher'] or 'the classes'}."
    )
    return plain(words)


def _table(own: Sequence[dict[str, Any]]) -> None:
    rows = [{**table_row(one), "seeds_count": len(one["seeds"])} for one in own]
    note = f"{_title(own[0])}; top-1 on the real test images, ± is the sample standard deviation over the n seeds."
    tables.draw(rows, (*COLUMNS, *_MORE), "applications/pruning", f"pruning-{own[0]['dataset']}", note)


def _links(own: Sequence[dict[str, Any]]) -> None:
    answers.commands([one["pruning"] for one in own], own)
    with st.container(horizontal=True):
        nav.link("study/papers", "DELT Table 7", table="delt-7")
        nav.link("explore/accuracy", "Students on these images")
