"""Which network on this machine takes the part of a printed one: teacher, ranker or relabelling network of a cell.

A printed network is any teacher of that kind and width for the dataset at the size, however it was trained, the user's
newest first. At laptop scale it is the shipped one that the cell names. Readable without torch.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from delt_engine.data.catalogue import find_entry
from delt_engine.models.card import TeacherCard, files_of, find_teacher, read_card, readable_cards, teacher_files
from delt_engine.models.held_out import second_dir
from delt_engine.papers.cells import Cell
from delt_engine.papers.fits import Network
from delt_engine.paths import assets_dir


def known_networks() -> dict[str, Network]:
    """Return every network with a card on this machine, by the fingerprint of its weights."""
    return {
        card.fingerprint: Network(card.name, card.network, card.width, card.fingerprint) for _, card in _every_card()
    }


def teacher_card(cell: Cell) -> TeacherCard | None:
    """Return the card of the teacher of a cell; None while there is none."""
    path = teacher_file(cell)
    return read_card(path) if path else None


def teacher_file(cell: Cell, network: str = "") -> Path | None:
    """Return the file of a network of a cell; None while there is none.

    Args:
        cell: says data, size and the network that recovers.
        network: another one, such as the cell's ranker or relabeller.
    """
    experiment = cell.experiment
    if cell.scale == "laptop":
        return find_teacher(network or experiment.teacher)
    entry = find_entry(experiment.dataset)
    size = experiment.image_size or (entry.image_size if entry else 224)
    wanted = (experiment.dataset, size, network or experiment.squeeze.network, experiment.squeeze.width)
    fitting = (
        path for path, card in _every_card() if (card.dataset, card.image_size, card.network, card.width) == wanted
    )
    return next(fitting, None)


def _every_card() -> tuple[tuple[Path, TeacherCard], ...]:
    files = [*dict(teacher_files()).values(), *files_of(second_dir(), assets_dir() / "second")]
    return _read(tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache(maxsize=2)
def _read(files: tuple[tuple[Path, int], ...]) -> tuple[tuple[Path, TeacherCard], ...]:
    return tuple(readable_cards(path for path, _ in files))
