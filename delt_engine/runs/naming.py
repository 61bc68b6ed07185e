"""Names in and around a run folder: folders of classes, folders of runs, and settings that mean the same anywhere."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.config.command_line import STAGE_RECORDS, TEACHER_SETTINGS
from delt_engine.data.catalogue import dataset_names
from delt_engine.models.card import teacher_files
from delt_engine.paths import runs_dir
from delt_engine.runs.record import Kind


@lru_cache(maxsize=64)
def class_folders(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Return one folder name a class, so that reading them in sorted order gives the classes in their order.

    Names are used as they are where that holds; otherwise a number is put before each.

    >>> class_folders(("cat", "dog")), class_folders(("dog", "cat"))
    (('cat', 'dog'), ('0-dog', '1-cat'))
    """
    clean = tuple(re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "_", name).strip(" .") for name in class_names)
    is_plain = all(clean) and len({name.casefold() for name in clean}) == len(clean) and list(clean) == sorted(clean)
    if is_plain:
        return clean
    digits = len(str(max(len(clean) - 1, 0)))
    return tuple(f"{number:0{digits}d}-{name}".rstrip("-") for number, name in enumerate(clean))


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """Return the experiment with folders and files given in full, so that it means the same from anywhere."""
    changes = {}
    if experiment.dataset not in dataset_names() and Path(experiment.dataset).expanduser().exists():
        changes["dataset"] = str(Path(experiment.dataset).expanduser().absolute())
    if experiment.teacher not in dict(teacher_files()) and Path(experiment.teacher).expanduser().is_file():
        changes["teacher"] = str(Path(experiment.teacher).expanduser().absolute())
    store = experiment.evaluate.label_store
    if store and not Path(store).expanduser().is_absolute():
        changes["evaluate"] = experiment.evaluate.replace(label_store=str(Path(store).expanduser().absolute()))
    return experiment.replace(**changes) if changes else experiment


def relevant_settings(experiment: Experiment, kind: Kind) -> Experiment:
    """Return the experiment with the settings that such a run does not use set to their defaults.

    Of ``squeeze`` every run keeps which network it is, for checkpoints that do not say so themselves.
    """
    images = {"rank", "select", "recover"}
    used = {"recover": images, "squeeze": {"squeeze"}, "rank": {"rank"}, "evaluate": {*images, "evaluate"}}[kind]
    unused = {stage: record() for stage, record in STAGE_RECORDS.items() if stage not in {"experiment", *used}}
    if "squeeze" in unused:
        unused["squeeze"] = SqueezeConfig(**experiment.squeeze.model_dump(include=set(TEACHER_SETTINGS)))
    return experiment.replace(**unused)


def new_run_path(experiment: Experiment, kind: Kind = "recover") -> Path:
    """Return a folder among this user's runs that says when and what, and that no other run has."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    dataset = re.sub(r"[^a-z0-9]+", "-", Path(experiment.dataset).name.lower()).strip("-") or "dataset"
    words = {
        "recover": f"{experiment.recover.method}-ipc{experiment.recover.ipc}",
        "squeeze": f"teacher-{experiment.squeeze.network}",
        "rank": "ranking",
        "evaluate": f"students-{experiment.evaluate.recipe}",
    }
    return runs_dir() / f"{stamp}-{dataset}-{words[kind]}-{secrets.token_hex(2)}"
