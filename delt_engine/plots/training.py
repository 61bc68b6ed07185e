"""Figures of networks in training: a teacher's loss and accuracies, and the students of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from delt_engine.plots.style import LINE, NEUTRAL, add_line, add_note, apply_style, method_colour, two_panels
from delt_engine.runs.events import Event, SqueezeEpochEvent, StudentEpochEvent

_Epoch = TypeVar("_Epoch", SqueezeEpochEvent, StudentEpochEvent)

STUDENTS_HEIGHT = 380
"""Height of the students' curves in pixels, also while they are empty, so that nothing moves when the first come."""

_STUDENT_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def newest_epochs(events: Iterable[_Epoch]) -> list[_Epoch]:
    """Return the epochs of one training in order, each once and as it was last reported.

    A training that was killed resumes from its last checkpoint; epochs after it that are not reported again are out.
    """
    found: list[_Epoch] = []
    for event in events:
        while found and found[-1].epoch >= event.epoch:
            found.pop()
        found.append(event)
    return found


def training_curves(epochs: Sequence[SqueezeEpochEvent], total: int) -> go.Figure:
    """Draw a teacher's loss on the left, and on the right its accuracy on train and test images over the epochs.

    Of an epoch reported twice the newer counts; ``total`` is how many there are to be.
    """
    figure = apply_style(make_subplots(rows=1, cols=2, horizontal_spacing=0.2), height=280)
    epochs = newest_epochs(epochs)
    for name, key, colour, dash, col, unit in (
        ("Loss, train", "loss", NEUTRAL, "solid", 1, ""),
        ("Train", "train_accuracy", NEUTRAL, "dash", 2, " %"),
        ("Test", "test_accuracy", LINE, "solid", 2, " %"),
    ):
        hover = f"{name} %{{y:.4g}}{unit} after epoch %{{x}}"
        look: dict[str, Any] = {"marker": {"size": 5}, "showlegend": col == 2, "row": 1, "col": col}
        x, y = _points(epochs, key)
        add_line(figure, name, x, y, colour, hover=hover, dash=dash, **look)
    whole = {"dtick": 1} if total < 8 else {"tickformat": "d"}  # no epoch is marked twice
    figure.update_xaxes(title_text="Epoch", range=[0, max(1, total) + 0.3], **whole)
    figure.update_yaxes(title_text="Loss", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title_text="Accuracy, %", range=[0, 101], row=1, col=2)
    if not epochs:
        add_note(figure, "No epoch is<br>finished yet", x=0.2)
    return figure.update_layout(legend={"x": 0.6, "xanchor": "left"})


def student_curves(events: Iterable[Event], *, epochs: int, method: str = "") -> go.Figure:
    """Draw test accuracy and, below it, training loss of students at work over their epochs, a line a student.

    Of an epoch reported twice the newer is drawn; the axis ends at ``epochs``, and the method gives the colour.
    """
    figure = two_panels("Epoch", "Test accuracy (%)", "Loss", STUDENTS_HEIGHT, share=0.6)
    students: dict[int, list[StudentEpochEvent]] = {}
    for event in events:
        if isinstance(event, StudentEpochEvent):
            students.setdefault(event.student, []).append(event)
    for number, reported in sorted(students.items()):
        own, name = newest_epochs(reported), f"Student {number + 1}"
        dash = _STUDENT_DASHES[number % len(_STUDENT_DASHES)]
        for key, title, colour in (("top1", name, method_colour(method)), ("top1_ema", f"{name}, EMA", LINE)):
            x, y = _points(own, key)
            if x or key == "top1":
                hover = f"{title}, epoch %{{x}}: %{{y:.1f}} %"
                add_line(figure, title, x, y, colour, hover=hover, dash=dash, marker={"size": 5}, row=1, col=1)
        x, y = _points(own, "loss")
        hover = f"{name}, epoch %{{x}}: loss %{{y:.4g}}"
        add_line(figure, f"{name}, loss", x, y, NEUTRAL, hover=hover, dash=dash, showlegend=False, row=2, col=1)
    if not students:
        add_note(figure, "No epoch yet", y=0.75)
    figure.update_xaxes(range=[0, epochs])
    figure.update_yaxes(rangemode="tozero", row=1, col=1)
    return figure.update_layout(showlegend=True, uirevision="students")


def _points(events: Sequence[_Epoch], key: str) -> tuple[list[int], list[float]]:
    found = [(event.epoch, getattr(event, key)) for event in events if getattr(event, key) is not None]
    return [epoch for epoch, _ in found], [value for _, value in found]
