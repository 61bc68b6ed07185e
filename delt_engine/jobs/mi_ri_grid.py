"""Runs for a grid of MI by RI: what each cell runs, which run has it already, and starting those that are missing.

All cells have the settings of one run, the base, but for MI and RI, and recover one of its classes or all. A column
has a number of rounds K, so its RI is MI / K. Classes of one batch share its BatchNorm statistics, so a class that is
recovered alone comes out another one than among others: the two are never taken for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from delt_engine.config import Experiment, RecoverConfig
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.errors import ConfigError
from delt_engine.jobs import start
from delt_engine.runs.lineage import save_parent
from delt_engine.runs.store import Run
from delt_engine.runs.titles import LONGEST_TITLE, RunTitle, write_title

MARK = "Grid: "
"""What the titles of runs begin with that were started for a grid."""

USUAL_ROUNDS = (1, 2, 5, 10)

_HERE = ("finished", "queued", "running", "paused")
"""Statuses of runs that are not made again."""


@dataclass(frozen=True)
class GridCell:
    """One MI with one number of rounds: its settings, or why there can be none, and the run that has it, if one does.

    ``experiment`` is None where ``refusal`` says why. ``stand_in`` recovers all classes of the base, where the cell is
    to recover one of them and no run does.
    """

    iterations: int
    rounds: int
    experiment: Experiment | None = None
    refusal: str = ""
    run: Run | None = None
    stand_in: Run | None = None

    @property
    def shown(self) -> Run | None:
        """The run whose images can be seen."""
        return self.run or self.stand_in

    @property
    def title(self) -> str:
        """MI and RI in words."""
        return f"MI {self.iterations:,} / RI {self.iterations // self.rounds:,}"

    @property
    def is_missing(self) -> bool:
        """Whether it could be run and no run has it."""
        return self.run is None and self.experiment is not None


def suggested(recover: RecoverConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return MI values (half, the same, double) and numbers of rounds to begin with, those of the base among them.

    >>> suggested(RecoverConfig(iterations=1000, round_iterations=125))
    ((500, 1000, 2000), (1, 2, 5, 8))
    >>> suggested(RecoverConfig(iterations=100, round_iterations=20))
    ((50, 100, 200), (1, 2, 5, 10))
    """
    own = recover.schedule.num_rounds
    if not recover.early_late:
        return (recover.iterations,), (own,)
    rounds = USUAL_ROUNDS if own in USUAL_ROUNDS else tuple(sorted({*USUAL_ROUNDS[:3], own}))
    half = recover.iterations // 2
    return tuple(sorted({max(half, 1), recover.iterations, recover.iterations * 2})), rounds


def cells(
    base: Run,
    class_name: str,
    iterations: Sequence[int],
    rounds: Sequence[int],
    runs: Iterable[Run],
    *,
    is_alone: bool = True,
) -> list[GridCell]:
    """Return the cells, row by row: one row an MI, one column a number of rounds.

    Args:
        base: knows its data and its teacher.
        class_name: the class that is looked at.
        runs: where a cell's run may be, the newest first.
        is_alone: cells recover this class only, else all that the base does.

    Raises:
        RunError: the base cannot be read.
    """
    record = base.record()
    assert record.dataset is not None  # the base has classes
    assert record.teacher is not None
    prints = {"dataset": record.dataset.fingerprint, "teacher": record.teacher.fingerprint}
    prints |= {"ranker": record.ranker.fingerprint} if record.ranker else {}
    recover = record.experiment.recover
    known = [run for run in runs if _may_fit(run, record.experiment)]
    classes = (class_name,) if is_alone else record.experiment.classes

    def find(experiment: Experiment) -> Run | None:
        pair = (experiment.recover.iterations, experiment.recover.round_iterations)
        close = [r for r in known if (r.experiment.recover.iterations, r.experiment.recover.round_iterations) == pair]
        return next((run for run in close if start.is_same(run, experiment, "recover", **prints)), None)

    made = []
    for number in iterations:
        for count in rounds:
            try:
                if number % count:
                    raise ConfigError(f"{count} rounds do not divide MI {number:,}")
                pair = {"iterations": number, "round_iterations": number // count}
                wanted = record.experiment.replace(recover=recover.replace(**pair), classes=classes)
            except ConfigError as error:
                made.append(GridCell(number, count, refusal=str(error)))
                continue
            run = find(wanted)
            other = find(wanted.replace(classes=record.experiment.classes)) if run is None and is_alone else None
            made.append(GridCell(number, count, wanted, run=run, stand_in=other))
    return made


def _may_fit(run: Run, experiment: Experiment) -> bool:
    """Return whether a run is worth the closer look of :func:`delt_engine.jobs.start.is_same`."""
    if run.unreadable or run.record().kind != "recover" or run.status not in _HERE:
        return False
    own, wanted = ((one.seed, one.recover.method, one.recover.ipc) for one in (run.experiment, experiment))
    return own == wanted


def price(missing: Iterable[GridCell], num_classes: int) -> int:
    """Return how many image-iterations the cells take together; ``num_classes`` are recovered where not one alone."""
    return sum(
        cell.experiment.recover.schedule.image_iterations(len(cell.experiment.classes or ()) or num_classes)
        for cell in missing
        if cell.experiment is not None
    )


def start_missing(base: Run, found: Sequence[GridCell], class_name: str) -> list[Run]:
    """Queue a run for each cell that has none, the cheapest first; each has a title that says so.

    Raises:
        RunError: a run folder or a process cannot be made.
    """
    started = []
    missing = [(cell.experiment, cell) for cell in found if cell.is_missing and cell.experiment is not None]
    for experiment, cell in sorted(missing, key=lambda pair: pair[0].recover.schedule.image_iterations()):
        run = start.start(experiment)
        save_parent(run, base.id)
        what = class_name if experiment.classes else "all classes"
        title = f"{MARK}{METHOD_TITLES[experiment.recover.method]} {what} {cell.title}"
        write_title(run, RunTitle(title[:LONGEST_TITLE]))
        started.append(run)
    return started
