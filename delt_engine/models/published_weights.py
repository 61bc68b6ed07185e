"""Teachers of ImageNet-1K made of the weights that torchvision and timm publish.

``torchvision:resnet18`` and ``torchvision:resnet50:IMAGENET1K_V2`` name torchvision's, ``timm:deit_tiny_patch16_224``
and ``timm:resnet18.a1_in1k`` timm's. They are fetched once, into torch's folder of checkpoints, and read without
running code. A machine without a network gets one sentence that says which file to put where. The module loads torch
only when weights are asked for.

Source: DELT and CDA recover ImageNet-1K with torchvision's weights, those of IMAGENET1K_V1 (DELT recover/models.py
``pretrained=True``; CDA/README.md). Accuracies are those that torchvision states with its weights; timm states none.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delt_engine.data.catalogue import CATALOGUE
from delt_engine.data.class_lists import imagenet_titles
from delt_engine.errors import CheckpointError
from delt_engine.models.card import PUBLISHED_PREFIXES, TeacherCard

if TYPE_CHECKING:
    import torch

    from delt_engine.data.dataset import Report
    from delt_engine.models.checkpoints import State
    from delt_engine.models.teachers import Teacher

_OFFERED = """
torchvision:resnet18 torchvision:resnet50 torchvision:resnet101 torchvision:densenet121 torchvision:mobilenet_v2
torchvision:efficientnet_b0 torchvision:regnet_y_8gf torchvision:convnext_tiny torchvision:shufflenet_v2_x0_5
timm:deit_tiny_patch16_224 timm:resmlp_24_224
"""
PUBLISHED = tuple(_OFFERED.split())
"""The weights offered first, of networks in the papers' tables; every other classifier of ImageNet-1K works as well."""

_DATASET = CATALOGUE["imagenet-1k"]
_USUAL = "IMAGENET1K_V1"
_OTHER_INPUTS = ("googlenet", "inception_v3")
_HUGGING_FACE = "https://huggingface.co"
_HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""Where torchvision's file names carry the start of their SHA-256."""

_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
"""How DenseNet's published weights name layers; torchvision renames them so when it loads them."""


@dataclass(frozen=True)
class _Weights:
    """Published weights before they are fetched.

    Attributes:
        name: of the teacher.
        network: as :func:`delt_engine.models.networks.build_network` knows it.
        url, file: where they are from, and what their file is called in torch's folder of checkpoints.
    """

    name: str
    network: str
    url: str
    file: str
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    accuracy: float | None


def is_published(ref: str) -> bool:
    """Return whether a reference names published weights: ``torchvision:NAME`` or ``timm:NAME``."""
    return ref.startswith(PUBLISHED_PREFIXES) and not Path(ref).exists()


def load_published(ref: str, device: str | torch.device = "cpu", report: Report | None = None) -> Teacher:
    """Fetch published weights, where they are not here yet, and return them as a teacher of ImageNet-1K.

    Args:
        ref: such as ``torchvision:resnet18``; see above.
        report: called with ("download", done, 1).

    Raises:
        CheckpointError: no such weights, weights of other classes, or no network to fetch them over.
    """
    from delt_engine.models.checkpoints import weights_fingerprint
    from delt_engine.models.teachers import teacher_of

    weights = _find(ref)
    state = _state(ref, weights, report)
    card = TeacherCard(
        name=weights.name,
        network=weights.network,
        width=1.0,
        stem="stock",
        num_classes=len(imagenet_titles()),
        class_names=tuple(imagenet_titles().values()),
        image_size=weights.image_size,
        mean=(weights.mean[0], weights.mean[1], weights.mean[2]),
        std=(weights.std[0], weights.std[1], weights.std[2]),
        dataset=_DATASET.name,
        dataset_fingerprint="",
        accuracy=weights.accuracy,
        epochs=None,
        source=f"published weights, {weights.url}",
        fingerprint="",
        added_from=ref,
    )
    teacher = teacher_of(card, state, device)
    return replace(teacher, card=replace(card, fingerprint=weights_fingerprint(teacher.network.state_dict())))


def _find(ref: str) -> _Weights:
    library, _, name = ref.partition(":")
    return _of_torchvision(ref, name) if library == "torchvision" else _of_timm(ref, name)


def _of_torchvision(ref: str, name: str) -> _Weights:
    import torchvision
    from torchvision.models import get_model_weights

    network, _, wanted = name.partition(":")
    if network not in torchvision.models.list_models(module=torchvision.models):
        raise CheckpointError(f"teacher: {ref!r} given, but torchvision has no classifier {network!r}.")
    if network in _OTHER_INPUTS:
        raise CheckpointError(f"teacher: {ref!r} given, but {network}'s weights need inputs scaled in their own way.")
    known = get_model_weights(network)
    default = _USUAL if _USUAL in known.__members__ else known.DEFAULT.name
    if (wanted or default) not in known.__members__:
        raise CheckpointError(f"teacher: {ref!r} given, but its weights must be one of {', '.join(known.__members__)}.")
    weights: Any = known[wanted or default]
    shown, scores = weights.transforms(), weights.meta["_metrics"]["ImageNet-1K"]
    return _Weights(
        name=f"{network}-{weights.name.lower()}",
        network=network,
        url=weights.url,
        file=weights.url.rsplit("/", 1)[-1],
        image_size=shown.crop_size[0],
        mean=tuple(shown.mean),
        std=tuple(shown.std),
        accuracy=scores["acc@1"],
    )


def _of_timm(ref: str, name: str) -> _Weights:
    import timm

    known = None
    with suppress(RuntimeError):  # a tag that the network has not
        known = timm.get_pretrained_cfg(name)
    if known is None or not known.hf_hub_id:
        raise CheckpointError(f"teacher: {ref!r} given, but timm has no weights of that name.")
    if known.num_classes != len(imagenet_titles()):
        raise CheckpointError(
            f"teacher: {ref!r} given, but its weights know {known.num_classes} classes, not ImageNet-1K's 1,000."
        )
    network = ".".join(part for part in (known.architecture, known.tag) if part)

    return _Weights(
        name=network,
        network=network,
        url=f"{os.environ.get('HF_ENDPOINT') or _HUGGING_FACE}/{known.hf_hub_id}/resolve/main/model.safetensors",
        file=f"{network}.safetensors",
        image_size=known.input_size[-1],
        mean=tuple(known.mean),
        std=tuple(known.std),
        accuracy=None,
    )


def _state(ref: str, weights: _Weights, report: Report | None) -> State:
    """Return the weights out of torch's folder of checkpoints, fetched first where they are not there."""
    import torch

    from delt_engine.models.checkpoints import load_state

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / weights.file
    if not path.is_file():
        if report:
            report("download", 0, 1)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            start = _HASH.search(weights.file)
            torch.hub.download_url_to_file(weights.url, str(path), start and start[1], progress=False)
        except (OSError, RuntimeError, HTTPException) as error:
            reason = (str(getattr(error, "reason", None) or error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                f"teacher: {ref} could not be fetched ({reason.rstrip('.: ')}); get {weights.url} where there is a "
                f"network, and put it in {folder} as {weights.file}."
            ) from None
    return {_OLD_DENSENET.sub(r"\1\2.", key): value for key, value in load_state(path).items()}
