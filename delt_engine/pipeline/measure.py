"""The similarity of a run's images, of any folder's, and of real images: found where measured before, else measured.

Everything that looks for stored results is torch-free; :func:`measured` computes and stores what is not there.

References are real images of the same classes at the same number a class: ``real`` is the mean of several draws, and
``random`` a single one, which is what a set of random real images gives.

Everywhere ``space`` is ``teacher``, ``second`` or ``pixels``; ``network`` is the name or file of a network that is used
as the second one; ``images`` is the number a class that are compared at once, all when not given: sets are comparable
at equal numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from delt_engine.analysis.diversity_store import ALONE, REAL, SPACES, DiversityResult, result_key, stored, stored_path
from delt_engine.errors import CheckpointError, ConfigError, DataError
from delt_engine.models.card import find_teacher, has_card, read_card, teacher_files
from delt_engine.models.held_out import find_second
from delt_engine.pipeline.image_sets import Report, Subject, card_of, class_images, load_data, of_run
from delt_engine.runs.store import Run

if TYPE_CHECKING:
    from delt_engine.analysis.diversity import Vectors

DRAWS, SEED = 5, 0
"""Draws of n images where there are more, and their seed."""


@dataclass(frozen=True)
class SpaceNetwork:
    """In what images are compared: name, title and fingerprint of the network, and its file where known."""

    name: str
    title: str
    fingerprint: str
    path: Path | None = None


def space_network(subject: Subject, space: str = "teacher", network: str = "") -> SpaceNetwork:
    """Return the network of a space; of ``pixels`` one without a name.

    Raises:
        ConfigError: no such space.
        CheckpointError: there is no such network; for ``second`` the sentence has the command that makes one.
    """
    data = subject.dataset
    if space not in SPACES:
        raise ConfigError(f"space: {space!r} given, but it must be one of {', '.join(SPACES)}.")
    if space == "pixels":
        return SpaceNetwork("", "", f"pixels {data.mean} {data.std}")
    if space == "teacher":
        teacher = subject.teacher
        return SpaceNetwork(teacher.ref, teacher.network, teacher.fingerprint)
    if network:
        path = find_teacher(network)
    else:
        made_with = (subject.teacher.network, subject.teacher.fingerprint)
        path = find_second(data.name, data.image_size, data.class_names, *made_with)
    card = card_of(path)
    width = "" if card.width == 1 else f", width {card.width:g}"
    return SpaceNetwork(card.name, f"{card.network}{width}", card.fingerprint, path)


def not_neutral(subject: Subject, space: str, network: str = "") -> str:
    """Return in a sentence why a second network is no neutral witness of some images, or "".

    A committee may hold it, or one of its kind. Another one is not taken for them, since sets are comparable in the
    features of one network only.
    """
    if space != "second" or not subject.committee:
        return ""
    try:
        used = space_network(subject, space, network)
    except CheckpointError:
        return ""
    kind = card_of(used.path).network if used.path else ""
    part = next((one for one in subject.committee if kind == one.network or used.fingerprint == one.fingerprint), None)
    if part is None:
        return ""
    what = "this very network" if part.fingerprint == used.fingerprint else f"a network of its kind, {part.network}"
    return (
        f"The committee that made the images of {subject.title} ({subject.source}) holds {what}, so the second network "
        "is no neutral witness of them: they may seem more or less alike to it than they are."
    )


def stored_result(
    subject: Subject, space: str = "teacher", *, images: int | None = None, network: str = ""
) -> DiversityResult | None:
    """Return what was measured before, or None; torch-free."""
    try:
        return stored(_key(subject, space_network(subject, space, network), images), DiversityResult.load)
    except CheckpointError:
        return None


def stored_file(subject: Subject, space: str = "teacher", *, images: int | None = None, network: str = "") -> Path:
    """Return where this user's result is or will be.

    Raises:
        CheckpointError: there is no such network.
    """
    return stored_path(_key(subject, space_network(subject, space, network), images))


def why_none(subject: Subject, space: str = "teacher", network: str = "") -> str:
    """Return in a sentence why a similarity cannot be measured, or ""."""
    if subject.ipc < 2:
        return ALONE
    try:
        space_network(subject, space, network)
    except CheckpointError as error:
        return str(error)
    return ""


def measured(
    subject: Subject,
    space: str = "teacher",
    *,
    images: int | None = None,
    network: str = "",
    device: str = "auto",
    report: Report | None = None,
) -> DiversityResult:
    """Return how alike the images are, measured now unless it is known.

    Raises:
        DataError: fewer than two images a class, or more asked for than there are.
        CheckpointError: the network is missing or does not fit.
        RunError: an image of the run cannot be read.
    """
    if subject.ipc < 2:
        raise DataError(f"{subject.source}: {ALONE}")
    used = space_network(subject, space, network)
    key = _key(subject, used, images)
    found = stored(key, DiversityResult.load)
    if found is None:
        found = _measure(subject, space, used, images or subject.ipc, device, report)
        found.save(stored_path(key))
    return found


def cosine_similarity(run: Run, device: str = "auto", report: Report | None = None) -> float | None:
    """Return the mean cosine of a run's images to their class centroids in its teacher's features; None at IPC 1.

    Raises:
        RunError, DataError, CheckpointError: as :func:`of_run` and :func:`measured`.
    """
    subject = of_run(run)
    return None if subject.ipc < 2 else measured(subject, device=device, report=report).mean


def _key(subject: Subject, used: SpaceNetwork, images: int | None) -> str:
    count = images or subject.ipc
    draws = _draws(subject, count)
    return result_key(subject.key, used.fingerprint, count, classes=subject.classes, draws=draws, seed=SEED)


def _draws(subject: Subject, images: int) -> int:
    """Return how many draws are made; 0 where all images are taken."""
    if subject.is_reference:
        return DRAWS if subject.method == REAL else 1
    return DRAWS if images < subject.ipc else 0


def _measure(
    subject: Subject, space: str, used: SpaceNetwork, images: int, device: str, report: Report | None
) -> DiversityResult:
    from delt_engine.analysis.diversity import measure

    data = subject.dataset
    if not 2 <= images <= subject.ipc:
        raise DataError(f"images: {images} given, but {subject.source} has {subject.ipc} a class to compare 2 or more.")
    vectors = vectors_in(subject, space, used, device)
    found = measure(
        class_images(subject, report),
        vectors,
        images=images,
        draws=max(1, _draws(subject, images)),
        seed=SEED,
        is_early_late=bool(subject.rounds) and images == subject.ipc,
        **({"report": partial(report, "compare images")} if report else {}),
    )
    return DiversityResult(
        source=subject.source,
        title=subject.title,
        method=subject.method,
        dataset=data.name,
        dataset_fingerprint=data.fingerprint,
        class_names=tuple(data.class_names[c] for c in subject.classes),
        classes=subject.classes,
        ipc=subject.ipc,
        space=space,
        network=used.name,
        network_title=used.title,
        network_fingerprint=used.fingerprint,
        seed=SEED,
        rounds=subject.rounds,
        **vars(found),
    )


def vectors_in(subject: Subject, space: str, used: SpaceNetwork, device: str = "auto") -> Vectors:
    """Return what turns images into the vectors of a space.

    Raises:
        CheckpointError: the network is not there any more, or does not fit the data.
    """
    from delt_engine.analysis.diversity import network_vectors
    from delt_engine.analysis.similarity import pixel_vectors
    from delt_engine.models.device import pick_device
    from delt_engine.models.teachers import load_teacher

    data = subject.dataset
    if space == "pixels":
        return partial(pixel_vectors, mean=data.mean, std=data.std)
    path, chosen = used.path or _teacher_path(subject), pick_device(device)
    if has_card(path):
        teacher = load_teacher(str(path), device=chosen)
    else:
        teacher = load_teacher(str(path), dataset=load_data(subject), device=chosen, **subject.squeeze.checkpoint)
        if teacher.card.fingerprint != used.fingerprint:
            raise _gone(subject)
    card = teacher.card
    if (card.class_names, card.image_size) != (tuple(data.class_names), data.image_size):
        raise CheckpointError(
            f"network: {card.name} was trained on {card.num_classes} classes at {card.image_size} px, but "
            f"{data.name} has {len(data.class_names)} at {data.image_size} px, or they are other ones."
        )
    return network_vectors(teacher.network, card.mean, card.std)


def _teacher_path(subject: Subject) -> Path:
    """Return the file of the subject's teacher: where it was, or any teacher with these weights.

    A checkpoint that does not say what it is may have other weights by now.
    """
    places = [path for name, path in teacher_files() if name == subject.teacher.ref]
    places += [Path(subject.teacher.ref)] if Path(subject.teacher.ref).is_file() else []
    for path in (*places, *(path for _, path in teacher_files())):
        if has_card(path) and read_card(path).fingerprint == subject.teacher.fingerprint:
            return path
    foreign = next((path for path in places if not has_card(path)), None)
    if foreign is None:
        raise _gone(subject)
    return foreign


def _gone(subject: Subject) -> CheckpointError:
    return CheckpointError(
        f"teacher: the weights of {subject.teacher.ref} that {subject.source} was made with are not there any more, so "
        "their features cannot be taken; the spaces 'second' and 'pixels' do not need them."
    )
