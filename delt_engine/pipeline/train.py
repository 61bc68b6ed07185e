"""One network in training, a teacher or a student: what it resumes from, how soon it stops, when it writes an event.

After an epoch its state is kept in one safetensors file, whole or not at all. A file that cannot be read counts as
none: the training then begins again and ends in the same weights, only later. What is drawn at random is keyed by
seed and epoch, so a squeeze that was stopped anywhere ends in the weights of one that never was, bit for bit on a CPU
(with another number of ranks than before in other last digits).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from delt_engine import files
from delt_engine.errors import RunCancelled
from delt_engine.models.card import SUFFIX, TeacherCard, free_teacher_path, has_card, read_card
from delt_engine.models.checkpoints import save_teacher
from delt_engine.pipeline.context import StageContext
from delt_engine.runs.checkpoint import FOLDER, read_checked, remove_checkpoint, write_checked
from delt_engine.runs.events import SqueezeEpochEvent, SqueezeStepEvent, StudentEpochEvent, StudentStepEvent, TimedEvent
from delt_engine.runs.store import Run
from delt_engine.training.distributed import Team
from delt_engine.training.records import StudentResult, StudentStep
from delt_engine.training.squeeze import SqueezedEpoch, SqueezeProgress, SqueezeResult, squeeze
from delt_engine.training.state import TrainingState
from delt_engine.training.students import TrainedEpoch

EVENT_SECONDS = 0.25
"""Shortest time between two step events."""

CHECKPOINT_GAP = 1.0
"""Seconds below which the end of an epoch writes no further checkpoint: epochs may be shorter than a disk's sync."""

CHECKPOINT_SHARE = 0.05
"""Most of the time that checkpoints may take, as far as the run's ``checkpoint_seconds`` allows."""

EPOCH_PATIENCE = 1.0
"""Seconds that an asked-for stop may wait for the end of an epoch, where nothing is lost; it waits for no later end."""

_REQUESTS = (None, "pause", "cancel")
"""What ranks that train together agree on, the stronger request later."""

_EVENTS: dict[type, type[TimedEvent]] = {
    SqueezeProgress: SqueezeStepEvent,
    SqueezedEpoch: SqueezeEpochEvent,
    StudentStep: StudentStepEvent,
    TrainedEpoch: StudentEpochEvent,
}


def state_path(run: Run, name: str) -> Path:
    """Return where the state of a training is or will be, such as ``student-0`` or ``teacher``."""
    return run.path / FOLDER / f"{name}.safetensors"


def write_state(path: Path, state: TrainingState) -> None:
    """Write a state, whole or not at all, and make sure that the disk has it.

    Raises:
        RunError: the system refused; the state before stays.
    """
    write_checked(path, state.tensors, json.dumps({"facts": state.facts}))


def read_state(path: Path) -> TrainingState | None:
    """Return what was last written; None when there is nothing that can be read."""
    found = read_checked(path)
    try:
        return None if found is None else TrainingState(found[0], json.loads(found[1])["facts"])
    except (KeyError, TypeError, ValueError):
        return None


