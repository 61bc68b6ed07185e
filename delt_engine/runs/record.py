"""What a run says about itself: the record in run.json, the names in and around its folder, and which settings count.

Everything that repeats a run or explains its images stands in one :class:`RunRecord`; it is validated when it is
read, so a damaged or foreign file is named as such and never half understood.

Source: DESIGN section 4, "A run is a folder".
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from delt_engine import __version__
from delt_engine.config import Experiment, Resize, SqueezeConfig
from delt_engine.config.command_line import STAGE_RECORDS, TEACHER_SETTINGS
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.data.catalogue import dataset_names
from delt_engine.errors import RunError
from delt_engine.models.card import TeacherCard, teacher_files
from delt_engine.paths import expanded, runs_dir

SCHEMA_VERSION = 1

_MOST_NAMED, _LONGEST = 5, 40
"""Unknown entries that a sentence names, and letters of a name."""

NO_ROUNDS = "IPC 1 has no rounds: one image a class joins in round 1 and gets all iterations."

Status = Literal["queued", "running", "paused", "finished", "cancelled", "failed"]
"""Statuses that are written; ``interrupted`` is derived for a run whose process is gone."""

Kind = Literal["recover", "squeeze", "rank", "evaluate"]


class _Record(BaseModel):
    """Base of the records: frozen, and names that a later version added are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ProcessRecord(_Record):
    """A process, distinguishable from a later one with the same number.

    ``created`` is when it began, in seconds by the machine's clock, which may be set while it runs; so ``booted`` is
    when that clock said that the machine began. ``boot`` is the name of that start, where the system gives it one.
    """

    pid: int
    created: float
    hostname: str
    booted: float = 0.0
    boot: str = ""


class DatasetRecord(_Record):
    """Which data a run used, with the names and statistics that its images are read with."""

    name: str
    title: str
    fingerprint: str
    image_size: int
    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: Resize = "whole"


class TeacherRecord(_Record):
    """Which teacher a run used, kept so that it can be told where its file is not.

    ``ref`` is its name or its file, ``width`` its share of the published channels, ``epochs`` how long it was trained;
    None where that is not known, as in records from before it was kept. Accuracies are in percent.
    """

    name: str
    network: str
    fingerprint: str
    ref: str = "auto"
    accuracy: float | None = None
    measured_accuracy: float | None = None
    measured_sample: int | None = None
    width: float | None = None
    epochs: int | None = None

    @classmethod
    def of(cls, card: TeacherCard, ref: str) -> TeacherRecord:
        """Return what is kept of a teacher with this card that ``ref`` finds."""
        return cls(
            name=card.name,
            network=card.network,
            fingerprint=card.fingerprint,
            ref=ref,
            accuracy=card.accuracy,
            width=card.width,
            epochs=card.epochs,
        )


class ImportRecord(_Record):
    """Where the images of an imported run are from.

    ``method`` is what whoever imported them called it, ``layout`` how they lay (folder, tensors, parquet), ``digest``
    a fingerprint of all their pixels.
    """

    method: str
    path: str
    layout: str
    digest: str


class RunOptions(_Record):
    """How a run is worked on; nothing here changes an image.

    ``ranks`` changes last digits of a network, on a CPU more: there BatchNorm sees each rank's part of a batch.
    ``live_seconds``: shortest time between two live strips, 0 turns them off. ``checkpoint_seconds``: longest time
    without a checkpoint. ``snapshot_classes``: how many classes get snapshots and live strips, the first ones; all
    when None. ``teacher_check``: refuse a teacher that is near chance. ``keep_teacher``: put a squeezed teacher where
    ``auto`` finds it. ``ranks``: processes that share the work on this machine; 0 for one a card.
    """

    live_seconds: float = Field(1.0, ge=0)
    checkpoint_seconds: float = Field(30.0, gt=0)
    snapshot_classes: int | None = Field(None, ge=0)
    teacher_check: bool = True
    keep_teacher: bool = True
    ranks: int = Field(0, ge=0, le=1024)


