"""Whether a finished run is the one behind a printed number: all settings equal, or in which it differs.

A run fits when it asks the same question (data, method, images a class, student) and every setting that changes a
result is the printed one, or where the paper prints none, the published code's. How it was computed (precision,
packing), how often students were tested and how many seeds there are does not count.

Source: DELT Tables 8 to 12, CDA Tables 10 to 21; where they are silent, the published code as
:mod:`delt_engine.papers.recipes` has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from delt_engine.config import EvaluateConfig, Experiment, Settings, field_specs
from delt_engine.config.command_line import STAGE_RECORDS
from delt_engine.config.methods import METHOD_SETTINGS
from delt_engine.config.student_rules import printed_batch_size
from delt_engine.config.students import filled_in
from delt_engine.data.catalogue import find_entry
from delt_engine.data.decode import view_side
from delt_engine.models.card import TeacherCard, read_card
from delt_engine.models.networks import resolve_stem
from delt_engine.papers.cells import RANKER, Cell, paper_cell, why_not
from delt_engine.papers.continual_values import steps_of
from delt_engine.papers.published import PublishedValue, all_published, published_settings
from delt_engine.papers.recipes import published_experiment

TRAIN_THE_SAME = frozenset(
    ("seeds", "label_store", "validate_every", "validate_from", "precision", "graphs", "students_at_once")
)
"""Settings of students that change nothing they learn: how it is computed, how many there are, when they are tested."""

NOT_COUNTED: dict[str, set[str]] = {
    "squeeze": {"precision", "graphs", "stem"},
    "rank": {"batch_size"},
    "select": {"picked_from"},
    "recover": {"precision", "fold", "pack", "compile", "static_shapes"},
    "evaluate": {"recipe", "relabeller", *TRAIN_THE_SAME},
}
"""Settings that change no result, or only how it is told; networks are compared by their weights."""

_PREFIXES = {"squeeze": "", "rank": "Ranking: ", "select": "Patches: ", "recover": "Recovery: ", "evaluate": ""}

_PAPERS_OF = {"delt": "delt", "cda": "cda", "sre2l": "cda", "gvbsm": "delt", "rded": "delt"}
"""Whose settings a method is held against where no printed row says it."""

_JPEG = ("delt", "cda", "cda-init", "cda-early-late", "sre2l", "sre2l-init")
"""Methods whose published code writes JPEG at Pillow's default quality."""

_EVALUATED_ALIKE = ("delt", "cda-init", "cda-early-late", "sre2l-init", "rded")
"""Methods whose published evaluation is the same code: best tested epoch, ImageNet's statistics, three seeds."""

_SEEDS = 3


class Difference(NamedTuple):
    """A setting that differs: its name, what it is here, what was published, and where that stands."""

    name: str
    here: str
    published: str
    source: str = ""


class Network(NamedTuple):
    """A network with weights: name of its file, what it is; where known its share of published width, and epochs."""

    name: str
    network: str
    width: float | None
    fingerprint: str
    epochs: int | None = None

    @property
    def title(self) -> str:
        """What it is, with a width other than the published one."""
        if not self.network:  # a ranking read from a file
            return self.name
        return self.network if self.width in (None, 1.0) else f"{self.network}, width {self.width:g}"


