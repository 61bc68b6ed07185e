"""Stored labels: what they are made from, and their writing, by one process or by several ranks.

Epochs depend on nothing but their number, so ranks share them out, and the store is the same to the byte on a CPU with
as many threads. Files appear whole, so a store goes on wherever it was stopped, with any number of ranks. A signal that
reaches one of several ranks becomes the folder's stop request, so that all of them stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from delt_engine.config import Experiment
from delt_engine.errors import ConfigError, RanksLost, RunCancelled, RunError, RunPaused
from delt_engine.jobs import ranks
from delt_engine.jobs.worker import claimed_folder, listening
from delt_engine.models.card import find_teacher, has_card, read_card
from delt_engine.models.device import pick_device
from delt_engine.models.teachers import load_teacher
from delt_engine.pipeline.committees import labelling_committee
from delt_engine.pipeline.inputs import evaluation_inputs, training_images
from delt_engine.runs.events import StageEvent
from delt_engine.runs.sources import Source, needs_teacher
from delt_engine.training.draws import batch_bounds
from delt_engine.training.image_table import ImageTable
from delt_engine.training.recipe import resolve
from delt_engine.training.relabel import store_facts, teacher_for, write_epochs
from delt_engine.training.soft_labels import STOP_REQUEST, LabelStore, StoreFacts, is_begun

Report = Callable[[StageEvent], None]


@dataclass(frozen=True, eq=False)
class RelabelJob:
    """Everything that relabelling needs.

    Attributes:
        train: the images.
        teacher: its logits are the classes of ``train``.
        facts: what the labels are of.
        device: where the teacher is.
    """

    train: ImageTable
    teacher: nn.Module
    facts: StoreFacts
    device: str

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(batch_bounds(self.facts.images, self.facts.batch_size))

    def check(self, out: Path) -> None:
        """Refuse a folder that holds something else than these labels.

        Raises:
            DataError: it does.
        """
        if is_begun(out):
            LabelStore.open(out).check(self.facts)


def relabel_job(experiment: Experiment, source: Source) -> RelabelJob:
    """Look up everything, and refuse what does not fit together.

    Args:
        experiment: ``evaluate`` says what is trained with the labels, ``relabel`` their form.
        source: what is labelled.

    Raises:
        ConfigError: hard labels, of which there is nothing to store, or more label epochs than epochs.
        DataError: a source that cannot be used, or that is not finished.
        CheckpointError: no teacher, or a relabeller that does not know the classes.
        RunError: the run's teacher is not the one any more that its images were made with.
    """
    config = experiment.evaluate
    if config.labels == "hard":
        raise ConfigError("labels: 'hard' given, but a hard label is the class itself; there is nothing to store.")
    device = ranks.this_rank().device(str(pick_device(experiment.device)))
    source.check_ready()
    inputs = evaluation_inputs(experiment, source)
    spec, train, path = inputs.dataset.spec, inputs.train or training_images(source, inputs), inputs.teacher_path
    made_with = source.run.record().teacher if source.run else None
    if path is None and (made_with or needs_teacher(config)):
        wanted = made_with.ref if made_with else experiment.teacher
        path = find_teacher(wanted, spec.name, spec.image_size, spec.class_names)
    if inputs.relabeller is not None:
        teacher = load_teacher(str(inputs.relabeller[0]), device=device)
        card = read_card(path) if path is not None and has_card(path) else teacher.card
    else:
        teacher = load_teacher(str(path), dataset=inputs.dataset, device=device, **experiment.squeeze.checkpoint)
        card = teacher.card
        if made_with is not None and card.fingerprint != made_with.fingerprint:
            raise RunError(f"teacher: {made_with.name} is not the one any more that run {source.ref} was made with.")
        if source.run is not None:
            teacher = labelling_committee(source.run.record(), teacher, train.class_names)
    network = teacher_for(teacher.network, teacher.card.class_names, train.class_names)
    labeller = teacher.card.network
    resolved = resolve(config, card=card, train=train, dataset_name=spec.name, labeller=labeller)
    facts = store_facts(train, network, resolved, experiment.relabel, seed=experiment.seed, teacher=teacher.card.name)
    return RelabelJob(train, network, facts, device)


def write_labels(job: RelabelJob, out: str | Path, report: Report) -> None:
    """Write the labels that are not there yet; every rank calls this, and takes its share of the epochs.

    Args:
        job: what is labelled, by whom and how.
        out: the folder.
        report: called after every batch of this rank with how many batches of all are done.

    Raises:
        RunCancelled: Ctrl-C or SIGTERM; whole epochs stay.
        RunError: another process writes there, a rank is gone, or the disk refuses.
        DataError: the folder holds something else, or there is no room.
    """
    path, rank = Path(out), ranks.this_rank()
    request = path / STOP_REQUEST
    with contextlib.ExitStack() as held, listening(None) as stop:

        def begun() -> list[int]:
            held.enter_context(claimed_folder(path))
            store = LabelStore.create(path, job.facts)
            store.remove_unfinished()
            return store.missing

        def check() -> None:
            if stop.asked() and rank.size > 1:
                request.touch()
            if stop.asked() or (rank.size > 1 and request.exists()):
                raise RunCancelled("pause")

        try:
            missing = ranks.first(begun, _go_on)
            if not is_begun(path):
                raise RunError(f"labels {path}: rank {rank.number} does not see them; all ranks need the same disk.")
            store, steps, total = LabelStore.open(path), job.steps, job.facts.label_epochs
            whole, is_stopped = total - len(missing), False
            try:
                for progress in write_epochs(store, rank.share(missing), job.train, job.teacher, job.device):
                    if progress.step == steps:
                        whole = total - len(store.missing)
                    done = whole * steps + progress.step % steps
                    report(StageEvent(stage="relabel", done=done, total=total * steps))
                    check()
            except RunCancelled:
                is_stopped = True
            try:
                ranks.barrier(_go_on if is_stopped else check)
            except RunCancelled:
                is_stopped = True
            is_stopped = bool(ranks.agreed(is_stopped))
            request.unlink(missing_ok=True)
        except RanksLost as lost:
            if not stop.asked():
                raise RunError(
                    f"labels {path}: the process of another rank is gone; the same command goes on."
                ) from lost
            is_stopped = True  # others have stopped before this one
        if is_stopped:
            kind = RunPaused if stop.asked() == "pause" else RunCancelled
            raise kind(f"labels {path}: whole epochs are kept, and the same command goes on.")


def _go_on() -> None:
    """Wait for the others whatever is asked."""