class RunRecord(_Record):
    """Everything in run.json. Times are ISO 8601 in UTC, ``seconds`` counts work and not waiting.

    ``source`` is what an evaluation trains on: the id or the folder of a run, a folder of images, or ``real``.
    ``machine`` is what it was computed on: processor, instruction set, torch and threads. ``speed`` is how a recovery
    is computed (precision, folding, packing), chosen at its start. ``memory`` is its peak, predicted and measured,
    in MB. ``committee`` are the teachers that recover in turn after ``teacher``, in their order. ``ranker`` is what
    ranked the patches, and ``relabeller`` what labelled the images, where it was not the teacher. ``origin`` is where
    images are from that were made elsewhere. ``selection_digest`` is the SHA-256 of selection.csv, "" while there is
    none, and in runs of version 0.1.0.
    """

    schema_version: int = Field(SCHEMA_VERSION, le=SCHEMA_VERSION)
    id: str
    kind: Kind = "recover"
    status: Status = "queued"
    source: str = ""
    experiment: Experiment
    options: RunOptions = RunOptions()
    command: tuple[str, ...] = ()
    seed: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    created: str
    started: str | None = None
    finished: str | None = None
    dataset: DatasetRecord | None = None
    teacher: TeacherRecord | None = None
    committee: tuple[TeacherRecord, ...] = ()
    ranker: TeacherRecord | None = None
    relabeller: TeacherRecord | None = None
    origin: ImportRecord | None = None
    selection_digest: str = ""
    classes: tuple[int, ...] = ()
    device: str | None = None
    device_name: str | None = None
    threads: int | None = None
    process: ProcessRecord | None = None
    seconds: float = 0.0
    image_iterations: int = 0
    image_iterations_per_second: float | None = None
    first_snapshot_seconds: float | None = None
    machine: dict[str, Any] = Field(default_factory=dict)
    speed: dict[str, Any] = Field(default_factory=dict)
    memory: dict[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None
    result: dict[str, Any] = Field(default_factory=dict)

    def to_json(self) -> str:
        """Return the record as the text of run.json."""
        return self.model_dump_json(indent=2) + "\n"

    @property
    def is_labelled_by_committee(self) -> bool:
        """Whether students learn from the mean of all teachers, as G-VBSM's do; DELT+ keeps the labels of DELT."""
        return bool(self.committee) and self.experiment.recover.method != "delt-plus"

    @property
    def method_title(self) -> str:
        """What the method of its images is called; of imported ones what the user calls it."""
        method = self.experiment.recover.method
        return self.origin.method if self.origin else METHOD_TITLES.get(method, method)

    def changed(self, **changes: Any) -> RunRecord:
        """Return a validated copy with ``changes``.

        Raises:
            RunError: a change that is not allowed, for instance an unknown status.
        """
        values = {name: getattr(self, name) for name in type(self).model_fields}
        unknown = set(changes) - set(values)
        if unknown:
            raise RunError(f"run.json: there is no entry named {sorted(unknown)[0]!r}.")
        try:
            return type(self)(**{**values, **changes})
        except ValidationError as error:
            raise RunError(f"run.json: {_first_complaint(error)}.") from None


def _first_complaint(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}"


def read_record(text: str | bytes, run_id: str) -> RunRecord:
    """Read the text of the run.json of run ``run_id``.

    Raises:
        RunError: not JSON, a newer schema, or a missing or wrong entry.
    """
    try:
        return RunRecord.model_validate_json(text)
    except ValidationError as error:
        newer = _newer(text)
        if newer:
            raise RunError(f"run {run_id}: {newer}") from None
        raise RunError(f"run {run_id}: run.json cannot be read ({_first_complaint(error)}).") from None


def _newer(text: str | bytes) -> str:
    """Return what is said of a run.json of a later version than this one; "" of any other."""
    try:
        values = json.loads(text)
        version, made_by = int(values["schema_version"]), values.get("versions", {}).get("delt", "later than this one")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    if version <= SCHEMA_VERSION:
        return ""
    names = unknown_entries(text)
    unknown = f"; unknown here: {', '.join(names[:_MOST_NAMED])}" if names else ""
    return (
        f"run.json is of version {str(made_by)[:_LONGEST]} (schema version {version}), but this version of DELT "
        f"Studio, {__version__}, reads up to schema version {SCHEMA_VERSION}{unknown}."
    )


def unknown_entries(text: str | bytes) -> list[str]:
    """Return the entries of a run.json that this version does not know and leaves aside, in order.

    >>> unknown_entries('{"id": "a", "colour": 1}')
    ['colour']
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return sorted(str(name)[:_LONGEST] for name in set(values) - set(RunRecord.model_fields))


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def versions() -> dict[str, str]:
    """Return the versions that decide a result, without importing torch.

    >>> sorted(versions())
    ['delt', 'python', 'torch', 'torchvision']
    """
    found = {"delt": __version__, "python": platform.python_version()}
    for package in ("torch", "torchvision"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@lru_cache(maxsize=64)
def class_folders(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Return one folder name a class, so that reading them in sorted order gives the classes in their order.

    Names are used as they are where that holds; otherwise a number is put before each.

    >>> class_folders(("cat", "dog")), class_folders(("dog", "cat"))
    (('cat', 'dog'), ('0-dog', '1-cat'))
    """
    clean = tuple(re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "_", name).strip(" .") for name in class_names)
    if all(clean) and len({name.casefold() for name in clean}) == len(clean) and list(clean) == sorted(clean):
        return clean
    digits = len(str(max(len(clean) - 1, 0)))
    return tuple(f"{number:0{digits}d}-{name}".rstrip("-") for number, name in enumerate(clean))


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """Return the experiment with folders and files given in full, so that it means the same from anywhere."""
    changes: dict[str, Any] = {}
    # os.path, for pathlib raises at names that are too long
    dataset = expanded(experiment.dataset)
    if experiment.dataset not in dataset_names() and os.path.exists(dataset):  # noqa: PTH110
        changes["dataset"] = str(dataset.absolute())
    for role in ("teacher", "ranker"):
        if _is_teacher_file(getattr(experiment, role)):
            changes[role] = str(expanded(getattr(experiment, role)).absolute())
    if any(map(_is_teacher_file, experiment.teachers)):
        changes["teachers"] = tuple(
            str(expanded(ref).absolute()) if _is_teacher_file(ref) else ref for ref in experiment.teachers
        )
    evaluate, own = experiment.evaluate, {}
    if evaluate.label_store and not expanded(evaluate.label_store).is_absolute():
        own["label_store"] = str(expanded(evaluate.label_store).absolute())
    if _is_teacher_file(evaluate.relabeller):
        own["relabeller"] = str(expanded(evaluate.relabeller).absolute())
    if own:
        changes["evaluate"] = evaluate.replace(**own)
    return experiment.replace(**changes) if changes else experiment