@dataclass(frozen=True)
class Found:
    """A finished run as it is held against printed numbers; ``result`` is an evaluation's, else empty.

    ``ranker`` and ``relabeller`` are None where the teacher does their work.
    """

    experiment: Experiment
    dataset: str
    image_size: int
    num_classes: int
    teacher: Network | None = None
    ranker: Network | None = None
    relabeller: Network | None = None
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method, ``real`` and ``folder`` included."""
        return str(self.result.get("method") or self.experiment.recover.method)


def is_alike(cell: Cell, found: Found) -> bool:
    """Return whether a run asks the same question as a printed number: data, method, images a class and student.

    Of a teacher: data and network.
    """
    wanted, own = cell.experiment, found.experiment
    if (found.dataset, found.num_classes) != (wanted.dataset, _classes(wanted, found)):
        return False
    if cell.measure == "teacher":
        return own.squeeze.network == wanted.squeeze.network
    if (found.method, own.recover.ipc) != (wanted.recover.method, wanted.recover.ipc):
        return False
    return not cell.needs_students or found.result.get("student") == wanted.evaluate.student


def differences(cell: Cell, found: Found) -> list[Difference]:
    """Return in which settings a run that asks the same question differs; it fits when there are none."""
    rows = [*_stages(cell, found), *_networks(cell, found)]
    return [Difference(name, _text(here), _text(there), source) for name, here, there, source in rows]


def fits(cell: Cell, found: Found) -> bool:
    """Return whether a run is the one behind a printed number."""
    return is_alike(cell, found) and not differences(cell, found)


def published_like(found: Found) -> tuple[PublishedValue, ...]:
    """Return the printed numbers that ask the same question as an evaluation, with what their own rows vary.

    Where some are of the networks that recovered and labelled here, these alone. Settings of the paper as a whole may
    differ: those are told by :func:`settings_that_differ`.
    """
    asked = {value: paper_cell(value) for value in _asked(found)}
    alike = tuple(value for value, cell in asked.items() if _varied_alike(cell, found))
    return tuple(value for value in alike if _of_its_networks(asked[value], found)) or alike


def settings_that_differ(found: Found) -> list[Difference]:
    """Return in what an evaluation differs from how the published accuracy of its method was measured.

    Without a publication there is nothing to differ from.
    """
    values = published_like(found)
    main = next((value for value in values if value.is_main), values[0] if values else None)
    cell = paper_cell(main) if main else _cell_without_row(found)
    if cell is None:
        return []
    rows = [*differences(cell, found), *beyond_settings(cell, found)]
    if found.method in _EVALUATED_ALIKE:
        best = "best of the tested epochs"
        rows.append(Difference("Accuracy", "last epoch, the best beside it", best, "published code"))
    return rows


def beyond_settings(cell: Cell, found: Found) -> list[Difference]:
    """Return what differs from the published code whatever is set, and how long the teacher was trained.

    A run fits with any teacher of the printed kind.
    """
    rows = []
    here, there = found.teacher and found.teacher.epochs, cell.experiment.squeeze.epochs
    if here and here != there:
        source = cell.origins.get("squeeze.epochs", "published code")
        rows.append(Difference("Epochs of the teacher", f"{here:,}", f"{there:,}", source))
    entry = find_entry(cell.experiment.dataset)
    if cell.experiment.ranker and entry and entry.image_size and found.image_size < entry.image_size:
        own, published = f"{found.image_size} px", f"{entry.image_size} px"
        rows.append(Difference("Patches ranked at", own, published, "published code (data_selection.py)"))
    seeds = len(found.result.get("seeds", ()))
    if found.method in _EVALUATED_ALIKE and seeds != _SEEDS:
        rows.append(Difference("Seeds", str(seeds), str(_SEEDS), "published code"))
    if found.method in _EVALUATED_ALIKE:
        tested, wanted = (one.evaluate.validate_every for one in (found.experiment, cell.experiment))
        if tested > wanted:
            rows.append(Difference("Students tested", f"every {tested} epochs", f"every {wanted}", "published code"))
        statistics = "ImageNet's for every set"
        rows.append(Difference("Statistics of the images", "the dataset's own", statistics, "published code"))
    if found.method in _JPEG:
        rows.append(Difference("Image files", "PNG", "JPEG, quality 75", "published code"))
    return rows


def _asked(found: Found) -> Iterator[PublishedValue]:
    for value in all_published():
        about = (value.dataset, value.method, value.ipc, value.metric)
        is_asked = about == (found.dataset, found.method, found.experiment.recover.ipc, "top1") and not why_not(value)
        if is_asked and not steps_of(value) and is_alike(paper_cell(value), found):
            yield value


def _varied_alike(cell: Cell, found: Found) -> bool:
    names = {name.partition(".")[0] for name in cell.varied}
    own = {stage: _counted(stage, cell, found, own=True) for stage in names}
    there = {stage: _counted(stage, cell, found, own=False) for stage in names}
    pairs = (name.split(".") for name in cell.varied)
    return all(own[stage].get(name) == there[stage].get(name) for stage, name in pairs)


def _of_its_networks(cell: Cell, found: Found) -> bool:
    """Return whether the kinds of network that recovered and labelled are those of a printed number."""
    network = cell.experiment.squeeze.network
    pairs = [(found.teacher, network), (found.relabeller or found.teacher, cell.relabeller or network)]
    return all(here is None or here.network == there for here, there in pairs)


def _cell_without_row(found: Found) -> Cell | None:
    """Return the settings of the method's paper for data, images a class or a student of which it prints no number."""
    method, recover = found.method, found.experiment.recover
    paper = _PAPERS_OF.get(method.removesuffix("-init").removesuffix("-early-late"))
    source = _printing(paper, found.dataset) if paper else None
    if source is None:
        return None
    student = str(found.result["student"])
    made = published_experiment(source, found.dataset, method, student=student, ipc=recover.ipc)
    value = PublishedValue(
        method, "", math.nan, None, source, "", found.dataset, recover.ipc, student, teacher="", metric="top1"
    )
    return Cell(value, "accuracy", made.experiment, origins=made.origins)


