"""Continual learning on a set of images from end to end: what is looked up, measured and kept after every step.

Each step's accuracy is on the disk as soon as it is known, and a step depends on nothing but its seed and the classes
so far, so that one that was stopped or killed goes on with the step it was at and ends in the same numbers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from delt_engine.applications.continual import LearnStep, learn
from delt_engine.config import Experiment
from delt_engine.config.continual import CONTINUAL_TRAINING, ContinualConfig, asked_training
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.config.students import EvaluateConfig
from delt_engine.data.dataset import Dataset
from delt_engine.errors import ConfigError, DataError
from delt_engine.jobs.worker import StopRequests
from delt_engine.models.device import pick_device
from delt_engine.models.teachers import Teacher
from delt_engine.pipeline.application_inputs import (
    Report,
    check_all_classes,
    facts_of,
    holding,
    image_teacher,
    labelling_teacher,
    question_key,
)
from delt_engine.pipeline.committees import labelling_committee
from delt_engine.pipeline.evaluate import described
from delt_engine.pipeline.inputs import evaluation_inputs, training_images
from delt_engine.runs.command import continual_command
from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.record import now
from delt_engine.runs.sources import Source
from delt_engine.seeding import generator
from delt_engine.training import records
from delt_engine.training.image_table import ImageTable, real, test_table
from delt_engine.training.recipe import resolve
from delt_engine.training.relabel import teacher_for


@dataclass(frozen=True, eq=False)
class _Work:
    """What all class orders have in common."""

    train: ImageTable
    test: ImageTable
    labeller: Teacher | None
    training: EvaluateConfig
    config: ContinualConfig
    device: torch.device
    stop: StopRequests
    report: Report

    def label_network(self, names: Sequence[str]) -> nn.Module:
        """Return the network that labels images of some classes, its logits in their order."""
        assert self.labeller is not None
        return teacher_for(self.labeller.network, self.labeller.card.class_names, names)


def learn_continually(
    source: Source, experiment: Experiment, config: ContinualConfig, report: Report, *, random_real: bool = False
) -> dict[str, Any]:
    """Learn the classes of a set of images step after step, or find what was measured before.

    Args:
        source: a finished run, a folder of images, or the real training set.
        experiment: data, teacher, seed and device; ``evaluate`` has how each student is trained.
        config: steps, orders and labels.
        report: told how far it is.
        random_real: take as many random real images a class in place of the source's, all else being the same.

    Returns:
        What :func:`delt_engine.runs.continuals.summary` returns.

    Raises:
        ConfigError: more steps than classes, or a value that is not allowed.
        DataError: images that cannot be used, or not of all classes.
        CheckpointError: a teacher that is missing or does not fit.
        RunCancelled: it was stopped; the same command goes on.
    """
    if experiment.evaluate.labels == "stored":
        raise ConfigError("labels: stored given, but each step has other classes; soft ones are asked for as it goes.")
    experiment = experiment.replace(evaluate=config.trained(experiment.evaluate))
    inputs = evaluation_inputs(experiment, source, report)
    train, dataset = inputs.train if inputs.train is not None else training_images(source, inputs), inputs.dataset
    config.check_steps(dataset.spec.num_classes, dataset.spec.title)
    check_all_classes(source, train, dataset, "continual learning comes to all of them.")
    about = described(source, train)
    if random_real:
        train = _random_real(dataset, train, experiment.seed)
        about = _described_random(train)
    device = pick_device(experiment.device)
    with holding(device, "steps that are finished are kept") as stop:
        teacher = image_teacher(source, inputs, experiment, experiment.evaluate.student, device, stop)
        labeller = labelling_teacher(inputs, train, teacher, experiment.evaluate, device)
        if labeller is not None and labeller is teacher and source.run is not None:
            with stop.loading():
                labeller = labelling_committee(source.run.record(), labeller, train.class_names)
        training = _training(experiment.evaluate, train, dataset, teacher, labeller)
        if training.labels == "hard":
            labeller = None
        work = _Work(train, test_table(dataset, train), labeller, training, config, device, stop, report)
        command = shlex.join(continual_command(experiment, config, source.ref, random_real=random_real))
        asked = asked_training(experiment.evaluate)
        facts = {**_facts(work, about, dataset), "command": command, "asked": asked}
        return _all_orders(work, dataset, facts, experiment.seed)


def _random_real(dataset: Dataset, like: ImageTable, seed: int) -> ImageTable:
    """Return random real training images, as many a class as the table has."""
    if like.ipc is None:
        raise DataError(
            f"source: {like.title} has different numbers of images a class, but random real ones are drawn at the same."
        )
    table = real(dataset)
    counts = np.bincount(table.labels, minlength=len(table.class_names))
    if (least := int(counts.min())) < like.ipc:
        raise DataError(
            f"source: {like.ipc} images a class asked for, but a class of {dataset.spec.title} has {least}."
        )
    rows: list[int] = []
    for number in range(len(table.class_names)):
        own = np.flatnonzero(table.labels == number)
        rows += own[torch.randperm(len(own), generator=generator(seed, "random-real", number))[: like.ipc]].tolist()
    return replace(table, image_u8=table.image_u8[rows], labels=table.labels[rows], ipc=like.ipc, title="random real")


def _described_random(train: ImageTable) -> records.Source:
    title = f"{METHOD_TITLES['random']}, IPC {train.ipc}"
    return records.Source("random-real", title, "random", METHOD_TITLES["random"], train.ipc, len(train))


def _training(
    config: EvaluateConfig, train: ImageTable, dataset: Dataset, teacher: Teacher | None, labeller: Teacher | None
) -> EvaluateConfig:
    """Return the settings of every student with nothing left open; tested at the end only."""
    return resolve(
        config.replace(seeds=1, validate_every=config.epochs),
        card=teacher.card if teacher else None,
        train=train,
        dataset_name=dataset.spec.name,
        labeller=labeller.card.network if labeller else "",
    )


def _facts(work: _Work, about: records.Source, dataset: Dataset) -> dict[str, Any]:
    """Return everything that is known before the first step."""
    training = work.training
    return {
        **facts_of(about, dataset, len(work.test), work.labeller, training, work.device),
        "steps": work.config.steps,
        "num_classes": dataset.spec.num_classes,
        "labels": "hard" if training.labels == "hard" else "soft",
        **{name: getattr(training, name) for name in ("student", "student_width", "epochs")},
        "training": training.model_dump(mode="json", include={*CONTINUAL_TRAINING, "labels"}),
    }


def _all_orders(work: _Work, dataset: Dataset, facts: dict[str, Any], first_seed: int) -> dict[str, Any]:
    asked = {name: facts[name] for name in ("source", "steps", "training", "teacher_fingerprint")}
    key = question_key(dataset, work.train, {**asked, "seed": first_seed})
    results = CONTINUALS.results(key)
    for number in range(work.config.orders):
        seed = first_seed + number
        own = results.get(seed, {"seed": seed, "steps": []})
        for step in _steps(work, seed, len(own["steps"]), number):
            own = {**own, "steps": [*own["steps"], step]}
            results[seed] = own
            CONTINUALS.write(CONTINUALS.folder / key, {**facts, "created": now()}, list(results.values()))
    return CONTINUALS.answer(key, work.config.orders)


def _steps(work: _Work, seed: int, done: int, number: int) -> Iterator[dict[str, Any]]:
    """Yield what is measured after each step of one class order that is not finished yet, as plain values."""
    orders, steps = work.config.orders, work.config.steps
    for record in learn(
        work.train,
        work.test,
        work.label_network if work.labeller else None,
        work.training,
        steps=steps,
        seed=seed,
        device=work.device,
        done=done,
    ):
        if isinstance(record, LearnStep):
            work.stop.check()
            order = f", order {number + 1} of {orders}" if orders > 1 else ""
            work.report(f"step {record.step} of {steps}{order}", record.done, record.total)
        else:
            yield {**asdict(record), "classes": list(record.classes), "per_class": list(record.per_class)}
