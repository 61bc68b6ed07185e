"""What a person sees while a run is worked on: bars with rate and time left on a terminal, else a line now and then.

Everything goes to stderr, so that stdout holds the result and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from delt_engine.runs.events import (
    Event,
    MemoryEvent,
    NoteEvent,
    RoundEvent,
    SqueezeEpochEvent,
    SqueezeStepEvent,
    StageEvent,
    StepEvent,
    StudentEpochEvent,
    StudentEvent,
    StudentStepEvent,
)

LINE_SECONDS = 10.0
EVENT_SECONDS = 0.25
"""Shortest time between two looks of people at how far an application is."""
_SAID_AT_ONCE = (RoundEvent, NoteEvent, StudentEvent, MemoryEvent, SqueezeEpochEvent)
_STAGES = {
    "rank": "rank patches",
    "select": "select patches",
    "statistics": "gather statistics",
    "scores": "score images",
}


@contextmanager
def display(*, quiet: bool = False) -> Iterator[Bars | Lines]:
    """Yield what shows events: bars on a terminal, lines elsewhere, nothing when ``quiet``."""
    console = Console(stderr=True)
    if quiet:
        yield Lines(lambda _text: None)
    elif console.is_terminal:
        bars = Bars(console)
        with bars.progress:
            yield bars
    else:
        yield Lines(lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True))


class Lines:
    """Says a line at the end of every round or epoch, and when a stage has gone on for a while."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._last = clock()
        self._rate = ""

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, StepEvent):
            self._rate = f", {event.image_iterations / max(event.t, 1e-9):,.0f} image-iterations/s"
        text, is_prompt = self._line(event), isinstance(event, _SAID_AT_ONCE)
        if isinstance(event, StudentEpochEvent):
            is_prompt = event.top1 is not None
        if text and (is_prompt or self._clock() - self._last >= LINE_SECONDS):
            self._last = self._clock()
            self._say(text)

    def _line(self, event: Event) -> str:
        if isinstance(event, StageEvent):
            return f"{_STAGES.get(event.stage, event.stage)}: {event.done:,} of {event.total:,}"
        if isinstance(event, RoundEvent):
            batch = f"batch {event.batch + 1} of {event.batches}, " if event.batches > 1 else ""
            part = " (stopped in it)" if event.partial else ""
            return f"{batch}round {event.round} of {event.rounds}{part}{self._rate}"
        if isinstance(event, StepEvent):
            return f"iteration {event.iteration + 1:,} of {event.iterations:,}{self._rate}"
        if isinstance(event, (SqueezeStepEvent, StudentStepEvent)):
            return f"{_student(event)}epoch {event.epoch} of {event.epochs}, step {event.step} of {event.steps}"
        if isinstance(event, (SqueezeEpochEvent, StudentEpochEvent)):
            return f"{_student(event)}epoch {event.epoch} of {event.epochs}: {_accuracies(event)}"
        return _sentence(event)


class Bars:
    """Shows a bar a stage, with rate and time left, while ``progress`` is entered."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, StageEvent):
            self._move(_STAGES.get(event.stage, event.stage), event.done, event.total, "")
        elif isinstance(event, StepEvent):
            rate = event.image_iterations / max(event.t, 1e-9)
            note = f"round {event.round}/{event.rounds}, {rate:,.0f} image-iterations/s"
            self._move("recover", event.image_iterations, event.image_iterations_total, note)
        elif isinstance(event, SqueezeStepEvent):
            note = f"epoch {event.epoch}/{event.epochs}, train {event.train_accuracy:.1f} %"
            self._move("squeeze", event.steps_done, event.epochs * event.steps, note)
        elif isinstance(event, StudentStepEvent):
            note = f"epoch {event.epoch}/{event.epochs}, loss {event.loss:.3g}"
            self._move(_training(event), event.steps_done, event.epochs * event.steps, note)
        elif isinstance(event, StudentEpochEvent):
            if event.top1 is not None and _training(event) in self._tasks:
                note = f"epoch {event.epoch}, top-1 {event.top1:.1f} %"
                self.progress.update(self._tasks[_training(event)], note=note)
        elif isinstance(event, SqueezeEpochEvent):
            self.progress.console.print(f"epoch {event.epoch}: {_accuracies(event)}", highlight=False)
        elif _sentence(event):
            self.progress.console.print(_sentence(event), markup=False, highlight=False)

    def _move(self, name: str, done: int, total: int, note: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self.progress.add_task(name, total=total, note=note)
        self.progress.update(self._tasks[name], completed=done, total=total, note=note)


def _sentence(event: Event) -> str:
    """Return what is said of an event that needs no bar; nothing of most."""
    if isinstance(event, NoteEvent):
        return event.text
    if isinstance(event, MemoryEvent):
        return f"Peak memory: about {event.predicted_mb:,.0f} MB expected."
    if isinstance(event, StudentEvent):
        return f"{_student(event)}top-1 {event.top1_last:.1f} %, best epoch {event.top1_best:.1f} %"
    return ""


def tell_both(report: Callable[[str, int, int], None], shown_here: Bars | Lines) -> Callable[[str, int, int], None]:
    """Return what tells programs and people alike how far it is, the latter a few times a second."""
    last = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        report(what, done, total)
        if done == total or time.monotonic() - last >= EVENT_SECONDS:
            last = time.monotonic()
            shown_here.show(StageEvent(stage=what, done=done, total=total))

    return tell


def _training(event: StudentStepEvent | StudentEpochEvent) -> str:
    return f"train student {event.student + 1} of {event.students}"


def _student(event: Event) -> str:
    """Return which student an event is about; nothing where there is only one, or none."""
    if not isinstance(event, (StudentEvent, StudentStepEvent, StudentEpochEvent)) or event.students == 1:
        return ""
    return f"student {event.student + 1} of {event.students}, "


def _accuracies(event: SqueezeEpochEvent | StudentEpochEvent) -> str:
    if isinstance(event, StudentEpochEvent):
        tested = f", test {event.top1:.1f} %" if event.top1 is not None else ""
        ema = f", EMA {event.top1_ema:.1f} %" if event.top1_ema is not None else ""
        return f"loss {event.loss:.4g}{tested}{ema}"
    measured = f", test {event.test_accuracy:.1f} %" if event.test_accuracy is not None else ""
    return f"loss {event.loss:.3f}, train {event.train_accuracy:.1f} %{measured}"
