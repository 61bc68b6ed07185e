"""Continual learning of one question side by side: accuracy over the classes seen, printed values, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from delt_engine.papers.continual_values import printed_steps
from delt_engine.papers.published import PAPERS
from delt_engine.plots.continual import Learned, accuracy_over_classes
from delt_engine.runs.continuals import COLUMNS, table_row
from delt_engine.runs.tables import Column
from pages.shared import figure, nav, tables
from pages.shared.applications import answers
from pages.shared.wording import count, plain, plural, short_name

_SAME = ("dataset_fingerprint", "steps", "epochs", "recipe", "student", "student_width", "labels")
"""What those that stand side by side have in common."""

_MORE = (Column("epochs", "Epochs", 0), Column("student", "Student"), Column("source", "Source"))


def draw(found: Sequence[dict[str, Any]]) -> None:
    """Draw one question's, which the reader chooses where there are several questions."""
    own = answers.one_question(found, _SAME, _title, "learned")
    lines = [*_measured_lines(own), *_printed_lines(own)]
    figure.draw(accuracy_over_classes(lines), "applications/over-classes")
    st.caption(_measured(own))
    note = f"{_title(own[0])}; top-1 on the real test images, ± is the sample standard deviation over the orders."
    tables.draw([table_row(one) for one in own], (*COLUMNS, *_MORE), "applications/continual", "continual", note)
    _links(own)


def _title(one: dict[str, Any]) -> str:
    parts = (short_name(one["dataset"]), plural(one["steps"], "step"), one["student"], f"{one['epochs']} epochs")
    return " · ".join((*parts, f"{one['labels']} labels"))


def _measured_lines(own: Sequence[dict[str, Any]]) -> list[Learned]:
    return [
        Learned(label, one["method"], one["classes_seen"], one["accuracies"], one["accuracies_std"])
        for label, one in zip(answers.labels([one["continual"] for one in own], own), own, strict=True)
    ]


def _printed_lines(own: Sequence[dict[str, Any]]) -> list[Learned]:
    """Return what papers print for the same data, images a class and steps."""
    lines = []
    for dataset, ipc, steps in sorted({(one["dataset"], one["ipc"] or 0, one["steps"]) for one in own}):
        for method, values in printed_steps(dataset, ipc, steps).items():
            seen = [int(one.words["classes"]) for one in values]
            label = f"{values[0].method_title}, printed in {values[0].where}"
            lines.append(Learned(label, method, seen, [one.value for one in values], is_published=True))
    return lines


def _measured(own: Sequence[dict[str, Any]]) -> str:
    """Return where the numbers are from."""
    one, orders = own[0], {len(each["seeds"]) for each in own}
    number = plural(max(orders), "class order") if len(orders) == 1 else "several class orders"
    bands = " Bands are one sample standard deviation over the orders." if max(orders) > 1 else ""
    words = (
        f"Measured here on up to {count(one['test_images'])} test images of {one['dataset_title']}, mean over "
        f"{number}. "
        f"After each step a new {one['student']} is trained for {one['epochs']} epochs on the images of all classes "
        f"seen so far, {one['recipe_title']} recipe, labels of {one['teacher'] or 'the classes'}, and tested on these "
        f"classes only.{bands}"
    )
    return plain(words)


def _links(own: Sequence[dict[str, Any]]) -> None:
    answers.commands([one["continual"] for one in own], own)
    with st.container(horizontal=True):
        for number in (14, 15):
            nav.link("study/papers", f"{PAPERS['cda']} Table {number}", table=f"cda-{number}")
        nav.link("study/papers", f"{PAPERS['delt']} Figure 8", table="delt-fig8")
        nav.link("explore/accuracy", "Students on these images")
