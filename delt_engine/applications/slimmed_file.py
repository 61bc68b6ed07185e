"""A pruned network on disk: its weights as safetensors, and in the header which channels of which network stayed.

Source: ours; nothing in the file is run when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from delt_engine.applications.slimming import slim
from delt_engine.errors import CheckpointError
from delt_engine.files import write_bytes
from delt_engine.models.card import TeacherCard
from delt_engine.models.checkpoints import fit_state, weights_fingerprint
from delt_engine.models.networks import build_network

_CARD, _KEPT = "delt.pruned", "delt.kept"


def save_slimmed(path: Path, network: nn.Module, card: TeacherCard, kept: Sequence[Tensor]) -> None:
    """Write a pruned network, whole or not at all.

    Args:
        path: of the file.
        network: as :func:`delt_engine.applications.slimming.slim` returns it.
        card: of the network that was pruned, with what is to be said of this one.
        kept: bool (C,) a layer.

    Raises:
        RunError: the system refuses.
    """
    state = {key: value.detach().cpu().contiguous().clone() for key, value in network.state_dict().items()}
    card = replace(card, name=path.stem, fingerprint=weights_fingerprint(state))
    rows = [mask.nonzero().flatten().tolist() for mask in kept]
    header = {_CARD: json.dumps(asdict(card)), _KEPT: json.dumps(rows)}
    write_bytes(path, safetensors.torch.save(state, metadata=header))


def load_slimmed(path: Path) -> tuple[nn.Module, TeacherCard]:
    """Read a pruned network, in eval mode, and what is known of it.

    Raises:
        CheckpointError: no such file, or none of a pruned network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        card, rows = TeacherCard.from_json(header[_CARD]), json.loads(header[_KEPT])
        state = safetensors.torch.load(path.read_bytes())
    except (OSError, SafetensorError, KeyError, ValueError):
        raise CheckpointError(f"network: {path} is no file of a pruned network.") from None
    with torch.random.fork_rng(devices=[]):  # the random weights are overwritten
        whole = build_network(
            card.network, card.num_classes, width=card.width, stem=card.stem, image_size=card.image_size
        )
    network = slim(whole, _masks(whole, rows))
    fit_state(network, state, path.name)
    return network.eval(), card


def _masks(network: nn.Module, rows: Sequence[Sequence[int]]) -> list[Tensor]:
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    if len(norms) != len(rows):
        raise CheckpointError(f"network: the file names channels of {len(rows)} layers, not of {len(norms)}.")
    masks = [torch.zeros(norm.num_features, dtype=torch.bool) for norm in norms]
    for mask, own in zip(masks, rows, strict=True):
        mask[torch.tensor(own)] = True
    return masks
