"""The squeeze stage of a run: a teacher trained by all ranks together, leaving events, checkpoints and its file.

What is drawn at random is keyed by seed and epoch, so a squeeze that was stopped anywhere ends in the weights of one
that never was, bit for bit on a CPU (with another number of ranks than before in other last digits).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

from delt_engine import files
from delt_engine.errors import RanksLost, RunCancelled
from delt_engine.jobs.worker import Wishes
from delt_engine.models.card import SUFFIX, free_teacher_path
from delt_engine.models.checkpoints import save_teacher
from delt_engine.pipeline import together
from delt_engine.pipeline.inputs import Inputs
from delt_engine.pipeline.sharing import Shared
from delt_engine.pipeline.stages import shared_inputs
from delt_engine.pipeline.train import Course, read_state, state_path
from delt_engine.runs.checkpoint import remove_checkpoint
from delt_engine.runs.store import Run
from delt_engine.training.distributed import Team
from delt_engine.training.squeeze import SqueezeResult, squeeze

Event = dict[str, Any]


def squeeze_stage(run: Run, inputs: Inputs, wishes: Wishes) -> Iterator[Event]:
    """Train a teacher, all ranks together, and put it where ``auto`` finds it."""
    shared = Shared(run, "squeeze", [0], is_joint=True)
    try:
        with together.met(run, partial(shared.attend, wishes)) as team:
            yield from together.told(run, team)
            course = _course(run, wishes, team)
            result = yield from _went(run, inputs, course)
            own = run.path / "teacher.safetensors"
            save_teacher(own, result.network, result.card)
    except (RunCancelled, RanksLost):
        shared.settle()
        raise
    shared.leave()
    name = result.card.name
    if run.record().options.keep_teacher:
        kept = free_teacher_path(name, result.card.fingerprint)
        files.write_bytes(kept, own.read_bytes(), durable=True)
        name = kept.name.removesuffix(SUFFIX)
    told = {"teacher": str(own), "name": name, "accuracy": result.card.accuracy, "epochs": result.card.epochs}
    run.update(seconds=course.seconds, result=told)
    remove_checkpoint(run)


def squeeze_share(run: Run, _pieces: Sequence[int], wishes: Wishes) -> Iterator[Event]:
    """Train a teacher together with the rank that owns the run, which tells and keeps it."""
    inputs = shared_inputs(run, wishes)
    with together.met(run, wishes.check) as team:
        yield from _went(run, inputs, _course(run, wishes, team))


def _course(run: Run, wishes: Wishes, team: Team) -> Course:
    return Course(run, state_path(run, "teacher"), wishes, team, run.record().seconds)


def _went(run: Run, inputs: Inputs, course: Course) -> Generator[Event, None, SqueezeResult]:
    """Take a teacher from its start, or from its checkpoint where there is one, to its result."""
    experiment, team = run.experiment, course.team
    steps = squeeze(
        inputs.dataset,
        experiment.squeeze,
        seed=experiment.seed,
        device=run.record().device or "cpu",
        state=team.first(partial(read_state, course.path)),
        team=team,
    )
    return (yield from course.through(steps))
