"""What a teacher file says of itself, and where teacher files are: readable without torch.

The card stands as JSON in the header of the safetensors file, so that a list of teachers opens no weights.
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any

from safetensors import SafetensorError, safe_open

from delt_engine import access
from delt_engine.data.class_lists import class_title
from delt_engine.errors import CheckpointError
from delt_engine.files import check_file
from delt_engine.paths import assets_dir, expanded, teachers_dir

CARD_KEY = "delt.teacher"
SUFFIX = ".safetensors"
PUBLISHED_PREFIXES = ("torchvision:", "timm:")
"""How references to published weights begin; see :mod:`delt_engine.models.published_weights`."""


@dataclass(frozen=True)
class TeacherCard:
    """What is known of a teacher: the network, the classes in order, the data, and how good it is."""

    name: str
    network: str
    width: float
    stem: str  # "small" or "stock"
    num_classes: int
    class_names: tuple[str, ...]
    image_size: int  # pixels
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dataset: str
    dataset_fingerprint: str
    accuracy: float | None  # percent on the test split
    epochs: int | None
    source: str  # how the weights came to be
    fingerprint: str  # of the weights
    added_from: str = ""  # the file or the published weights that it was taken from; empty where it was trained here

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TeacherCard:
        """Read a card from the JSON of :meth:`to_json`; unknown names are left out, bad ones a CheckpointError."""
        names = [field.name for field in fields(cls)]
        try:
            values = {**json.loads(text)}
            if "added_from" not in values:  # cards once said it at the end of their source
                source, said, file = values["source"].rpartition("added from ")
                values["added_from"] = file if said else ""
                values["source"] = (source.rstrip("; ") or f"checkpoint {file}") if said else file
            values = {name: values[name] for name in names}
            for name, kind in (("class_names", str), ("mean", float), ("std", float)):
                values[name] = tuple(kind(value) for value in values[name])
        except KeyError as error:
            raise CheckpointError(f"teacher: the card has no {error.args[0]!r}.") from None
        except (TypeError, ValueError, AttributeError, RecursionError):
            raise CheckpointError("teacher: the card cannot be read.") from None
        _check_values(values)
        if values["num_classes"] != len(values["class_names"]):
            raise CheckpointError(
                f"teacher: the card names {len(values['class_names'])} classes but counts {values['num_classes']}."
            )
        return cls(**values)


_NUMBERS: dict[str, tuple[tuple[type, ...], float, float]] = {
    "width": ((int, float), 2**-10, 4),
    "num_classes": ((int,), 1, 10**6),
    "image_size": ((int,), 1, 4096),
    "accuracy": ((int, float, NoneType), 0, 100),
    "epochs": ((int, NoneType), 0, 10**9),
}
"""Of each number in a card its kinds, and the lowest and highest value; the width's is that of the settings."""


def _check_values(values: dict[str, Any]) -> None:
    """Refuse values that no network is built of and no page can show; others have to read cards of anybody."""
    for name, (kinds, low, high) in _NUMBERS.items():
        value = values[name]
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_number or (value is not None and not low <= value <= high):
            raise CheckpointError(f"teacher: the card's {name} is {value!r}, but it must be {low:g} to {high:g}.")
    texts = {*values} - {*_NUMBERS, "class_names", "mean", "std"}
    odd = next((name for name in sorted(texts) if not isinstance(values[name], str)), None)
    if odd:
        raise CheckpointError(f"teacher: the card's {odd} is {values[odd]!r}, but it must be a text.")
    for name in ("mean", "std"):
        if (
            len(values[name]) != 3
            or not all(map(math.isfinite, values[name]))
            or (name == "std" and min(values[name]) <= 0)
        ):
            raise CheckpointError(f"teacher: the card's {name} is {values[name]!r}, but three numbers are needed.")


def has_card(path: str | Path) -> bool:
    """Return whether ``path`` is a safetensors file with a teacher card."""
    try:
        return CARD_KEY in _metadata(Path(path))
    except CheckpointError:
        return False


def read_card(path: str | Path) -> TeacherCard:
    """Read the card of a teacher file; its name is the file's.

    Raises:
        CheckpointError: no such file, no safetensors file, or no card in it.
    """
    path = Path(path)
    metadata = _metadata(path)
    if CARD_KEY not in metadata:
        raise CheckpointError(f"teacher: {path} holds weights without a teacher card.")
    return replace(TeacherCard.from_json(metadata[CARD_KEY]), name=path.name.removesuffix(SUFFIX))


def _metadata(path: Path) -> dict[str, str]:
    """Return the texts in the header of a safetensors file; its numbers are not read."""
    try:
        check_file(path, most=2**36)
        path.open("rb").close()  # what safetensors says of a file it may not open names no reason
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except OSError as error:
        raise CheckpointError(f"teacher: {path} cannot be read ({error.strerror}).") from None
    except (SafetensorError, ValueError):
        raise CheckpointError(f"teacher: {path} is truncated or no safetensors file.") from None


def readable_cards(paths: Iterable[Path]) -> Iterator[tuple[Path, TeacherCard]]:
    """Yield files with their cards; a foreign or damaged file among them hides no other one."""
    for path in paths:
        try:
            yield path, read_card(path)
        except CheckpointError:
            continue


def files_of(own: Path, shipped: Path) -> tuple[Path, ...]:
    """Return the teacher files of two folders: this user's, newest first, then the shipped ones."""
    newest_first = sorted(own.glob(f"*{SUFFIX}"), key=lambda path: (-path.stat().st_mtime, path.name))
    return (*newest_first, *sorted(shipped.glob(f"*{SUFFIX}")))