class TrainingRun:
    """Takes one training through its run; every rank that trains it has one, and gives it the same records.

    Args:
        context: of the stage.
        path: of the checkpoint; see :func:`state_path`.
        team: the ranks that train it together; the first one writes events and checkpoints.
        before: seconds of work that the run has behind it. Events took time as well, and time does not go back, so
            that it may be more.
        group: trainings of the run at the same time, to which this one is added: they have one clock, and one share of
            it for checkpoints.
    """

    def __init__(
        self,
        context: StageContext,
        path: Path,
        team: Team,
        before: float = 0.0,
        group: list[TrainingRun] | None = None,
    ) -> None:
        self.context, self.path, self.team = context, path, team
        newest, now = context.run.latest_event(TimedEvent), time.monotonic()
        self._group = [] if group is None else group
        self._began: float = self._group[0]._began if self._group else now - max(before, newest.t if newest else 0.0)
        self._group.append(self)
        self._asked: float | None = None
        self._next_event, self._stepped, self._checkpointed, self._cost = 0.0, now, now, 0.0

    @property
    def seconds(self) -> float:
        """Seconds of work so far, to the millisecond."""
        return round(time.monotonic() - self._began, 3)

    def finish(self, records: Iterator[Any]) -> Any:
        """Take a training through its records to its result, and return that.

        Raises:
            RunCancelled: asked to stop; see :meth:`after_step` and :meth:`after_epoch`.
            RanksLost: another rank is gone.
        """
        # Closed at once, also where it is stopped: what is left of a training keeps the group of its ranks, and the
        # threads of that now and then end the process with an abort.
        with contextlib.closing(records):  # type: ignore[type-var]  # a generator, typed as what it yields
            for record in records:
                if self.take(record):
                    return record
        raise AssertionError("the last record of a training is its result")

    def take(self, record: Any) -> bool:
        """Take the next record of a training; return whether it is the result.

        Raises:
            RunCancelled: asked to stop; see :meth:`after_step` and :meth:`after_epoch`.
            RanksLost: another rank is gone.
        """
        if isinstance(record, (SqueezeResult, StudentResult)):
            return True
        is_step = isinstance(record, (SqueezeProgress, StudentStep))
        self.after_step(record) if is_step else self.after_epoch(record)
        return False

    def after_step(self, step: SqueezeProgress | StudentStep) -> None:
        """Write a step event now and then; stop here if that is asked for and the end of the epoch is not near.

        Raises:
            RunCancelled: its text is the request.
            RanksLost: another rank is gone.
        """
        now = time.monotonic()
        if self.team.is_first and now >= self._next_event:
            self._next_event = now + EVENT_SECONDS
            self._write(step)
        request = self.context.stop.asked()
        self._asked = (self._asked or now) if request else None
        left = (step.steps - step.step) * (now - self._stepped)  # of the epoch, if the other steps are like this one
        self._stepped = now
        is_urgent = self._asked is not None and now + left - self._asked >= EPOCH_PATIENCE
        strongest, urgent = self.team.highest(_REQUESTS.index(request), int(is_urgent))
        if strongest and urgent:
            self._stop(strongest)

    def after_epoch(self, epoch: SqueezedEpoch | TrainedEpoch) -> None:
        """Write an epoch event, keep the state after it where it is time, and stop if that is asked for.

        Raises:
            RunCancelled: its text is the request; the state is kept.
            RanksLost: another rank is gone.
            RunError: the state cannot be written.
        """
        if self.team.is_first:
            self._write(epoch)
        (strongest,) = self.team.highest(_REQUESTS.index(self.context.stop.asked()))
        if self.team.is_first and (strongest or (self._is_due() and epoch.epoch < epoch.epochs)):
            began = time.monotonic()
            write_state(self.path, epoch.state)
            self._checkpointed = time.monotonic()
            self._cost = self._checkpointed - began
        if strongest:
            self._stop(strongest)
        self._stepped = time.monotonic()

    def _write(self, record: Any) -> None:
        """Write a record into the run's events."""
        event = _EVENTS[type(record)]
        values = {name: getattr(record, name) for name in event.model_fields if hasattr(record, name)}
        rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}
        self.context.event(event(t=self.seconds, **rounded))

    def _is_due(self) -> bool:
        gap = max(CHECKPOINT_GAP, len(self._group) * self._cost / CHECKPOINT_SHARE)
        longest = self.context.run.record().options.checkpoint_seconds
        return time.monotonic() - self._checkpointed >= min(gap, longest)

    def _stop(self, request: int) -> None:
        self.context.update(seconds=self.seconds)
        raise RunCancelled(_REQUESTS[request])


def note_team(context: StageContext, team: Team) -> None:
    """Note in the run that several ranks train one network, since its last digits depend on how many."""
    if team.size > 1:
        norm = "" if context.device.startswith("cuda") else "; BatchNorm normalises each part by itself"
        text = f"{team.size} ranks train one network, each on its part of every batch{norm}."
        context.first(lambda: context.note(text))


def squeeze_stage(context: StageContext) -> None:
    """Train a teacher, all ranks together, and put it where ``auto`` finds it."""
    run, team = context.run, Team(context.rank.number, context.rank.size)
    note_team(context, team)
    training = TrainingRun(context, state_path(run, "teacher"), team, run.record().seconds)
    result = training.finish(
        squeeze(
            context.inputs.dataset,
            context.experiment.squeeze,
            seed=context.experiment.seed,
            device=context.device,
            state=team.first(partial(read_state, training.path)),
            team=team,
        )
    )
    if not team.is_first:
        return
    own, name = run.path / "teacher.safetensors", result.card.name
    save_teacher(own, result.network, result.card)
    if run.record().options.keep_teacher:
        name = _kept(own, result.card).name.removesuffix(SUFFIX)
    facts = {"teacher": str(own), "name": name, "accuracy": result.card.accuracy, "epochs": result.card.epochs}
    context.update(seconds=training.seconds, result=facts)
    remove_checkpoint(run)


def _kept(own: Path, card: TeacherCard) -> Path:
    """Copy a teacher to where ``auto`` finds it, and return that; of two of one name at once each gets a place."""
    data = own.read_bytes()
    while True:
        kept = free_teacher_path(card.name, card.fingerprint)
        if files.create_bytes(kept, data):
            files.sync(kept)
            return kept
        if has_card(kept) and read_card(kept).fingerprint == card.fingerprint:
            files.write_bytes(kept, data, durable=True)  # the same weights: they are the newest now
            return kept
