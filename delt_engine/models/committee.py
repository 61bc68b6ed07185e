"""The committee: teachers of different kinds for one dataset, which recover images in turn; readable without torch.

Source: G-VBSM recovers from four networks on ImageNet-1K (ResNet-18, MobileNet-V2, EfficientNet-B0, ShuffleNet-V2 x0.5)
and from five on small images (with ConvNet-3 and WRN-16-2).
Differs: which networks there are is for the user; without names it is one of every kind that is known here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from delt_engine.config.command_line import option_words
from delt_engine.errors import CheckpointError
from delt_engine.models.card import (
    TeacherCard,
    files_of,
    find_other,
    find_teacher,
    has_card,
    read_card,
    readable_cards,
    teacher_files,
)
from delt_engine.models.held_out import NETWORK, find_second, second_dir
from delt_engine.paths import assets_dir

SECOND = "second"
"""The word for the held-out network of the dataset among the names of a committee."""

Member = tuple[Path, TeacherCard]


def find_committee(refs: Sequence[str], first: Path, dataset: str, class_names: Sequence[str]) -> tuple[Member, ...]:
    """Return file and card of the teachers that recover in turn after the first one.

    Args:
        refs: their names or files, or :data:`SECOND`; the first teacher may be among them. Without any it is one
            network of every other kind: the user's newest teacher, else the shipped one, else the second network.
        first: file of the first teacher.
        dataset: its name, or the path of its folder.
        class_names: of the dataset, in order.

    Raises:
        CheckpointError: the first teacher has no card, one is named twice, does not know the classes, or reads images
            with other statistics; or there is no second network at all.
    """
    if not has_card(first):
        raise CheckpointError(
            f"teacher: {first} does not say what network it is; take it in with "
            f"`{shlex.join(['delt', 'teachers', 'add', str(first)])}` to have it in a committee."
        )
    card = read_card(first)
    found = list(_named(refs, card, dataset, class_names) if refs else _of_other_kinds(card, dataset, class_names))
    if not refs and not found:
        another = "resnet18" if card.network == NETWORK else NETWORK
        options = option_words(dataset=dataset, image_size=card.image_size, network=another)
        raise CheckpointError(
            f"teachers: {card.name} is the only network for {dataset} at {card.image_size} px, but a committee needs "
            f"two kinds; train another with `{shlex.join(['delt', 'squeeze', *options])}`."
        )
    return tuple(found)


def member_file(ref: str, fingerprint: str) -> Path:
    """Return the file of a teacher that was in a committee: by its weights wherever it lies, else by its reference.

    Raises:
        CheckpointError: there is no such teacher any more.
    """
    known = (path for path, card in readable_cards(_every_file()) if card.fingerprint == fingerprint)
    return next(known, None) or find_teacher(ref, role="teachers")


def _every_file() -> tuple[Path, ...]:
    return (*dict(teacher_files()).values(), *files_of(second_dir(), assets_dir() / "second"))


def _named(refs: Sequence[str], first: TeacherCard, dataset: str, class_names: Sequence[str]) -> Iterator[Member]:
    seen: set[str] = set()
    for ref in refs:
        where = str(find_second(Path(dataset).name, first.image_size, class_names)) if ref == SECOND else ref
        path, card = find_other(where, "teachers", class_names, first.image_size)
        if card.fingerprint in seen:
            raise CheckpointError(f"teachers: {ref} given twice, but each teacher has one turn.")
        seen.add(card.fingerprint)
        if (card.mean, card.std) != (first.mean, first.std):
            raise CheckpointError(
                f"teachers: {card.name} reads images with mean {card.mean} and std {card.std}, but {first.name} with "
                f"{first.mean} and {first.std}; a committee shares them."
            )
        if card.fingerprint != first.fingerprint:
            yield path, card


def _of_other_kinds(first: TeacherCard, dataset: str, class_names: Sequence[str]) -> Iterator[Member]:
    wanted = (Path(dataset).name, first.image_size, tuple(class_names), first.mean, first.std)
    kinds = {first.network}
    for path, card in readable_cards(_every_file()):
        own = (card.dataset, card.image_size, card.class_names, card.mean, card.std)
        if card.network not in kinds and own == wanted:
            kinds.add(card.network)
            yield path, card
