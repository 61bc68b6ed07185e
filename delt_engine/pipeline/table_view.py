"""A table of the papers as it stands here: printed numbers, what was measured beside them, and what is missing.

Free of torch: it reads run folders and stored measurements. A number is measured by the runs whose every setting is
that of its cell (:mod:`delt_engine.papers.fits`); runs that ask the same question with other settings stand beside it
as near, with the settings that differ. Where nothing is finished here stands the number that comes with the package,
if there is one (:mod:`delt_engine.papers.kept`); its cell is still missing, for its runs are not here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from delt_engine.config import Experiment
from delt_engine.data.catalogue import CatalogueEntry, find_entry
from delt_engine.errors import ConfigError
from delt_engine.jobs.prices import Known, Price, continual_price, recovery_price, students_price, teacher_price
from delt_engine.models.card import read_card
from delt_engine.models.held_out import second_dir
from delt_engine.papers.cells import Cell, Scale, paper_cell, why_not
from delt_engine.papers.continual_values import step_number
from delt_engine.papers.fits import Difference, Found, beyond_settings, differences, is_alike
from delt_engine.papers.kept import kept_file, kept_number
from delt_engine.papers.laptop import DATASETS, laptop_cell
from delt_engine.papers.names import MILLION_PARAMETERS, our_network
from delt_engine.papers.paper_tables import axis, axis_label, find_table, place, rows_of
from delt_engine.papers.published import PublishedValue
from delt_engine.papers.table_record import PaperTable
from delt_engine.paths import teachers_dir
from delt_engine.pipeline.continual_cells import continual_config, measured_step
from delt_engine.pipeline.image_measures import judge_fingerprint, measure_folders, stored_measure
from delt_engine.pipeline.paper_teachers import (
    file_of,
    found_of,
    known_networks,
    missing_networks,
    published_ref,
    teacher_of,
)
from delt_engine.pipeline.table_records import CellView, Measured, Near, State, TableView
from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.record import Kind, RunRecord, relevant_settings
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.titles import example_runs

_ANY_NETWORK: dict[str, Any] = {"teacher": "auto", "teachers": (), "ranker": ""}
_STOPPED = ("paused", "cancelled", "interrupted", "failed")


def table_view(
    table: str | PaperTable,
    scale: Scale = "paper",
    *,
    runs: Iterable[Run] | None = None,
    device: str = "auto",
    validate_every: int | None = None,
) -> TableView:
    """Return a table as it stands here.

    Args:
        table: its id, such as ``delt-4c``.
        scale: as printed, or its version on a built-in dataset.
        runs: where to look; this user's runs and the examples when not given.
        device: for prices.
        validate_every: epochs between the tests of students that are still to be trained, in place of the paper's.

    Raises:
        ConfigError: no such table.
    """
    return views([table], scale, runs=runs, device=device, validate_every=validate_every)[0]


def views(
    tables: Iterable[str | PaperTable],
    scale: Scale = "paper",
    *,
    runs: Iterable[Run] | None = None,
    device: str = "auto",
    validate_every: int | None = None,
) -> list[TableView]:
    """Return several tables; the runs are read once. See :func:`table_view`."""
    looked = _Looked.at([*list_runs(), *example_runs()] if runs is None else runs, device)
    found = [find_table(table) if isinstance(table, str) else table for table in tables]
    return [_view(table, scale, looked, validate_every) for table in found]


def differs_beyond(one: CellView) -> list[Difference]:
    """Return in what the run that measured a number of students differs from published code whatever is set."""
    if not one.runs or one.cell is None or one.cell.scale != "paper" or not one.cell.needs_students:
        return []
    found = found_of(one.runs[0])
    return beyond_settings(one.cell, found) if found else []


def read_besides_runs() -> tuple[Path, ...]:
    """Return the files and folders from which a table is read besides the runs: when one is written, it may change."""
    return (*measure_folders(), teachers_dir(), second_dir(), kept_file(), *CONTINUALS.all())


@lru_cache(maxsize=128)
def cells_of(table: PaperTable, scale: Scale) -> list[tuple[PublishedValue, Cell | None, str]]:
    """Return each number of a table with its cell, or with why there is none."""
    found: list[tuple[PublishedValue, Cell | None, str]] = []
    for value in rows_of(table):
        try:
            cell = paper_cell(value)
            cell = laptop_cell(cell, (*table.rows, *table.columns)) if scale == "laptop" else cell
            found.append((value, cell, ""))
        except ConfigError as error:
            found.append((value, None, why_not(value) or str(error)))
    return found


@dataclass(frozen=True)
class _Looked:
    """All runs, read once: those that can be held against numbers, and those that are not finished."""

    found: Mapping[tuple[Kind, str], Sequence[tuple[Run, Found]]]  # by kind and dataset
    unfinished: tuple[tuple[str, Kind, Experiment, str], ...]
    known: Known

    @classmethod
    def at(cls, runs: Iterable[Run], device: str) -> _Looked:
        readable = [run for run in runs if not run.unreadable]
        networks = known_networks()
        found, unfinished = defaultdict[tuple[Kind, str], list[tuple[Run, Found]]](list), []
        for run in readable:
            record, status = run.record(), run.status
            if status == "finished":
                held = found_of(run, networks)
                if held is not None:
                    found[record.kind, held.dataset].append((run, held))
            elif record.kind in ("recover", "evaluate", "squeeze"):
                settings = _plain(record.experiment, record.kind)
                unfinished.append((status, record.kind, settings, record.source))
        return cls(found, tuple(unfinished), Known.of(readable, device))

    def of(self, kind: Kind, cell: Cell) -> Iterable[tuple[Run, Found]]:
        """Yield the finished runs of a kind that ask the question of a cell."""
        own = self.found.get((kind, cell.experiment.dataset), ())
        return ((run, found) for run, found in own if is_alike(cell, found))


def _view(table: PaperTable, scale: Scale, looked: _Looked, validate_every: int | None) -> TableView:
    cells = []
    for value, cell, reason in cells_of(table, scale):
        if cell and validate_every:
            evaluate = cell.experiment.evaluate.replace(validate_every=validate_every)
            cell = replace(cell, experiment=cell.experiment.replace(evaluate=evaluate))
        view = CellView(value, place(value, table.rows), place(value, table.columns), cell, reason)
        made = _cell_view(view, looked) if cell else _taken_in(view, scale, looked)
        if cell and made.state != "finished":
            made = replace(made, kept=kept_number(cell, judge_fingerprint(cell)))
        cells.append(made)
    return TableView(table, scale, tuple(_with_repeats(table, cells) if scale == "laptop" else cells))


def _taken_in(view: CellView, scale: Scale, looked: _Looked) -> CellView:
    """Return the images of a method that is not here, where a set was imported under its name; else what is absent."""
    value = view.value
    dataset = DATASETS.get(value.dataset, "") if scale == "laptop" else value.dataset
    own = looked.found.get(("recover", dataset), ()) if value.metric == "images" else ()
    names = {_folded(value.method), _folded(value.method_title)}
    named = (run for run, _ in own if (origin := run.record().origin) and _folded(origin.method) in names)
    run = next(named, None)
    if run is None:
        return replace(view, state="not here")
    return replace(view, reason="", runs=(run,), state="finished", recovered=run)


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _with_repeats(table: PaperTable, cells: Sequence[CellView]) -> list[CellView]:
    """Return cells, those whose experiment is that of one before them with what that is."""
    names, first, made = (*table.rows, *table.columns), dict[tuple[str, object], CellView](), []
    for one in cells:
        same = one
        if one.cell and one.cell.needs_images:
            same = first.setdefault((one.cell.key, step_number(one.value)), one)
        differing = [name for name in names if axis(one.value, name) != axis(same.value, name)]
        made.append(replace(one, same_as=", ".join(axis_label(same.value, name) for name in differing)))
    return made


def _cell_view(view: CellView, looked: _Looked) -> CellView:
    cell = view.cell
    assert cell is not None
    if cell.measure == "parameters":
        counted = MILLION_PARAMETERS.get(our_network(cell.value.student))
        return replace(view, measured=Measured(counted), state="finished") if counted else view
    if cell.measure == "continual":
        return _continual_view(view, cell, looked)
    if cell.needs_real:
        number = stored_measure(cell, None)
        return replace(view, measured=Measured(number), state="finished") if number is not None else view
    kind: Kind = "evaluate" if cell.needs_students else "squeeze" if cell.measure == "teacher" else "recover"
    fitting, near = [], []
    for run, found in looked.of(kind, cell):
        differing = tuple(differences(cell, found))
        if not differing:
            fitting.append(run)
        elif cell.scale == "paper" and (measured := _measured(cell, [run])):
            near.append(Near(run, measured, differing))
    measured = _measured(cell, fitting) if fitting else None
    is_done = bool(fitting) and (measured is not None or cell.measure == "images")
    recovered = _recovered(cell, looked) if cell.needs_images else None
    state: State = "finished" if is_done else _state(cell, looked, recovered)
    view = replace(view, measured=measured, runs=tuple(fitting), near=tuple(near), state=state, recovered=recovered)
    return _with_work(view, looked) if view.is_open else view


def _continual_view(view: CellView, cell: Cell, looked: _Looked) -> CellView:
    """Return a number of continual learning, which no run measures but what was kept of the images of a cell."""
    recovered = _recovered(cell, looked)
    measured, is_done = measured_step(cell, recovered) if recovered else (None, False)
    state: State = "finished" if is_done else _state(cell, looked, recovered)
    view = replace(view, measured=measured, state=state, recovered=recovered)
    return _with_work(view, looked) if view.is_open else view


def _recovered(cell: Cell, looked: _Looked) -> Run | None:
    """Return a finished run with the images of a cell."""
    images = replace(cell, measure="images")
    fitting = (run for run, found in looked.of("recover", images) if not differences(images, found))
    return next(fitting, None)


def _measured(cell: Cell, runs: Sequence[Run]) -> Measured | None:
    """Return what runs measured of a cell's number; None where they tell no number of the kind.

    Hours are those on the device of the first run.
    """
    records = [run.record() for run in runs]
    devices = [record.device_name or record.device or "" for record in records]
    device = devices[0]
    if cell.measure == "accuracy":
        students = _students(records)
        last, best = ([float(each[name]) for each in students] for name in ("top1_last", "top1_best"))
        return Measured(fmean(last), _std(last), len(last), fmean(best), _std(best), device)
    if cell.measure == "teacher":
        numbers = [float(record.result["accuracy"]) for record in records if record.result.get("accuracy")]
    elif cell.measure == "hours":
        numbers = [record.seconds / 3600 for record, own in zip(records, devices, strict=True) if own == device]
    else:
        numbers = [number for run in runs if (number := stored_measure(cell, run)) is not None]
    return Measured(fmean(numbers), _std(numbers), len(numbers), device=device) if numbers else None


def _students(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Return the students of evaluations; of those with the same seed on the same images the newest one counts."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for record in sorted(records, key=lambda one: one.finished or "", reverse=True):
        for student in record.result["students"]:
            found.setdefault((record.result["source"], int(student["seed"])), student)
    return list(found.values())


def _std(numbers: Sequence[float]) -> float | None:
    return stdev(numbers) if len(numbers) > 1 else None


def _state(cell: Cell, looked: _Looked, recovered: Run | None) -> State:
    """Return how far the work on a cell is that has no finished run; students may learn from ``recovered``."""
    kinds: list[Kind] = ["evaluate"] if cell.measure == "accuracy" else []
    kinds += ["recover"] if cell.needs_images else ["squeeze"]
    for kind in kinds:
        begun = [one for one in looked.unfinished if one[1] == kind]
        if not begun:
            continue
        wanted = _plain(cell.experiment, kind)
        sources = () if recovered is None else (recovered.id, str(recovered.path))
        statuses = {
            status
            for status, _, own, source in begun
            if own == wanted or (source in sources and own.evaluate == wanted.evaluate)
        }
        for state in ("running", "queued"):
            if state in statuses:
                return state  # type: ignore[return-value]  # one of the two
        if statuses & set(_STOPPED):
            return "stopped"
    return "missing"


def _plain(experiment: Experiment, kind: Kind) -> Experiment:
    """Return the settings that tell runs of a kind apart whatever machine they are on."""
    plain: Experiment = relevant_settings(experiment, kind).replace(**_ANY_NETWORK, device="auto", seed=0)
    recover = plain.recover.replace(precision="auto")
    evaluate = plain.evaluate.replace(precision="auto", relabeller="", validate_every=1)
    return plain.replace(recover=recover, evaluate=evaluate, squeeze=plain.squeeze.replace(precision="auto"))


def _with_work(view: CellView, looked: _Looked) -> CellView:
    """Return a cell with the networks, images and students that are missing, and what each of them takes."""
    cell = view.cell
    assert cell is not None
    trained, published = dict[str, Price](), dict[str, str]()
    for part in missing_networks(cell, has_images=view.recovered is not None):
        squeeze = cell.experiment.squeeze.replace(network=part.network, width=part.width)
        train, key = _entry(part.dataset).train_size, f"squeeze {part}"
        trained[key] = teacher_price(squeeze, train, part.image_size, looked.known)
        if ref := published_ref(part):
            published[key] = ref
    return replace(view, parts={**trained, **_parts(view, cell, looked.known)}, published=published)


def _parts(view: CellView, cell: Cell, known: Known) -> dict[str, Price]:
    """Return what is missing of images and students with its price: what several cells share has the same key."""
    experiment, data, size = cell.experiment, _entry(cell.experiment.dataset), teacher_of(cell).image_size
    classes, tests = data.num_classes or 0, data.test_size
    found: dict[str, Price] = {}
    if cell.needs_images and view.recovered is None:
        key = f"recover {_key(experiment)}"
        path = file_of(teacher_of(cell))
        found[key] = recovery_price(experiment, classes, size, read_card(path).fingerprint if path else "", known)
    if cell.measure == "continual":
        steps = continual_config(cell).steps
        key = f"continual {_key(experiment)} {steps} {experiment.evaluate.model_dump_json()}"
        found[key] = continual_price(experiment, steps, classes, size, tests, known)
    elif cell.needs_students:
        key = f"evaluate {_key(experiment)} {experiment.evaluate.model_dump_json()} {cell.relabeller}"
        found[key] = students_price(experiment, classes, size, tests, known)
    return found


def _entry(dataset: str) -> CatalogueEntry:
    entry = find_entry(dataset)
    assert entry is not None  # the papers' datasets and the built-in ones are all in the catalogue
    return entry


def _key(experiment: Experiment) -> str:
    """Return what tells the images of experiments apart."""
    stages = (experiment.rank, experiment.select, experiment.recover)
    words = (experiment.dataset, experiment.image_size, experiment.teacher, experiment.ranker)
    return " ".join([*map(str, words), experiment.squeeze.network, *(one.model_dump_json() for one in stages)])
