"""What a person sees while a run is worked on: bars with rate and time left on a terminal, else a line now and then.

Everything goes to stderr, so that stdout holds the result and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Event = dict[str, Any]
LINE_SECONDS = 10.0
_STAGES = {"rank": "rank patches", "select": "select patches"}


class Display(Protocol):
    """Takes the events of a run."""

    def show(self, event: Event) -> None:
        """Show one event."""


@contextmanager
def display(*, quiet: bool = False) -> Iterator[Display]:
    """Yield what shows events: bars on a terminal, lines elsewhere, nothing when ``quiet``."""
    console = Console(stderr=True)
    if quiet:
        yield Silence()
    elif console.is_terminal:
        with Bars(console) as bars:
            yield bars
    else:
        yield Lines(lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True))


class Silence:
    """Shows nothing."""

    def show(self, event: Event) -> None:
        """Show nothing of ``event``."""


class Lines:
    """Says a line at the end of every round or epoch, and when a stage has gone on for a while.

    Args:
        say: takes a line.
        clock: seconds, for tests.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._last = clock()
        self._rate = ""

    def show(self, event: Event) -> None:
        """Show one event."""
        if event["kind"] == "step" and event.get("image_iterations"):
            self._rate = f", {event['image_iterations'] / max(event['t'], 1e-9):,.0f} image-iterations/s"
        text = self._line(event)
        is_due = _is_told(event) or self._clock() - self._last >= LINE_SECONDS
        if text and is_due:
            self._last = self._clock()
            self._say(text)

    def _line(self, event: Event) -> str:
        kind = event["kind"]
        if kind == "note":
            return event["text"]
        if kind == "memory":
            return _memory(event)
        if kind == "stage":
            return f"{_STAGES.get(event['stage'], event['stage'])}: {event['done']:,} of {event['total']:,}"
        if kind == "epoch":
            return f"{_student(event)}epoch {event['epoch']} of {event['epochs']}: {_accuracies(event)}"
        if kind == "student":
            return f"{_student(event)}top-1 {event['top1_last']:.1f} %, best epoch {event['top1_best']:.1f} %"
        if kind == "round":
            batch = f"batch {event['batch'] + 1} of {event['batches']}, " if event["batches"] > 1 else ""
            part = " (stopped in it)" if event["partial"] else ""
            return f"{batch}round {event['round']} of {event['rounds']}{part}{self._rate}"
        if kind == "step" and "iterations" in event:
            return f"iteration {event['iteration'] + 1:,} of {event['iterations']:,}{self._rate}"
        if kind == "step":
            step = f"step {event['step']} of {event['steps']}"
            return f"{_student(event)}epoch {event['epoch']} of {event['epochs']}, {step}"
        return ""


class Bars:
    """Shows a bar a stage, with rate and time left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        kind = event["kind"]
        if kind == "note":
            self._progress.console.print(event["text"], markup=False, highlight=False)
        elif kind == "memory":
            self._progress.console.print(_memory(event), markup=False, highlight=False)
        elif kind == "stage":
            self._move(_STAGES.get(event["stage"], event["stage"]), event["done"], event["total"], "")
        elif kind == "step" and "image_iterations" in event:
            rate = event["image_iterations"] / max(event["t"], 1e-9)
            note = f"round {event['round']}/{event['rounds']}, {rate:,.0f} image-iterations/s"
            self._move("recover", event["image_iterations"], event["image_iterations_total"], note)
        elif "student" in event:
            self._show_student(event)
        elif kind == "step":
            done = (event["epoch"] - 1) * event["steps"] + event["step"]
            note = f"epoch {event['epoch']}/{event['epochs']}, train {event['train_accuracy']:.1f} %"
            self._move("squeeze", done, event["epochs"] * event["steps"], note)
        elif kind == "epoch":
            self._progress.console.print(f"epoch {event['epoch']}: {_accuracies(event)}", highlight=False)

    def _show_student(self, event: Event) -> None:
        name = f"train student {event['student'] + 1} of {event['students']}"
        if event["kind"] == "student":
            text = f"{_student(event)}top-1 {event['top1_last']:.1f} %, best epoch {event['top1_best']:.1f} %"
            self._progress.console.print(text, highlight=False)
        elif event["kind"] == "step":
            done = (event["epoch"] - 1) * event["steps"] + event["step"]
            note = f"epoch {event['epoch']}/{event['epochs']}, loss {event['loss']:.3g}"
            self._move(name, done, event["epochs"] * event["steps"], note)
        elif event["top1"] is not None and name in self._tasks:
            self._progress.update(self._tasks[name], note=f"epoch {event['epoch']}, top-1 {event['top1']:.1f} %")

    def _move(self, name: str, done: int, total: int, note: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, note=note)
        self._progress.update(self._tasks[name], completed=done, total=total, note=note)


def _student(event: Event) -> str:
    """Return which student an event is about; nothing where there is only one, or none."""
    return f"student {event['student'] + 1} of {event['students']}, " if event.get("students", 1) > 1 else ""


def _is_told(event: Event) -> bool:
    """Return whether an event is told at once: an epoch of a student only where it was tested."""
    is_tested = event.get("top1", 0) is not None
    return event["kind"] in ("round", "note", "student", "memory") or (event["kind"] == "epoch" and is_tested)


def _memory(event: Event) -> str:
    return f"Peak memory: about {event['predicted_mb']:,.0f} MB expected."


def _accuracies(event: Event) -> str:
    if "top1" in event:
        tested = f", test {event['top1']:.1f} %" if event["top1"] is not None else ""
        ema = f", EMA {event['top1_ema']:.1f} %" if event["top1_ema"] is not None else ""
        return f"loss {event['loss']:.4g}{tested}{ema}"
    test = event.get("test_accuracy")
    measured = f", test {test:.1f} %" if test is not None else ""
    return f"loss {event['loss']:.3f}, train {event['train_accuracy']:.1f} %{measured}"
