"""Working through the missing numbers of a table: teacher, recovery, labels and students, each done once.

Cells that share a recovery share its run, and everything that is finished is used again, so the order is: one recovery
with all its students, then the next. Stopped anywhere, the same call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError, DeltError, RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.papers.cells import Cell
from delt_engine.papers.paper_tables import axis_label
from delt_engine.papers.table_record import PaperTable
from delt_engine.paths import teachers_dir
from delt_engine.pipeline.continual_cells import learn_cell
from delt_engine.pipeline.image_measures import measure_images
from delt_engine.pipeline.inputs import Inputs, evaluation_inputs, load_inputs
from delt_engine.pipeline.paper_teachers import (
    Part,
    committee_of,
    file_of,
    folder_of,
    keep_beside,
    ranker_of,
    relabeller_of,
    take_in,
    teacher_of,
)
from delt_engine.pipeline.table_needs import hindrance, needs_of
from delt_engine.pipeline.table_records import CellView
from delt_engine.runs.record import Kind, RunOptions
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run

Say = Callable[[str], None]


class Finish(Protocol):
    """Returns a finished run of an experiment: one that is there, one that goes on, or a new one."""

    def __call__(
        self,
        experiment: Experiment,
        kind: Kind,
        inputs: Inputs,
        teacher: str | None,
        *,
        source: str = "",
        options: RunOptions | None = None,
        say: Say,
    ) -> Run:
        """Do the work; ``teacher`` is its fingerprint, ``source`` what an evaluation trains on."""


@dataclass(frozen=True)
class Failure:
    """A number that could not be made, and why."""

    cell: CellView
    error: DeltError


@dataclass(frozen=True)
class _How:
    """How cells are worked on."""

    finish: Finish
    say: Say
    device: str
    precision: str

    def settings(self, cell: Cell) -> Experiment:
        """Return a cell's experiment on the device and with the number format that were asked for, where it can be had.

        Batches matched with batches are float32 whatever is asked.
        """
        experiment: Experiment = cell.experiment.replace(device=self.device)
        names = ("squeeze", "evaluate") if experiment.recover.is_batch_to_batch else ("squeeze", "recover", "evaluate")
        stages = {name: getattr(experiment, name) for name in names}
        return experiment.replace(**{name: one.replace(precision=self.precision) for name, one in stages.items()})


@dataclass(frozen=True)
class _Made:
    """What cells of a group share: settings with the networks by name, data, teacher's fingerprint, and the images."""

    experiment: Experiment
    inputs: Inputs
    teacher: str
    run: Run


def reproduce(
    table: PaperTable,
    cells: Sequence[CellView],
    finish: Finish,
    say: Say,
    *,
    device: str = "auto",
    precision: str = "auto",
) -> list[Failure]:
    """Make the numbers of cells that are not there yet; return those that could not be made.

    Args:
        table: they are of.
        cells: those that are finished are passed over.
        finish: does the work of one run.
        say: takes a line about what is done.
        device, precision: of all work; dm and dc recover in float32 whatever is asked.

    Raises:
        RunCancelled: it was stopped; the same call goes on.
    """
    how = _How(finish, say, device, precision)
    todo = _each_once(cells)
    fetch_networks(todo, say)
    failures = [Failure(one, error) for one in todo if (error := hindrance(one))]
    for failure in failures:
        say(f"{cell_title(table, failure.cell)}: {failure.error}")
        todo.remove(failure.cell)
    number = 0
    for group in grouped(todo):
        made: _Made | None = None
        for position, one in enumerate(group):
            number, title = number + 1, cell_title(table, one)
            said = replace(how, say=partial(_say, say, f"{number} of {len(todo)}, {title}"))
            try:
                made = _work(one, made, said)
            except RunCancelled as stopped:
                raise type(stopped)(f"{title}: {stopped} The same `delt reproduce` goes on as well.") from None
            except DeltError as error:
                said.say(str(error))
                failures.append(Failure(one, error))
                if made is None:  # nothing of the group can be made
                    failures += [Failure(each, error) for each in group[position + 1 :]]
                    number += len(group) - position - 1
                    break
    return failures


def _each_once(cells: Iterable[CellView]) -> list[CellView]:
    """Return the cells that have work to do, of those with the same experiment the first."""
    return list({one.cell.key: one for one in reversed(list(cells)) if one.cell and one.is_open}.values())[::-1]


def fetch_networks(cells: Sequence[CellView], say: Say) -> None:
    """Take in the published weights of networks that cells need and that are not here; say which cannot be fetched.

    What is fetched is decided by the first rank, before anything is there that others could already see.
    """
    for ref, (folder, instead) in ranks.first(partial(_to_fetch, cells)).items():
        say(f"fetch {ref}")
        try:
            ranks.first(partial(take_in, ref, folder))
        except CheckpointError as error:
            say(f"{error}{instead}")


