"""Stored labels written by one process or by several ranks: who writes which epochs, and what becomes of the rest.

Epochs depend on nothing but their number, so ranks share them out, and the store is the same to the byte on a CPU with
as many threads. The first rank owns the store: it begins it, finds the directions, tells the others which epochs are
theirs, and clears away what is left of a rank that was killed. Files appear whole, so a store goes on wherever it was
stopped, with any number of ranks. There is no run; ``ranks/`` beside the epochs is there only while several ranks are
at work.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from delt_engine.config import Experiment
from delt_engine.errors import DataError, RunCancelled, RunError
from delt_engine.jobs.ranks import this_rank
from delt_engine.jobs.worker import Wishes, claimed_folder, listening
from delt_engine.pipeline.helping import STOP, RankLabels
from delt_engine.pipeline.relabel import RelabelJob, relabel_job
from delt_engine.pipeline.sharing import Shared
from delt_engine.runs.locks import FOLDER
from delt_engine.runs.naming import with_absolute_paths
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run
from delt_engine.training.soft_labels import MANIFEST, LabelStore

Event = dict[str, Any]
EVENT_SECONDS = 0.25
"""Shortest time between two events of a rank that is not the first."""


def write_labels(job: RelabelJob, out: str | Path) -> Iterator[Event]:
    """Write the labels that are not there yet, together with the other ranks where there are any.

    Args:
        job: what is labelled, by whom and how.
        out: the folder.

    Yields:
        How many batches of all are done, after every batch of this process.

    Raises:
        RunCancelled: Ctrl-C or SIGTERM; whole epochs are kept.
        RunError: another process writes there, or a rank failed or is gone.
        DataError: the folder holds something else, the disk refuses, or there is no room.
    """
    labels = _Labels(out)
    with claimed_folder(labels.path), listening(labels) as wishes:
        try:
            with wishes.at_once():
                store = job.begin(labels.path)
            yield from _written(labels, store, job, wishes)
        except RunCancelled:
            raise RunCancelled(f"labels {labels.path}: whole epochs are kept, and the same command goes on.") from None


def relabel_share(labels: RankLabels, epochs: Sequence[int], wishes: Wishes) -> Iterator[Event]:
    """Write some epochs of a store that another rank owns.

    Raises:
        RunCancelled: it is to stop.
        RunError: this rank does not see the store.
        DataError: the store is of other images, or the disk refuses.
    """
    if not (labels.path / MANIFEST).is_file():
        number = this_rank().number
        raise RunError(f"labels {labels.path}: rank {number} does not see them; all ranks need the same disk.")
    torch.set_num_threads(labels.order["threads"])
    experiment = Experiment.model_validate(labels.order["experiment"]).replace(device=labels.device)
    with wishes.at_once():
        job = relabel_job(experiment, find_source(labels.order["source"]))
        store = job.begin(labels.path)
    next_event = 0.0
    for done, progress in enumerate(job.write(store, epochs), start=1):
        if progress.step == progress.steps or time.monotonic() >= next_event:
            next_event = time.monotonic() + EVENT_SECONDS
            event = {"kind": "stage", "stage": "relabel", "done": done, "total": len(epochs) * job.steps}
            labels.event(event)
            yield event
        wishes.check()


class SharedLabels(Shared):
    """Epochs in the hands of all ranks; the order has ``experiment``, ``source``, ``device`` and ``threads``."""

    def __init__(self, labels: Run, job: RelabelJob, epochs: Sequence[int], done: int) -> None:
        self._path, self._done, self._by_rank = labels.path, done, {}
        self._total = job.config.epochs * job.steps
        facts = {
            "experiment": json.loads(with_absolute_paths(job.experiment).model_dump_json()),
            "source": job.source.ref,
            "device": job.device,
            "threads": torch.get_num_threads(),
        }
        super().__init__(labels, "relabel", epochs, self.counted, facts=facts)

    def counted(self, event: Event) -> Event:
        """Return an event of a rank with the batches of all ranks in the place of its own."""
        self._by_rank[event.get("rank", 0)] = event["done"]
        return {**event, "done": self._done + sum(self._by_rank.values()), "total": self._total}

    def _lost(self, number: int) -> RunError:
        return RunError(f"labels {self._path}: the process of rank {number} is gone; the same command goes on.")


def _written(labels: _Labels, store: LabelStore, job: RelabelJob, wishes: Wishes) -> Iterator[Event]:
    store.remove_unfinished()
    epochs = store.missing
    shared = SharedLabels(labels, job, epochs, (job.config.epochs - len(epochs)) * job.steps)
    try:
        for done, _ in enumerate(job.write(store, shared.mine), start=1):
            yield shared.counted({"kind": "stage", "stage": "relabel", "done": done})
            yield from shared.news()
            wishes.check()
        yield from shared.rest(wishes)
    except RunCancelled:
        labels.stop()
        shared.settle()
        raise
    finally:  # others that are left see that their folder is gone, and stop
        shutil.rmtree(labels.path / FOLDER, ignore_errors=True)
        with contextlib.suppress(DataError):
            store.remove_unfinished()


class _Labels(Run):
    """A folder of labels in the place of a run: nobody reads its events afterwards, and it has no control file."""

    def event(self, event: Event) -> None:
        """Keep nothing of an event."""

    def note(self, text: str) -> list[Event]:
        """Return the event of a note."""
        return [{"kind": "note", "text": text}]

    def requested(self) -> str | None:
        """Return None: only signals stop it."""
        return None

    def stop(self) -> None:
        """Tell the other ranks to stop."""
        if (self.path / FOLDER).is_dir():
            with contextlib.suppress(OSError):
                (self.path / FOLDER / STOP).touch()
