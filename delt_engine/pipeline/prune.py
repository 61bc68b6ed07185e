"""Prune a network on a set of images from end to end: what is looked up, trained first, measured and kept.

The network that is pruned was trained on the real data before, as DELT's Sec. 4.6 has it ("data-free" is the pruning:
it sees the distilled images in place of that data). It is a teacher of the asked kind where one is there, else it is
trained now, once for each dataset. What each seed gave is kept as soon as it is known, so a pruning that was stopped
goes on with the seed it was at.
"""

from __future__ import annotations

import copy
import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from delt_engine.applications.pruning import PruneResult, prune
from delt_engine.applications.slimmed_file import save_slimmed
from delt_engine.applications.slimming import check_chain
from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.config.pruning import TRAINING_SETTINGS, PruneConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.data.dataset import Dataset
from delt_engine.errors import DataError
from delt_engine.jobs.worker import StopRequests
from delt_engine.models.card import SUFFIX, TeacherCard, files_of, find_other, readable_cards, teacher_files
from delt_engine.models.checkpoints import save_teacher
from delt_engine.models.device import pick_device
from delt_engine.models.held_out import second_dir
from delt_engine.models.networks import build_network, takes_width
from delt_engine.models.teachers import Teacher, load_teacher
from delt_engine.paths import assets_dir
from delt_engine.pipeline.application_inputs import (
    Report,
    check_all_classes,
    facts_of,
    holding,
    image_teacher,
    labelling_teacher,
    question_key,
)
from delt_engine.pipeline.evaluate import described
from delt_engine.pipeline.inputs import Inputs, evaluation_inputs, training_images
from delt_engine.runs.command import prune_command
from delt_engine.runs.prunings import PRUNINGS, networks_dir
from delt_engine.runs.record import now
from delt_engine.runs.sources import Source
from delt_engine.training.image_table import ImageTable, test_table
from delt_engine.training.recipe import resolve
from delt_engine.training.relabel import teacher_for
from delt_engine.training.squeeze import SqueezeProgress, SqueezeResult, squeeze

PHASES = {"sparsity": "train with sparse scales", "finetune": "fine-tune"}


@dataclass(frozen=True, eq=False)
class _Work:
    """What one pruning works with, the same for all seeds."""

    source: Source
    inputs: Inputs
    train: ImageTable
    test: ImageTable
    config: PruneConfig
    device: torch.device
    stop: StopRequests
    report: Report

    @property
    def dataset(self) -> Dataset:
        return self.inputs.dataset


def prune_images(source: Source, experiment: Experiment, config: PruneConfig, report: Report) -> dict[str, Any]:
    """Prune a network on the images of a source, or find what was measured before.

    Args:
        source: a finished run, a folder of images, or the real training set.
        experiment: data, teacher, seed and device; ``evaluate`` has how the network is trained.
        config: what is pruned and how much.
        report: told how far it is.

    Returns:
        What :func:`delt_engine.runs.prunings.summary` returns.

    Raises:
        ConfigError: a network that cannot be slimmed, or a value that is not allowed.
        DataError: images that cannot be used, or not of all classes.
        CheckpointError: a teacher or a network that is missing or does not fit.
        RunCancelled: it was stopped; the same command goes on.
    """
    inputs = evaluation_inputs(experiment, source, report)
    train = inputs.train if inputs.train is not None else training_images(source, inputs)
    spec = inputs.dataset.spec
    check_all_classes(source, train, inputs.dataset, "the network that is pruned knows all of them.")
    device = pick_device(experiment.device)
    with holding(device, "seeds that are finished are kept") as stop:
        work = _Work(source, inputs, train, test_table(inputs.dataset, train), config, device, stop, report)
        teacher = image_teacher(source, inputs, experiment, config.network, device, stop)
        path = _network_path(work, teacher, experiment)
        network = load_teacher(str(path), dataset=inputs.dataset, device=device)
        check_chain(network.network, spec.image_size)
        labeller = labelling_teacher(inputs, train, teacher, experiment.evaluate, device)
        training = _training(work, experiment.evaluate, network.card, labeller)
        return _all_seeds(work, network, labeller, training, experiment)


def _network_path(work: _Work, teacher: Teacher | None, experiment: Experiment) -> Path:
    """Return the file of the network that is pruned, trained now on the real data where there is none."""
    config, spec = work.config, work.dataset.spec
    if config.checkpoint:
        path, card = find_other(config.checkpoint, "checkpoint", spec.class_names, spec.image_size)
        if card.class_names != tuple(spec.class_names):
            raise DataError(f"checkpoint: {card.name} has other classes than {spec.title}, or in another order.")
        return path
    width = config.width
    if width is None:
        width = teacher.card.width if teacher is not None and takes_width(config.network) else 1.0
    squeeze_config = SqueezeConfig(network=config.network, width=width, stem=config.stem, epochs=config.network_epochs)
    wanted = (spec.name, spec.image_size, tuple(spec.class_names), config.network, width)
    known = [*files_of(networks_dir(), assets_dir() / "pruning"), *dict(teacher_files()).values()]
    known += files_of(second_dir(), assets_dir() / "second")
    for path, card in readable_cards(known):
        own = (card.dataset, card.image_size, card.class_names, card.network, card.width)
        if own == wanted and config.stem in ("auto", card.stem):
            return path
    with torch.random.fork_rng(devices=[]):
        build = build_network(
            config.network, spec.num_classes, width=width, stem=config.stem, image_size=spec.image_size
        )
    check_chain(build, spec.image_size)  # before minutes of training
    return _trained(work, squeeze_config, experiment.seed)