def _printing(paper: str, dataset: str) -> str | None:
    """Return which paper has settings for a dataset: this one before DELT; None where neither has."""
    return next((name for name in (paper, "delt") if dataset in published_settings()[name]), None)


@lru_cache(maxsize=256)
def own_recipe(method: str, dataset: str) -> str | None:
    """Return the recipe by which a method's own paper trains students on a dataset; None where no paper has it.

    Variants of DELT's ablations, and real images, are learned from as DELT's are.

    >>> own_recipe("sre2l", "cifar10"), own_recipe("sre2l-init", "cifar10"), own_recipe("sre2l", "photos")
    ('sre2l-cifar', 'delt', None)
    """
    paper = "delt" if method in _EVALUATED_ALIKE else _PAPERS_OF.get(method, "delt")
    source = _printing(paper, dataset)
    if source is None:
        return None
    asked = method if method in METHOD_SETTINGS else "delt"
    return published_experiment(source, dataset, asked).experiment.evaluate.recipe


Row = tuple[str, Any, Any, str]
"""Name of a setting, what it is here and what was published, and where that stands."""


def _stages(cell: Cell, found: Found) -> Iterator[Row]:
    """Yield the settings that differ, stage by stage."""
    size = _image_size(cell.experiment, found)
    if size != found.image_size:
        yield "Image size", f"{found.image_size} px", f"{size} px", cell.origins.get("experiment.image_size", "")
    squares, wanted = found.experiment.resize, cell.experiment.resize
    if view_side(found.image_size, squares) != view_side(found.image_size, wanted):
        yield "Squares", squares, wanted, cell.origins.get("experiment.resize", "published code")
    stages = ["rank", "select", "recover"] if cell.needs_images else ["squeeze"]
    for stage in stages + (["evaluate"] if cell.needs_students else []):
        here, there = (_counted(stage, cell, found, own=own) for own in (True, False))
        for name in here:
            if here[name] != there[name]:
                source = cell.origins.get(f"{stage}.{name}", "published code")
                yield _PREFIXES[stage] + _titles(stage)[name], here[name], there[name], source
    stored, epochs = found.result.get("label_epochs"), found.experiment.evaluate.epochs
    if cell.needs_students and stored and stored != epochs:  # unknown of runs from before it was kept
        yield "Epochs of stored labels", stored, epochs, "published code"


def _counted(stage: str, cell: Cell, found: Found, *, own: bool) -> dict[str, Any]:
    """Return the settings of a stage that count: of the run, or of the cell."""
    experiment = found.experiment if own else cell.experiment
    if stage == "evaluate":
        return _training(cell, found, own=own)
    record: Settings = getattr(experiment, stage)
    values, recover = record.model_dump(exclude=NOT_COUNTED[stage]), cell.experiment.recover
    if stage == "squeeze":
        return values
    if stage != "recover":
        return values if recover.initialization == "patches" else {}
    if not recover.is_optimised:
        return {}
    if not recover.early_late or recover.ipc == 1:  # then RI only says when pictures are taken
        del values["round_iterations"]
    if recover.ipc == 1:
        del values["early_late"]
    return values


