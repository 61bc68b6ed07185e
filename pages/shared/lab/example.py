"""The finished example that Home and the pipeline show: a run, its students, and what stands beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from delt_engine.config import Experiment
from delt_engine.data.catalogue import find_entry
from delt_engine.jobs.evaluations import Evaluation, evaluations
from delt_engine.patches.ranking import Ranking
from delt_engine.pipeline.claim import claim_runs
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.accuracy.data import setup_of
from pages.shared.lab import stored


@dataclass(frozen=True, eq=False)
class Example:
    """A finished run and the class that is shown of it."""

    run: Run
    class_name: str

    @property
    def class_index(self) -> int:
        """Number of the class in the dataset."""
        return self.run.class_names.index(self.class_name)

    @cached_property
    def compared_runs(self) -> list[Run]:
        """The DELT run and after it CDA's and SRe2L's under the same settings; empty when there are none."""
        record = self.run.record().dataset
        runs = cached.recoveries(examples_first=True, finished=True)
        return claim_runs(runs, record.fingerprint, self.run) if record else []

    @cached_property
    def students(self) -> list[Evaluation]:
        """The students of this run, and of every other method on as many images under the same recipe."""
        known = evaluations([*cached.examples(), *cached.runs()])
        own = next((one for one in known if one.source == self.run.id), None)
        if own is None:
            return []
        ipc, setup, first = own.result["ipc"], setup_of(own), {}
        for one in known:
            if one.result["ipc"] == ipc and setup_of(one) == setup:
                first.setdefault(one.result["method"], one)
        return list((first | {own.result["method"]: own}).values())

    def accuracy(self, method: str) -> Evaluation | None:
        """Return the students of a method, or None."""
        return next((one for one in self.students if one.result["method"] == method), None)

    @cached_property
    def ranking(self) -> Ranking | None:
        """The ranking that the patches were chosen from, None where it is not stored or nothing was chosen."""
        record, experiment = self.run.record(), self.run.experiment
        if not (self.run.path / "selection.csv").is_file():
            return None
        ranks = record.ranker or record.teacher
        return cached.ranking(record.dataset.fingerprint, ranks.fingerprint, experiment.rank, record.seed)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The teacher's probability of every patch of the class, ascending; empty without a ranking."""
        if self.ranking is None:
            return np.zeros(0)
        return self.ranking.true_class_prob[self.ranking.ascending(self.class_index)]

    @cached_property
    def ends(self) -> tuple[int, int]:
        """The first and the last round with pictures of the class."""
        written = self.run.rounds_written(self.class_index)
        return written[0], written[-1]


def example(runs: Sequence[Run] | None = None) -> Example | None:
    """Return the example that ships for the default dataset, else the first finished run, in rounds where there is one.

    The class is the one that the dataset's lab opens with, if there is one.
    """
    found = cached.recoveries(examples_first=True, finished=True) if runs is None else list(runs)
    found = [run for run in found if run.rounds_written(run.classes[0])]
    default = Experiment().dataset
    found.sort(key=lambda run: (not run.experiment.recover.schedule.has_rounds, run.experiment.dataset != default))
    return Example(found[0], opening_class(found[0])) if found else None


def opening_class(run: Run) -> str:
    """Return the class to show first of a run: the one that its dataset's lab opens with, else a striking one."""
    dataset = run.experiment.dataset
    lab, entry = stored.of_dataset(dataset), find_entry(dataset)
    names = [run.class_names[number] for number in run.classes]
    wanted = (lab.record.opens_with if lab else "", entry.striking if entry else "")
    return next((name for name in wanted if name in names), names[0])
