"""The evaluate stage of a run: students trained one after the other, leaving events, results and checkpoints behind.

Several ranks share the students; where there are more ranks than students, all of them train each student together,
and the first one tells and keeps.

Each student's result is a file of its own once it is trained, and the one at work has a checkpoint of its last epoch;
what is drawn at random is keyed by seed and epoch, so an evaluation that was stopped anywhere ends in the numbers of
one that never was (students of several ranks go on with any number of them, and then in other last digits). Student n
is trained from the experiment's seed + n.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from delt_engine import files
from delt_engine.config import EvaluateConfig
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.errors import RanksLost, RunCancelled, RunError
from delt_engine.jobs.ranks import this_rank
from delt_engine.jobs.worker import Wishes
from delt_engine.models.card import find_teacher, has_card, read_card
from delt_engine.models.teachers import Teacher
from delt_engine.pipeline import together
from delt_engine.pipeline.inputs import Inputs
from delt_engine.pipeline.sharing import Shared
from delt_engine.pipeline.stages import loaded_teacher, shared_inputs
from delt_engine.pipeline.train import Course, read_state, state_path
from delt_engine.pipeline.training_images import training_images
from delt_engine.runs.checkpoint import remove_checkpoint
from delt_engine.runs.sources import Source, find_source, needs_teacher
from delt_engine.runs.store import Run
from delt_engine.training import records
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.image_table import ImageTable, test_table
from delt_engine.training.recipe import recipe_changes, resolve
from delt_engine.training.records import EvaluationResult, StudentResult
from delt_engine.training.relabel import teacher_for
from delt_engine.training.state import TrainingState
from delt_engine.training.students import evaluate

Event = dict[str, Any]


def evaluate_stage(run: Run, inputs: Inputs, wishes: Wishes) -> Iterator[Event]:
    """Train the students of a run and keep what they reached.

    Raises:
        DataError: the source is not finished, or its classes are not those of the test images.
        RunError: the source's teacher has changed.
        RunCancelled: asked to stop; what resume needs is written.
    """
    source = find_source(run.record().source)
    job = yield from _job(run, inputs, source, wishes)
    train, test, teacher, config = job.train, job.test, job.teacher, job.config
    known = {"card": teacher.card if teacher else None, "train": train, "dataset_name": inputs.dataset.spec.name}
    results = yield from _students(job)
    result = EvaluationResult(
        students=tuple(results),
        source=_described(source, train),
        config=config,
        changes=recipe_changes(run.experiment.evaluate, **known),
        dataset=inputs.dataset.spec.name,
        dataset_title=inputs.dataset.spec.title,
        dataset_fingerprint=inputs.dataset.fingerprint,
        class_names=train.class_names,
        teacher=teacher.card.name if teacher else None,
        teacher_fingerprint=teacher.card.fingerprint if teacher else None,
        image_size=train.image_size,
        test_images=len(test),
        seconds=round(sum(each.seconds for each in results), 3),
    )
    run.update(seconds=result.seconds, result=result.summary())
    remove_checkpoint(run)


def evaluate_share(run: Run, numbers: Sequence[int], wishes: Wishes) -> Iterator[Event]:
    """Train some of the students of a run that another rank owns."""
    job = yield from _shared_job(run, wishes)
    for number in numbers:
        yield from _trained(job, number, 0.0)


def train_share(run: Run, numbers: Sequence[int], wishes: Wishes) -> Iterator[Event]:
    """Train students together with the rank that owns the run, which tells and keeps."""
    job = yield from _shared_job(run, wishes)
    with together.met(run, wishes.check) as team:
        for number in numbers:
            yield from _trained(replace(job, team=team), number, 0.0)


def _shared_job(run: Run, wishes: Wishes) -> Generator[Event, None, _Job]:
    inputs = shared_inputs(run, wishes)
    return (yield from _job(run, inputs, find_source(run.record().source), wishes))


def _job(run: Run, inputs: Inputs, source: Source, wishes: Wishes) -> Generator[Event, None, _Job]:
    """Look up what the students of a run are trained with."""
    source.check_ready()
    with wishes.at_once():
        train = inputs.train if inputs.train is not None else training_images(source, inputs)
        test = test_table(inputs.dataset, train)
    if source.run is not None:
        _note_other_data(run, source.run, inputs)
    teacher = yield from _teacher(run, inputs, source, wishes)
    config = resolve(
        run.experiment.evaluate,
        card=teacher.card if teacher else None,
        train=train,
        dataset_name=inputs.dataset.spec.name,
    )
    return _Job(run, train, test, teacher, config, wishes)


@dataclass(frozen=True, eq=False)
class _Job:
    """What the students are trained with, and which ranks train each of them together."""

    run: Run
    train: ImageTable
    test: ImageTable
    teacher: Teacher | None
    config: EvaluateConfig
    wishes: Wishes
    team: Team = ALONE


def _teacher(run: Run, inputs: Inputs, source: Source, wishes: Wishes) -> Iterator[Event]:
    """Return the teacher: of a run the one its images were made with, by its fingerprint."""
    if not needs_teacher(run.experiment.evaluate):
        return None
    made_with = source.run.record().teacher if source.run else None
    if made_with is None:
        return (yield from loaded_teacher(run, inputs, wishes))
    spec = inputs.dataset.spec
    path = find_teacher(made_with.ref, spec.name, spec.image_size, spec.class_names)
    inputs = replace(inputs, teacher_path=path, card=read_card(path) if has_card(path) else None)
    if inputs.card is not None and inputs.card.fingerprint != made_with.fingerprint:
        raise RunError(f"teacher: {made_with.name} is not the one any more that run {source.ref} was made with.")
    if run.record().teacher is None:
        run.update(teacher=made_with)  # measured there already
    return (yield from loaded_teacher(run, inputs, wishes))


def _note_other_data(run: Run, source: Run, inputs: Inputs) -> None:
    made_with = source.record().dataset
    text = f"{inputs.dataset.spec.title} has changed since run {source.id} was made from it."
    if made_with and made_with.fingerprint != inputs.dataset.fingerprint and text not in run.record().notes:
        list(run.note(text))


def _students(job: _Job) -> Iterator[Event]:
    """Train the students that are not trained yet; return the results of all."""
    run, seeds = job.run, job.config.seeds
    pending = [number for number in range(seeds) if _result(run, number) is None]
    is_joint = bool(pending) and seeds < this_rank().size  # all students in the same way, also after a stop
    shared = Shared(run, "train" if is_joint else "evaluate", pending, is_joint=is_joint)
    try:
        met = together.met(run, partial(shared.attend, job.wishes)) if is_joint else contextlib.nullcontext(ALONE)
        with met as team:
            yield from together.told(run, team)
            for number in shared.mine:
                before = sum(each.seconds for each in map(partial(_result, run), range(seeds)) if each)
                for event in _trained(replace(job, team=team), number, before):
                    yield event
                    yield from shared.news()
        yield from shared.rest(job.wishes)
    except (RunCancelled, RanksLost):
        shared.settle()
        raise
    results = [_result(run, number) for number in range(seeds)]
    assert None not in results  # each was written whole
    return results


def _trained(job: _Job, number: int, before: float) -> Iterator[Event]:
    """Train a student, from its checkpoint where it has one, and keep its result."""
    run, path = job.run, state_path(job.run, f"student-{number}")
    state = job.team.first(partial(read_state, path))
    course = Course(run, path, job.wishes, job.team, before + (state.facts["seconds"] if state else 0.0))
    result = yield from _went(job, number, course, state)
    if not job.team.is_first:
        return
    files.write_bytes(_result_path(run, number), _json(asdict(result)), durable=True)
    path.unlink(missing_ok=True)
    yield _emit(run, {"kind": "student", "student": number, "students": job.config.seeds, **asdict(result)})


def _went(job: _Job, number: int, course: Course, state: TrainingState | None) -> Generator[Event, None, StudentResult]:
    """Take a student from its start, or from ``state``, to its result."""
    teacher = job.teacher and teacher_for(job.teacher.network, job.teacher.card.class_names, job.train.class_names)
    steps = evaluate(
        job.train,
        job.test,
        teacher,
        job.config,
        seed=job.run.experiment.seed + number,
        device=job.run.record().device or "cpu",
        labels=_stored_labels(job),
        state=state,
        number=number,
        team=job.team,
    )
    return (yield from course.through(steps))


def _stored_labels(job: _Job) -> Any:
    """Return what replays stored labels, or None where labels are not stored.

    All students are shown what was recorded for the first one's seed; they differ in their weights.
    """
    if job.config.labels != "stored":
        return None
    from delt_engine.training.relabel import StoredLabels

    return StoredLabels.open(job.config.label_store, job.train, job.config, seed=job.run.experiment.seed)


def _described(source: Source, train: ImageTable) -> records.Source:
    """Return what the students were trained on, in words and numbers."""
    run = source.run
    method = "real" if source.is_real else "folder"
    if run is None:
        return records.Source(source.ref, train.title, method, METHOD_TITLES[method], train.ipc, len(train))
    recover, record = run.experiment.recover, run.record()
    rounds = f", MI {recover.iterations:,}, RI {recover.round_iterations:,}" if recover.is_optimised else ""
    title = f"{METHOD_TITLES[recover.method]}, IPC {recover.ipc}{rounds}"
    return records.Source(
        source.ref,
        title,
        recover.method,
        METHOD_TITLES[recover.method],
        recover.ipc,
        len(train),
        record.seconds,
        record.image_iterations,
    )


def _result_path(run: Run, number: int) -> Path:
    return run.path / "students" / f"{number}.json"


def _result(run: Run, number: int) -> StudentResult | None:
    """Return what a student reached; None when it is not trained yet."""
    try:
        return StudentResult.from_mapping(json.loads(_result_path(run, number).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values) + "\n").encode()


def _emit(run: Run, event: Event) -> Event:
    run.event(event)
    return event