def teacher_files() -> tuple[tuple[str, Path], ...]:
    """Return name and path of every teacher, the user's first; one of theirs hides a shipped one of the same name."""
    files: dict[str, Path] = {}
    for path in files_of(teachers_dir(), assets_dir() / "teachers"):
        files.setdefault(path.name.removesuffix(SUFFIX), path)
    return tuple(files.items())


def free_teacher_path(name: str, fingerprint: str, folder: Path | None = None) -> Path:
    """Return where a new teacher of the user goes: its name, with a number behind it while other weights are there.

    ``folder`` is another one than that of the user's teachers.
    """
    endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    places = ((folder or teachers_dir()) / f"{name}{ending}{SUFFIX}" for ending in endings)
    return next(
        path
        for path in places
        if not os.path.lexists(path) or (has_card(path) and read_card(path).fingerprint == fingerprint)
    )


def find_teacher(
    ref: str,
    dataset_name: str | None = None,
    image_size: int | None = None,
    class_names: Sequence[str] | None = None,
    role: str = "teacher",
) -> Path:
    """Return the file of a teacher.

    Args:
        ref: a file, a name of :func:`teacher_files`, or ``auto`` for the newest teacher of the user for the dataset,
            else the shipped one.
        dataset_name: the dataset ``auto`` looks for, at a side of ``image_size`` px if given; of a folder its path.
        class_names: classes that ``auto`` prefers, for two folders may have one name.
        role: what it is looked for, the first word of errors: ``teacher``, ``ranker``.

    Raises:
        CheckpointError: there is no such teacher; the sentence says how to get one.
    """
    known = dict(teacher_files())
    if ref == "auto":
        return _automatic(known.values(), dataset_name, image_size, class_names)
    if ref in known:
        return known[ref]
    path = expanded(ref)
    if len(path.parts) > 1:
        access.check_path(path, role, CheckpointError)
    if access.is_allowed(path) and os.path.isfile(path):  # noqa: PTH113 (pathlib's raises at a name that is too long)
        return path
    if ref.startswith(PUBLISHED_PREFIXES):
        add = shlex.join(["delt", "teachers", "add", ref])
        raise CheckpointError(f"{role}: {ref!r} given, but published weights are taken in first, with `{add}`.")
    if path.suffix or len(path.parts) > 1:
        what = "is a folder" if os.path.isdir(path) else "is no file"  # noqa: PTH112 (as above)
        raise CheckpointError(f"{role}: {ref!r} given, but it {what}.")
    near = difflib.get_close_matches(ref, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known) or 'none'}."
    raise CheckpointError(f"{role}: {ref!r} given, but no teacher has that name; {hint}")


def find_other(ref: str, role: str, class_names: Sequence[str], image_size: int) -> tuple[Path, TeacherCard]:
    """Return file and card of a teacher that is to do something beside the one that recovers, such as ranking.

    It may know more classes than are asked of it; they are found by name.

    Args:
        ref: a file or a name of :func:`teacher_files`.
        role: what it is to be: ``ranker``, ``relabeller``.
        class_names: what it has to know; ``image_size`` is the side it has to be trained at, in pixels.

    Raises:
        CheckpointError: there is no such teacher, it has no card, or it does not know the classes or the size.
    """
    path = find_teacher(ref, role=role)
    if not has_card(path):
        add = shlex.join(["delt", "teachers", "add", str(path)])
        raise CheckpointError(f"{role}: {path} does not say what network it is; take it in with `{add}`.")
    card = read_card(path)
    columns_of(card.class_names, class_names, f"{role}: {card.name}")
    if card.image_size != image_size:
        raise CheckpointError(
            f"{role}: {card.name} was trained at {card.image_size} px, but the images are of {image_size} px."
        )
    return path, card


def columns_of(known: Sequence[str], wanted: Sequence[str], who: str = "teacher: it") -> list[int]:
    """Return which of the known classes each wanted one is, by name, ImageNet's by folder as well.

    ``who`` begins the error.

    Raises:
        CheckpointError: a class that is not known.

    >>> columns_of(("cat", "cow", "dog"), ("dog", "cat"))
    [2, 0]
    """
    position = {class_title(name): number for number, name in enumerate(known)}
    unknown = [name for name in wanted if class_title(name) not in position]
    if unknown:
        raise CheckpointError(f"{who} does not know the class {unknown[0]!r}, which the images have.")
    return [position[class_title(name)] for name in wanted]


def _automatic(
    paths: Iterable[Path], dataset_name: str | None, image_size: int | None, class_names: Sequence[str] | None
) -> Path:
    if dataset_name is None:
        raise CheckpointError("teacher: 'auto' given, but it needs a dataset to look for.")
    name = Path(dataset_name).name  # a folder goes by it, as on the card
    cards = [(path, card) for path, card in readable_cards(paths) if card.dataset == name]
    found = [(path, card) for path, card in cards if image_size in (None, card.image_size)]
    fitting = [path for path, card in found if class_names is None or card.class_names == tuple(class_names)]
    if found:  # one with other classes is named as such when it is loaded
        return fitting[0] if fitting else found[0][0]
    size = f" at {image_size} px" if image_size else ""
    flag = ["--image-size", str(image_size)] if image_size else []
    command = shlex.join(["delt", "squeeze", "--dataset", dataset_name, *flag])
    other = "give a checkpoint with --teacher"
    if name == "imagenet-1k":
        other = "take in published weights with `delt teachers add torchvision:resnet18`"
    raise CheckpointError(f"teacher: there is none for {name}{size}; train one with `{command}`, or {other}.")