def _trained(work: _Work, config: SqueezeConfig, seed: int) -> Path:
    spec = work.dataset.spec
    path = networks_dir() / f"{config.teacher_name(spec.name, spec.image_size)}{SUFFIX}"
    for record in squeeze(work.dataset, config, seed=seed, device=work.device):
        work.stop.check()
        if isinstance(record, SqueezeProgress):
            done, total = (record.epoch - 1) * record.steps + record.step, record.epochs * record.steps
            work.report(f"train {config.network} on the real data", done, total)
        elif isinstance(record, SqueezeResult):
            save_teacher(path, record.network, record.card)
    return path


def _training(work: _Work, config: EvaluateConfig, card: TeacherCard, labeller: Teacher | None) -> EvaluateConfig:
    """Return the settings of both trainings with nothing left open."""
    network = {"student": card.network, "student_width": card.width, "student_stem": card.stem}
    return resolve(
        config.replace(**network, seeds=1),
        card=card,
        train=work.train,
        dataset_name=work.dataset.spec.name,
        labeller=labeller.card.network if labeller else "",
    )


def _all_seeds(
    work: _Work,
    network: Teacher,
    labeller: Teacher | None,
    training: EvaluateConfig,
    experiment: Experiment,
) -> dict[str, Any]:
    facts = _facts(work, network.card, labeller, training)
    parts = ("source", "settings", "training", "network_fingerprint", "teacher_fingerprint")
    asked = {name: facts[name] for name in parts}
    key = question_key(work.dataset, work.train, {**asked, "seed": experiment.seed})
    command = shlex.join(prune_command(experiment, work.config, work.source.ref))
    facts["command"] = command
    results = PRUNINGS.results(key)
    names = work.train.class_names
    asked_of = teacher_for(labeller.network, labeller.card.class_names, names) if labeller else None
    for number in range(work.config.seeds):
        seed = experiment.seed + number
        if seed in results:
            continue
        place = f", {number + 1} of {work.config.seeds}" if work.config.seeds > 1 else ""
        result = _one_seed(work, copy.deepcopy(network.network), asked_of, training, seed, place)
        results[seed], path = _plain(result), PRUNINGS.folder / key
        card = replace(network.card, accuracy=result.finetuned, source=command)
        save_slimmed(path / f"network-{seed}{SUFFIX}", result.network, card, result.kept)
        PRUNINGS.write(path, {**facts, "created": now()}, list(results.values()))
    return PRUNINGS.answer(key, work.config.seeds)


def _one_seed(
    work: _Work, network: nn.Module, teacher: nn.Module | None, training: EvaluateConfig, seed: int, place: str
) -> PruneResult:
    records = prune(network, work.train, work.test, teacher, work.config, training, seed=seed, device=work.device)
    for record in records:
        if isinstance(record, PruneResult):
            return record
        work.stop.check()
        work.report(f"{PHASES[record.phase]}{place}", record.done, record.total)
    raise AssertionError("the last record of a pruning is its result")


def _plain(result: PruneResult) -> dict[str, Any]:
    """Return the numbers of a pruning as plain values."""
    sizes = {"before": result.size_before, "after": result.size_after}
    numbers = ("seed", "before", "sparse", "pruned", "finetuned", "finetuned_best", "kept_percent", "seconds")
    return {
        **{name: getattr(result, name) for name in numbers},
        "parameters": {when: size.parameters for when, size in sizes.items()},
        "macs": {when: size.macs for when, size in sizes.items()},
        "layers": [asdict(layer) for layer in result.layers],
    }


def _facts(work: _Work, card: TeacherCard, labeller: Teacher | None, training: EvaluateConfig) -> dict[str, Any]:
    """Return everything that is known of a pruning before it begins."""
    source, spec = described(work.source, work.train), work.dataset.spec
    config = work.config
    return {
        **facts_of(source, work.dataset, len(work.test), labeller, training, work.device),
        "chance": 100.0 / spec.num_classes,
        **{name: getattr(card, name) for name in ("network", "width", "stem")},
        "network_name": card.name,
        "network_fingerprint": card.fingerprint,
        "network_epochs": card.epochs,
        "percent": config.percent,
        "sparsity": config.sparsity,
        "sparsity_epochs": config.epochs_before,
        "epochs": config.epochs,
        "settings": {
            name: getattr(config, name) for name in ("percent", "least_percent", "sparsity", "epochs_before", "epochs")
        },
        "training": training.model_dump(mode="json", include=set(TRAINING_SETTINGS)),
    }
