"""The second network: one that took no part in making the images, so that they can be judged by somebody else.

Images are optimised against the teacher's statistics, so what the teacher sees of them is no neutral witness. Second
networks lie in a folder of their own, where ``--teacher auto`` never finds them. Readable without torch.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from delt_engine.config.command_line import option_words
from delt_engine.errors import CheckpointError
from delt_engine.models.card import SUFFIX, files_of, readable_cards, teacher_files
from delt_engine.paths import assets_dir, home

NETWORK = "convnet-3"
"""What a second network is unless the teacher is one: small, and of another family than the usual teachers."""

_OTHER = "resnet18"


def second_dir() -> Path:
    """Return the folder of the second networks this user trained."""
    return home() / "second"


def find_second(
    dataset: str,
    image_size: int,
    class_names: Sequence[str],
    teacher_network: str = "",
    teacher_fingerprint: str = "",
) -> Path:
    """Return the file of a network for the dataset that is not the teacher, nor one of the same kind.

    The user's second networks come first, newest first, then the shipped ones, then teachers of another kind.

    Args:
        dataset: name of the dataset it was trained on, at ``image_size`` px, with ``class_names`` in this order.
        teacher_network: kind of network that made the images, with ``teacher_fingerprint`` of its weights.

    Raises:
        CheckpointError: there is none; the sentence has the command that makes one.
    """
    wanted = (dataset, image_size, tuple(class_names))
    paths = (*files_of(second_dir(), assets_dir() / "second"), *dict(teacher_files()).values())
    for path, card in readable_cards(paths):
        is_other = card.network != teacher_network and card.fingerprint != teacher_fingerprint
        if is_other and (card.dataset, card.image_size, card.class_names) == wanted:
            return path
    raise CheckpointError(
        f"second: there is no network for {dataset} at {image_size} px besides the teacher; train one with "
        f"`{command(dataset, image_size, teacher_network)}`."
    )


def command(dataset: str, image_size: int, teacher_network: str = "") -> str:
    """Return the command that trains a second network and puts it where it is found."""
    network = _OTHER if teacher_network == NETWORK else NETWORK
    out = second_dir() / f"{Path(dataset).name}-{network}-{image_size}px{SUFFIX}"
    options = option_words(dataset=dataset, image_size=image_size, network=network, out=out)
    return shlex.join(["delt", "squeeze", *options])