def _training(cell: Cell, found: Found, *, own: bool) -> dict[str, Any]:
    """Return the settings of the students' training with nothing left open."""
    config: EvaluateConfig = (found if own else cell).experiment.evaluate
    changes: dict[str, Any] = {"student": found.result["student"]}
    changes["student_width"] = found.result["student_width"] if own else config.student_width
    if config.labels == "stored":  # a replay of those on the fly
        changes |= {"labels": "on-the-fly", "label_store": ""}
    filled = filled_in(
        config.replace(**changes),
        ipc=found.experiment.recover.ipc,
        images=int(found.result["images"]),
        num_classes=found.num_classes,
        image_size=found.image_size,
        dataset=found.dataset,
    )
    values = filled.model_dump(exclude=NOT_COUNTED["evaluate"])
    values["student_width"] = values["student_width"] or 1.0
    values["student_stem"] = resolve_stem(values["student_stem"], found.image_size)
    if not own and "evaluate.batch_size" not in cell.varied:
        values["batch_size"] = _batch(cell, found, values["batch_size"])
    return values


def _batch(cell: Cell, found: Found, wanted: int) -> int:
    """Return the student's batch as it was, where that is what DELT's table prints or what its code takes instead.

    DELT Table 8a prints 100 at IPC 50; its code doubles that from 100 classes on, which is our default as well.
    """
    printed = printed_batch_size(found.experiment.recover.ipc)
    own = int(found.result["batch_size"])
    return own if cell.experiment.evaluate.recipe == "delt" and own == printed else wanted


def _networks(cell: Cell, found: Found) -> Iterator[Row]:
    """Yield the networks that differ: teacher, the ranker of patches that are not picked at random, who labels."""
    if not cell.needs_images:
        return
    wanted, teacher, is_named = cell.experiment, found.teacher, cell.scale == "laptop"
    usual = (wanted.teacher if is_named else "", wanted.squeeze.network, wanted.squeeze.width)
    uses = [("Teacher", teacher, usual)]
    needs_ranks = wanted.recover.initialization == "patches" and wanted.select.criterion != "random"
    if wanted.ranker and not is_named and found.ranker is None and teacher is not None:
        yield "Ranker", f"the teacher, {teacher.title}", wanted.ranker, cell.origins.get("experiment.ranker", "")
    elif needs_ranks:
        uses.append(("Ranker", found.ranker or teacher, ("", RANKER, 1.0) if wanted.ranker else usual))
    if cell.needs_students:
        own = (cell.relabeller if is_named else "", cell.relabeller, 1.0)
        uses.append(("Labels of", found.relabeller or teacher, own if cell.relabeller else usual))
    for title, here, (ref, network, width) in uses:
        card = _named(ref)
        if here is None:
            continue
        if card is not None and card.fingerprint != here.fingerprint:
            yield title, here.name, card.name, ""
        elif card is None and (here.network, here.width or width) != (network, width):
            yield title, here.title, network, cell.origins.get("squeeze.network", "")


@lru_cache(maxsize=16)
def _named(path: str) -> TeacherCard | None:
    """Return the card of a shipped network that a cell names by its file; None where it says only which network."""
    return read_card(path) if path else None


@lru_cache(maxsize=8)
def _titles(stage: str) -> dict[str, str]:
    return {spec.name: spec.title for spec in field_specs(STAGE_RECORDS[stage])}


def _classes(wanted: Experiment, found: Found) -> int:
    entry = find_entry(wanted.dataset)
    return (entry.num_classes if entry else None) or found.num_classes


def _image_size(wanted: Experiment, found: Found) -> int:
    entry = find_entry(found.dataset)
    return wanted.image_size or (entry.image_size if entry else None) or found.image_size


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
