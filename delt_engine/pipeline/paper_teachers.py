"""Which network on this machine takes the part of a printed one, and which networks a finished run had.

A printed network is any teacher of that kind and width for the dataset at the size, however it was trained, the user's
newest first. At laptop scale it is the shipped one that the cell names. Networks of ImageNet-1K that torchvision has
weights of are those in the papers. What recovers or ranks is kept among the user's teachers; committees, relabellers
and outside networks are kept beside them, where ``--teacher auto`` does not find them. Readable without torch.

Source: DELT and CDA recover ImageNet-1K from torchvision's weights, see :mod:`delt_engine.models.published_weights`;
committees are G-VBSM's, see :mod:`delt_engine.papers.gvbsm_settings`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from delt_engine.config import SqueezeConfig
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import RunError
from delt_engine.files import write_bytes
from delt_engine.models.card import (
    TeacherCard,
    files_of,
    free_teacher_path,
    read_card,
    readable_cards,
    teacher_files,
)
from delt_engine.models.held_out import second_dir
from delt_engine.models.published_weights import PUBLISHED, load_published
from delt_engine.papers import gvbsm_settings
from delt_engine.papers.cells import RANKER, Cell
from delt_engine.papers.fits import Found, Network
from delt_engine.papers.names import OUTSIDE
from delt_engine.paths import assets_dir, teachers_dir
from delt_engine.runs.record import RunRecord, TeacherRecord
from delt_engine.runs.store import Run

LARGE_SIZE = 224
"""Side in pixels of a dataset that the catalogue does not know."""


def known_networks() -> dict[str, Network]:
    """Return every network with a card on this machine, by the fingerprint of its weights."""
    return {
        card.fingerprint: Network(card.name, card.network, card.width, card.fingerprint, card.epochs)
        for _, card in _every_card()
    }


def found_of(run: Run, networks: Mapping[str, Network] | None = None) -> Found | None:
    """Return a finished run as it is held against printed numbers; None of one without data.

    ``networks`` is what :func:`known_networks` returns, for many runs.
    """
    record = run.record()
    if record.dataset is None:
        return None
    known = known_networks() if networks is None else networks

    def network(role: TeacherRecord | None) -> Network | None:
        if role is None:
            return None
        own = Network(role.name, role.network, role.width, role.fingerprint, role.epochs)
        return known.get(role.fingerprint, own)

    return Found(
        experiment=record.experiment,
        dataset=record.dataset.name,
        image_size=record.dataset.image_size,
        num_classes=len(record.result["class_names"]) if record.kind == "evaluate" else len(record.classes),
        teacher=network(record.teacher),
        ranker=network(_ranker(record)),
        relabeller=network(record.relabeller),
        result=record.result,
    )


def _ranker(record: RunRecord) -> TeacherRecord | None:
    """Return what ranked the patches; an evaluation's run does not say it, but the run that its images are from."""
    if record.kind != "evaluate" or not record.experiment.ranker:
        return record.ranker
    try:
        return Run.open(record.source).record().ranker
    except RunError:  # the images' run is gone
        return None


@dataclass(frozen=True)
class Part:
    """A network that a cell needs: on which data it was or will be trained, and what it is.

    ``ref`` is the file of a shipped one, at laptop scale.
    """

    dataset: str
    image_size: int
    network: str
    width: float
    ref: str = ""


def teacher_of(cell: Cell) -> Part:
    """Return what recovers."""
    experiment, size = cell.experiment, _size(cell)
    ref = experiment.teacher if cell.scale == "laptop" else ""
    return Part(experiment.dataset, size, experiment.squeeze.network, experiment.squeeze.width, ref)


def ranker_of(cell: Cell) -> Part | None:
    """Return what ranks, where that is not the teacher: a ResNet-18, for ImageNet-100 one of ImageNet-1K."""
    experiment, size = cell.experiment, _size(cell)
    if not experiment.ranker or experiment.recover.initialization != "patches":
        return None
    named = SqueezeConfig(network=RANKER).teacher_name
    dataset = next((name for name in ("imagenet-1k",) if named(name, size) == experiment.ranker), experiment.dataset)
    return Part(dataset, size, RANKER, 1.0)


def relabeller_of(cell: Cell) -> Part | None:
    """Return what labels the images, where that is not the teacher."""
    if not cell.relabeller:
        return None
    ref = cell.relabeller if cell.scale == "laptop" else ""
    return Part(cell.experiment.dataset, _size(cell), cell.relabeller, 1.0, ref)


def committee_of(cell: Cell) -> tuple[Part, ...]:
    """Return the networks that take turns after the teacher, at paper scale; at laptop scale the settings name them."""
    if cell.scale != "paper" or not cell.experiment.recover.committee:
        return ()
    teacher = teacher_of(cell)
    kinds = gvbsm_settings.committee(teacher.image_size)
    return tuple(replace(teacher, network=kind, width=1.0) for kind in kinds if kind != teacher.network)