def _to_fetch(cells: Sequence[CellView]) -> dict[str, tuple[Path, str]]:
    """Return published weights that cells need, with where they go and what is said where they cannot be fetched."""
    needs = needs_of(cells)
    instead = dict.fromkeys(needs.judges, " Another network is asked instead, if there is one.")
    instead |= {ref: f" {ref.partition(':')[2]} is trained here instead." for ref in needs.saved}
    return {ref: (needs.folders[ref], words) for ref, words in instead.items()}


def grouped(cells: Iterable[CellView]) -> list[list[CellView]]:
    """Return cells in groups that share a recovery, in the order of their first."""
    groups: dict[str, list[CellView]] = {}
    for one in cells:
        assert one.cell is not None
        experiment = one.cell.experiment
        shared = experiment.replace(evaluate=Experiment().evaluate, relabel=Experiment().relabel)
        kind = one.cell.measure if not one.cell.needs_images else "images"
        groups.setdefault(f"{kind} {shared.model_dump_json()}", []).append(one)
    return list(groups.values())


def cell_title(table: PaperTable, view: CellView) -> str:
    """Return which number of its table it is, such as "DELT Table 4c, MI 4,000, RI 500"."""
    names = (*table.rows, *table.columns)
    labels = (axis_label(view.value, name) for name in names)
    pairs = zip(names, labels, strict=True)
    words = (f"{name.upper()} {label}" if name in ("MI", "RI", "ipc") and label else label for name, label in pairs)
    return ", ".join([table.where, *filter(None, words)])


def _say(say: Say, where: str, words: str) -> None:
    say(f"{where}: {words}")


def _work(view: CellView, made: _Made | None, how: _How) -> _Made | None:
    """Make one number; return what the next one of its group can use."""
    cell = view.cell
    assert cell is not None
    if cell.measure == "teacher":
        _squeeze(how.settings(cell), how, keep=cell.scale == "paper")
        return None
    if cell.needs_real:
        measure_images(cell, None, how.device)
        return None
    made = made or _images(view, cell, how)
    if cell.measure == "continual":
        how.say("learn the classes step by step")
        learn_cell(how.settings(cell).evaluate, cell, made.run, how.device)
    elif cell.needs_students:
        source, config, inputs = find_source(made.run.path), how.settings(cell).evaluate, made.inputs
        relabeller = relabeller_of(cell)
        if relabeller is not None:
            config = config.replace(relabeller=_network(cell, relabeller, how))
        students = evaluation_experiment(source, config, device=how.device)
        if relabeller is not None:
            inputs = evaluation_inputs(students, source)
        how.finish(students, "evaluate", inputs, made.teacher, source=source.ref, say=how.say)
    elif cell.measure in ("cosine", "judge"):
        how.say("measure the images")
        measure_images(cell, made.run, how.device)
    return made


def _images(view: CellView, cell: Cell, how: _How) -> _Made:
    """Return the images of a cell, recovered now unless they are there: then nothing ranks, and no committee works."""
    experiment = how.settings(cell).replace(teacher=_network(cell, teacher_of(cell), how), ranker="")
    if view.recovered is None:
        ranker, others = ranker_of(cell), committee_of(cell)
        experiment = experiment.replace(ranker=_network(cell, ranker, how) if ranker else "")
        if others:
            experiment = experiment.replace(teachers=tuple(_network(cell, part, how) for part in others))
    inputs = load_inputs(experiment)
    assert inputs.card is not None  # it was found by its card
    experiment, teacher = experiment.replace(teacher=inputs.teacher_ref), inputs.card.fingerprint
    run = view.recovered or how.finish(experiment, "recover", inputs, teacher, say=how.say)
    return _Made(experiment, inputs, teacher, run)


def _network(cell: Cell, part: Part, how: _How) -> str:
    """Return the file of a network that a cell needs, which is trained where there is none."""
    path = file_of(part)
    if path is None:
        experiment = how.settings(cell)
        squeeze = experiment.squeeze.replace(network=part.network, width=part.width)
        is_teacher = folder_of(cell, part) == teachers_dir()
        run = _squeeze(experiment.replace(dataset=part.dataset, squeeze=squeeze), how, keep=is_teacher)
        if not is_teacher:
            ranks.first(partial(keep_beside, Path(run.record().result["teacher"])))
        path = file_of(part)
    if path is None:
        raise RunError(f"teacher: the {part.network} that was trained on {part.dataset} is not found.")
    return str(path)


def _squeeze(experiment: Experiment, how: _How, *, keep: bool) -> Run:
    plain = experiment.replace(teacher="auto", ranker="")
    inputs = load_inputs(plain, needs_teacher=False)
    return how.finish(plain, "squeeze", inputs, None, options=RunOptions(keep_teacher=keep), say=how.say)
