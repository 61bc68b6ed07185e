"""The evaluate stage of a run: students trained in turn, leaving events, results and checkpoints behind.

Several ranks share the students; where there are more ranks than students, all of them train each student together,
and the first one writes what comes of it. A rank trains its students one after the other or several side by side, see
:mod:`delt_engine.training.side_by_side`; where memory runs out all the same, half as many.

Each student's result is a file of its own once it is trained, and those at work have a checkpoint of their last epoch;
what is drawn at random is keyed by seed and epoch, so an evaluation that was stopped anywhere ends in the numbers of
one that never was (students of several ranks go on with any number of them, and then in other last digits). Student n
is trained from the experiment's seed + n.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from delt_engine import files
from delt_engine.config import EvaluateConfig
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.errors import RunCancelled, RunError
from delt_engine.models.card import columns_of, find_teacher, has_card, read_card
from delt_engine.models.device import free_reserve, is_out_of_memory
from delt_engine.models.teachers import Teacher
from delt_engine.pipeline.committees import committee_name, labelling_committee
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.inputs import training_images
from delt_engine.pipeline.rank import loaded_other, loaded_teacher
from delt_engine.pipeline.train import TrainingRun, note_team, read_state, state_path
from delt_engine.runs.checkpoint import remove_checkpoint
from delt_engine.runs.events import StudentEvent
from delt_engine.runs.sources import Source, find_source, needs_teacher
from delt_engine.runs.store import Run
from delt_engine.training import records
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.image_table import ImageTable, test_table
from delt_engine.training.recipe import recipe_changes, resolve
from delt_engine.training.records import EvaluationResult, StudentResult
from delt_engine.training.relabel import LabelStore, StoredLabels, teacher_for
from delt_engine.training.side_by_side import by_turns, places, shared_images
from delt_engine.training.students import evaluate


@dataclass(frozen=True, eq=False)
class _Job:
    """What the students are trained with."""

    context: StageContext
    train: ImageTable
    test: ImageTable
    labeller: Teacher | None
    config: EvaluateConfig


def evaluate_stage(context: StageContext) -> None:
    """Train the students of a run and keep what they reached.

    Raises:
        DataError: the source is not finished, or its classes are not those of the test images.
        RunError: the source's teacher has changed.
        RunCancelled: asked to stop; what resume needs is written.
    """
    run, inputs = context.run, context.inputs
    source = find_source(run.record().source)
    source.check_ready()
    with context.stop.loading():
        train = inputs.train if inputs.train is not None else training_images(source, inputs)
        test = test_table(inputs.dataset, train)
    made_with = source.run.record().dataset if source.run else None
    if made_with and made_with.fingerprint != inputs.dataset.fingerprint and context.rank.is_first:
        context.note(f"{inputs.dataset.spec.title} has changed since run {source.ref} was made from it.")
    teacher, spec = _teacher(context, source), inputs.dataset.spec
    labeller = _labeller(context, source, teacher, train)
    known: dict[str, Any] = {
        "card": teacher.card if teacher else None,
        "train": train,
        "dataset_name": inputs.dataset.spec.name,
        "labeller": labeller.card.network if labeller else "",
    }
    config = resolve(context.experiment.evaluate, **known)
    _train_students(_Job(context, train, test, labeller, config))
    if not context.rank.is_first:
        return
    results, own = list(_results(run, config.seeds)), inputs.relabeller_record
    made_by = source.run.record().teacher if source.run and own else None  # then it may not have been loaded
    by = teacher.card if teacher else made_by
    named = (own.name, own.fingerprint) if own else (None, None)
    if own is None and config.labels != "hard" and source.run and source.run.record().is_labelled_by_committee:
        named = committee_name(source.run.record())
    result = EvaluationResult(
        students=tuple(results),
        source=described(source, train),
        config=config,
        changes=recipe_changes(context.experiment.evaluate, **known),
        dataset=spec.name,
        dataset_title=spec.title,
        dataset_fingerprint=inputs.dataset.fingerprint,
        test_fingerprint=inputs.dataset.test_fingerprint,
        class_names=train.class_names,
        teacher=by.name if by else None,
        teacher_fingerprint=by.fingerprint if by else None,
        relabeller=named[0],
        relabeller_fingerprint=named[1],
        label_epochs=LabelStore.open(config.label_store).facts.label_epochs if config.labels == "stored" else None,
        image_size=train.image_size,
        test_images=len(test),
        seconds=round(sum(each.seconds for each in results), 3),
    )
    context.update(seconds=result.seconds, result=result.summary())
    remove_checkpoint(run)


def _teacher(context: StageContext, source: Source) -> Teacher | None:
    """Return the teacher; of a run the one its images were made with, by its fingerprint."""
    if not needs_teacher(context.experiment.evaluate):
        return None
    made_with = source.run.record().teacher if source.run else None
    if made_with is None:
        return loaded_teacher(context)
    spec = context.inputs.dataset.spec
    path = find_teacher(made_with.ref, spec.name, spec.image_size, spec.class_names)
    inputs = replace(context.inputs, teacher_path=path, card=read_card(path) if has_card(path) else None)
    if inputs.card is not None and inputs.card.fingerprint != made_with.fingerprint:
        raise RunError(f"teacher: {made_with.name} is not the one any more that run {source.ref} was made with.")
    # It was measured there already.
    context.first(lambda: None if context.run.record().teacher else context.update(teacher=made_with))
    return loaded_teacher(replace(context, inputs=inputs))


def _labeller(context: StageContext, source: Source, teacher: Teacher | None, train: ImageTable) -> Teacher | None:
    """Return what gives the labels: a network of its own if the settings name one, else the teacher, or its committee.

    Source: G-VBSM labels with the mean of all networks that it recovers from.
    """
    if context.inputs.relabeller is None:
        if teacher is None or source.run is None:
            return teacher
        with context.stop.loading():
            return labelling_committee(source.run.record(), teacher, train.class_names)
    path, card = context.inputs.relabeller
    columns_of(card.class_names, train.class_names, f"relabeller: {card.name}")
    return loaded_other(context, path, "relabeller", context.inputs.dataset.spec.class_names)


def _train_students(job: _Job) -> None:
    """Train the students that are not trained yet."""
    context, seeds = job.context, job.config.seeds
    pending = context.first(lambda: [number for number in range(seeds) if _result(context.run, number) is None])
    if seeds < context.rank.size:  # all students in the same way, also after a stop
        team, mine = Team(context.rank.number, context.rank.size), pending
        note_team(context, team)
    else:
        team, mine = ALONE, context.rank.share(pending)
    with context.sharing() if team is ALONE else contextlib.nullcontext():
        at_once = _places(job, len(mine)) if team is ALONE else 1
        while mine:
            group = mine[:at_once]
            try:
                _train(job, group, team)
            except (RuntimeError, MemoryError) as error:
                if len(group) == 1 or not is_out_of_memory(error):
                    raise
                at_once = len(group) // 2
            if at_once < len(group):  # not in the handler, which holds what was computed
                context.note(f"Out of memory with {len(group)} students at once: going on with {at_once}.")
                free_reserve(torch.device(context.device))
            mine = [number for number in mine if _result(context.run, number) is None]


def _places(job: _Job, waiting: int) -> int:
    """Return how many students are trained at once, and note in the run what that depends on."""
    context = job.context
    found = places(job.config, job.train, torch.device(context.device), waiting)
    if found.students < found.asked:
        context.note(
            f"{found.students} of {found.asked} students at once: one takes about {found.each / 2**20:,.0f} MB, and "
            f"{found.free / 2**20:,.0f} MB are free."
        )
    elif found.students > 1:
        context.note(f"{found.students} students are trained side by side.")
    return found.students


def _train(job: _Job, numbers: Sequence[int], team: Team) -> None:
    """Train students side by side, each from its checkpoint where it has one, and keep their results.

    Raises:
        RunCancelled: asked to stop; each student has ended its epoch, or has been stopped in it.
    """
    context, device = job.context, torch.device(job.context.device)
    paths = {number: state_path(context.run, f"student-{number}") for number in numbers}
    states = {number: team.first(partial(read_state, path)) for number, path in paths.items()}
    before = sum(each.seconds for each in _results(context.run, job.config.seeds))
    before += sum(state.facts["seconds"] for state in states.values() if state)
    shared = shared_images(job.train, job.test, device) if len(numbers) > 1 else None
    runs: dict[int, TrainingRun] = {}
    group: list[TrainingRun] = []
    trainings: dict[int, Any] = {}
    stopped: RunCancelled | None = None
    with contextlib.ExitStack() as stack:  # closed at once, see TrainingRun.finish
        for number, path in paths.items():
            runs[number] = TrainingRun(context, path, team, before, group)
            trainings[number] = _student(job, number, team=team, state=states[number], shared=shared)
            stack.callback(trainings[number].close)
        for number, record in by_turns(trainings, device):
            try:
                if runs[number].take(record) and team.is_first:
                    _keep(job, number, record)
            except RunCancelled as request:
                stopped = request
                trainings.pop(number).close()
    if stopped:
        raise stopped


def _student(job: _Job, number: int, **how: Any) -> Iterator[Any]:
    """Return the training of a student, which has not begun yet."""
    context, config, teacher, labels = job.context, job.config, job.labeller, None
    if config.labels == "stored":  # all students are shown what was drawn for the first one; they differ in weights
        labels = StoredLabels.open(config.label_store, job.train, config, seed=context.experiment.seed)
    return evaluate(
        job.train,
        job.test,
        teacher_for(teacher.network, teacher.card.class_names, job.train.class_names) if teacher else None,
        config,
        seed=context.experiment.seed + number,
        device=context.device,
        labels=labels,
        number=number,
        **how,
    )


def _keep(job: _Job, number: int, result: StudentResult) -> None:
    """Write what a student reached, and remove its checkpoint."""
    run = job.context.run
    files.write_bytes(_result_path(run, number), (json.dumps(asdict(result)) + "\n").encode(), durable=True)
    state_path(run, f"student-{number}").unlink(missing_ok=True)
    job.context.event(StudentEvent(student=number, students=job.config.seeds, **asdict(result)))


def described(source: Source, train: ImageTable) -> records.Source:
    """Return what the students were trained on, in words and numbers."""
    run = source.run
    method = "real" if source.is_real else "folder"
    if run is None:
        return records.Source(source.ref, train.title, method, METHOD_TITLES[method], train.ipc, len(train))
    recover, record = run.experiment.recover, run.record()
    rounds = f", MI {recover.iterations:,}, RI {recover.round_iterations:,}" if recover.is_optimised else ""
    method = record.method_title
    cost = (None, None) if record.origin else (record.seconds, record.image_iterations)
    title = f"{method}, IPC {recover.ipc}{rounds}"
    return records.Source(source.ref, title, recover.method, method, recover.ipc, len(train), *cost)


def _result_path(run: Run, number: int) -> Path:
    return run.path / "students" / f"{number}.json"


def _results(run: Run, seeds: int) -> Iterator[StudentResult]:
    return (result for result in (_result(run, number) for number in range(seeds)) if result)


def _result(run: Run, number: int) -> StudentResult | None:
    """Return what a student reached; None when it is not trained yet."""
    try:
        return StudentResult.from_mapping(json.loads(_result_path(run, number).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