def role_of(cell: Cell, part: Part) -> str:
    """Return what a network does for a cell: teacher, ranker, relabeller or committee."""
    roles = {"teacher": teacher_of(cell), "ranker": ranker_of(cell), "relabeller": relabeller_of(cell)}
    return next((role for role, own in roles.items() if own == part), "committee")


def folder_of(cell: Cell, part: Part) -> Path:
    """Return where a new network of a cell goes: to this user's teachers, or beside them, where ``auto`` is blind.

    A ranker is a teacher as well: presets find it by its name.
    """
    return teachers_dir() if role_of(cell, part) in ("teacher", "ranker") else second_dir()


def missing_networks(cell: Cell, *, has_images: bool = False) -> list[Part]:
    """Return the networks that a cell needs and of which there is no file here; of a teacher's own number the teacher.

    ``has_images`` says that its images are recovered already: then nothing ranks, and no committee takes turns.
    """
    if cell.measure == "teacher":
        return [teacher_of(cell)]
    if not cell.needs_images:
        return []
    others = [relabeller_of(cell), *(() if has_images else (ranker_of(cell), *committee_of(cell)))]
    return [part for part in dict.fromkeys([teacher_of(cell), *filter(None, others)]) if file_of(part) is None]


def published_ref(part: Part) -> str:
    """Return the published weights that are a network of the papers, such as "torchvision:resnet18"; "" of others."""
    ref = f"torchvision:{part.network}"
    is_theirs = (part.dataset, part.image_size, part.width, part.ref) == ("imagenet-1k", LARGE_SIZE, 1.0, "")
    return ref if is_theirs and ref in PUBLISHED else ""


def add_command(ref: str) -> str:
    """Return the command that takes in published weights.

    >>> add_command("torchvision:resnet18")
    'delt teachers add torchvision:resnet18'
    """
    return shlex.join(["delt", "teachers", "add", ref])


def take_in(ref: str, folder: Path | None = None) -> Path:
    """Fetch published weights and keep them in a folder, among this user's teachers when not given; return the file.

    Raises:
        CheckpointError: they could not be fetched; the sentence says which file to put where.
    """
    from delt_engine.models.checkpoints import save_teacher

    teacher = load_published(ref)
    path = free_teacher_path(teacher.card.name, teacher.card.fingerprint, folder)
    save_teacher(path, teacher.network, replace(teacher.card, name=path.stem))
    return path


def keep_beside(file: Path) -> Path:
    """Copy a trained network to where ``auto`` does not find it; return the copy."""
    card = read_card(file)
    path = free_teacher_path(card.name, card.fingerprint, second_dir())
    write_bytes(path, file.read_bytes(), durable=True)
    return path


def judge_of(cell: Cell) -> Part | None:
    """Return the network that is asked about the images of a cell, where it has a number of that kind."""
    return replace(teacher_of(cell), network=OUTSIDE, width=1.0, ref="") if cell.measure == "judge" else None


def file_of(part: Part) -> Path | None:
    """Return the file of a network; None while there is none."""
    if part.ref:
        return Path(part.ref)
    wanted = (part.dataset, part.image_size, part.network, part.width)
    fitting = (
        path for path, card in _every_card() if (card.dataset, card.image_size, card.network, card.width) == wanted
    )
    return next(fitting, None)


def outside_network(teacher: Part) -> Path | None:
    """Return a network for the data of a teacher that is of another kind: a MobileNet-V2 where there is one.

    Source: CDA Sec. 3.7 asks a MobileNet-V2.
    """
    others = [
        (path, card)
        for path, card in reversed(_every_card())
        if (card.dataset, card.image_size) == (teacher.dataset, teacher.image_size)
        and card.network not in (teacher.network, _network_of(teacher))
    ]
    named = [path for path, card in others if card.network == OUTSIDE]
    return next(iter([*named, *(path for path, _ in others)]), None)


def _network_of(part: Part) -> str:
    return read_card(part.ref).network if part.ref else part.network


def _size(cell: Cell) -> int:
    entry = find_entry(cell.experiment.dataset)
    return cell.experiment.image_size or (entry.image_size if entry else None) or LARGE_SIZE


def _every_card() -> tuple[tuple[Path, TeacherCard], ...]:
    files = [*dict(teacher_files()).values(), *files_of(second_dir(), assets_dir() / "second")]
    return _read(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=2)
def _read(files: tuple[tuple[Path, int], ...]) -> tuple[tuple[Path, TeacherCard], ...]:
    return tuple(readable_cards(path for path, _ in files))