def _is_teacher_file(ref: str) -> bool:
    return bool(ref) and ref not in dict(teacher_files()) and os.path.isfile(expanded(ref))  # noqa: PTH113


def relevant_settings(experiment: Experiment, kind: Kind) -> Experiment:
    """Return the experiment with the settings that such a run does not use set to their defaults.

    A recovery that starts from noise has no ranker, and one from a single teacher no committee. Of ``squeeze`` every
    run keeps which network it is, for checkpoints that do not say so themselves.
    """
    images = {"rank", "select", "recover"}
    used = {"recover": images, "squeeze": {"squeeze"}, "rank": {"rank"}, "evaluate": {*images, "evaluate"}}[kind]
    unused: dict[str, Any] = {
        stage: record() for stage, record in STAGE_RECORDS.items() if stage not in {"experiment", *used}
    }
    if "squeeze" in unused:
        unused["squeeze"] = SqueezeConfig(**experiment.squeeze.model_dump(include=set(TEACHER_SETTINGS)))
    if kind == "squeeze" or (kind == "recover" and experiment.recover.initialization != "patches"):
        unused["ranker"] = Experiment().ranker
    if kind != "recover" or not experiment.recover.committee:
        unused["teachers"] = ()
    return experiment.replace(**unused)


def new_run_path(experiment: Experiment, kind: Kind = "recover") -> Path:
    """Return a folder among this user's runs that says when and what, and that no other run has."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    dataset = re.sub(r"[^a-z0-9]+", "-", Path(experiment.dataset).name.lower()).strip("-")[:80] or "dataset"
    words = {
        "recover": f"{experiment.recover.method}-ipc{experiment.recover.ipc}",
        "squeeze": f"teacher-{experiment.squeeze.network}",
        "rank": "ranking",
        "evaluate": f"students-{experiment.evaluate.recipe}",
    }
    return runs_dir() / f"{stamp}-{dataset}-{words[kind]}-{secrets.token_hex(2)}"
