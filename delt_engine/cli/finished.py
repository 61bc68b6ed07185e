"""A run that is finished when a command goes on: used again, gone on with, or made; for commands of many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from delt_engine.cli.recover import completed, made
from delt_engine.config import Experiment
from delt_engine.jobs import ranks
from delt_engine.jobs.start import same_run
from delt_engine.models.card import TeacherCard
from delt_engine.pipeline.inputs import Inputs
from delt_engine.runs.record import Kind, RunOptions, new_run_path
from delt_engine.runs.store import Run

DEEDS = {"squeeze": "train a teacher", "recover": "recover", "evaluate": "train students"}
"""What is said of each kind of work."""


def finished_run(
    experiment: Experiment,
    kind: Kind,
    inputs: Inputs,
    teacher: str | None,
    *,
    source: str = "",
    path: Path | None = None,
    runs: Iterable[Run] | None = None,
    fresh: bool = False,
    quiet: bool = False,
    options: RunOptions | None = None,
    say: Callable[[str], None] = lambda _words: None,
) -> Run:
    """Return a finished run of an experiment: one that is there, one that goes on, or a new one.

    Args:
        inputs: data and teacher, looked up.
        teacher: its fingerprint; None for a squeeze.
        source: what an evaluation trains on.
        path: folder of a new run; one among this user's runs when not given.
        runs: where to look for one; this user's runs when not given.
        fresh: pass over what is finished.
        options: how a new run is worked on, also by how many ranks; by one when not given.
        say: takes a line about what is done.

    Raises:
        RunCancelled: it was stopped; the same call goes on.
        DeltError: it cannot be done.
    """
    data, ranker = inputs.dataset.fingerprint, inputs.ranker.fingerprint if inputs.ranker else None

    def find() -> Run | None:
        known: dict[str, Any] = {"dataset": data, "teacher": teacher, "ranker": ranker, "source": source}
        return same_run(experiment, kind, **known, done=not fresh, runs=runs)

    run = ranks.first(find)
    if run is not None and run.record().status == "finished":
        say(f"{DEEDS[kind]}: run {run.id} is used again")
        return run
    own = None
    if run is not None:
        say(f"{DEEDS[kind]}: run {run.id} goes on")
    else:
        say(DEEDS[kind])
        own = inputs
        place, how = path or new_run_path(experiment, kind), options or RunOptions()
        run, _ = made(experiment, kind, place, how, lambda: inputs, source)
    stopped = completed(run, own, ranks_asked=None if options else 1, quiet=quiet)
    if stopped is not None:
        raise stopped
    return run


def teacher_card(experiment: Experiment, inputs: Inputs) -> TeacherCard:
    """Return the card of the teacher that was looked up; of a checkpoint without one what its weights say."""
    if inputs.card is not None:
        return inputs.card
    from delt_engine.models.teachers import load_teacher

    path, own = str(inputs.teacher_path), experiment.squeeze.checkpoint
    return load_teacher(path, dataset=inputs.dataset, **own).card
