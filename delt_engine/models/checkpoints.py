"""Weights on disk: written whole or not at all, and read without running any code of the file.

safetensors files hold numbers only. A .pt or .pth file is a pickle, which can run code when it is opened, so it is
read with torch's restricted reader: anything but tensors, containers and plain values is refused.

Source: torch.load's ``weights_only``; the wrappers unpacked are those of torchvision's and timm's training scripts,
the published teachers of RDED and DELT (key "model"), DataParallel ("module.") and torch.compile ("_orig_mod.").
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from delt_engine.data.foreign import is_swollen, swells_when_read
from delt_engine.data.tensor_files import is_plain
from delt_engine.errors import CheckpointError
from delt_engine.files import check_file, write_bytes
from delt_engine.models.card import CARD_KEY, SUFFIX, TeacherCard
from delt_engine.models.convnet import from_published
from delt_engine.paths import expanded

State = dict[str, Tensor]
_WRAPPERS = ("model", "state_dict", "net", "model_state_dict", "network", "teacher")
_PREFIXES = ("module.", "_orig_mod.", *(f"{name}." for name in _WRAPPERS))
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80")
_DEEPEST = 8  # wrappers inside one another; two are usual
_NAMED = 3  # differing weights named in a message


def save_teacher(path: str | Path, network: nn.Module, card: TeacherCard) -> Path:
    """Write a teacher as safetensors with its card; the file appears complete or not at all.

    The card gets the file's name and the fingerprint of these weights.

    Raises:
        CheckpointError: the place cannot be written, or has no room.
    """
    path = expanded(path)
    state = {key: value.detach().cpu().contiguous().clone() for key, value in network.state_dict().items()}
    card = replace(card, name=path.name.removesuffix(SUFFIX), fingerprint=weights_fingerprint(state))
    data = safetensors.torch.save(state, metadata={CARD_KEY: card.to_json()})
    write_bytes(path, data, durable=True, what="teacher", kind=CheckpointError)
    return path


def load_state(path: str | Path) -> State:
    """Read the weights of a checkpoint onto the CPU.

    It may be safetensors, or a .pt or .pth file with tensors, which its content decides and not its name. Wrappers and
    common prefixes are taken off, and the names of the field's ConvNets become ours.

    Raises:
        CheckpointError: missing, empty, truncated, holding objects that could run code, or no finite weights.
    """
    path = expanded(path)
    try:
        check_file(path, most=2**36)
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"teacher: {path} cannot be read ({error.strerror}).") from None
    if not start:
        raise CheckpointError(f"teacher: {path} is empty.")
    # a safetensors header opens its braces after eight bytes of length, which may look like the start of a pickle
    is_pickle = start.startswith(_PICKLE_STARTS) and not start.endswith(b"{")
    try:
        state = _unwrap(_read_pickle(path) if is_pickle else safetensors.torch.load(path.read_bytes()))
    except (SafetensorError, KeyError, ValueError):
        raise CheckpointError(f"teacher: {path} is truncated or no checkpoint.") from None
    if not state:
        raise CheckpointError(f"teacher: {path} holds no weights.")
    if odd := next((key for key, value in state.items() if not is_plain(value)), None):
        raise CheckpointError(f"teacher: {path} holds {odd} without plain numbers (sparse, nested or meta).")
    if is_swollen(path, sum(value.numel() * value.element_size() for value in state.values())):
        raise CheckpointError(f"teacher: {path} holds far more numbers than it has bytes for, so it is not read.")
    for key, value in state.items():
        is_finite = value.float().isfinite if value.is_floating_point() and value.itemsize == 1 else value.isfinite
        if value.is_floating_point() and not is_finite().all():  # float8 cannot say so itself
            raise CheckpointError(f"teacher: {path} holds values that are not finite, first in {key}.")
    return state


def fit_state(network: nn.Module, state: Mapping[str, Tensor], name: str = "the network") -> None:
    """Put ``state`` into ``network``, in its own number format; the messages call it ``name``.

    Raises:
        CheckpointError: names or shapes differ; the sentence has the first three.
    """
    found = differences(network, state)
    if found:
        more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise CheckpointError(
            f"teacher: the weights do not fit {name}: {', '.join(found[:_NAMED])}{more}; network, width, stem and "
            f"number of classes must be those of the checkpoint."
        )
    versioned = network.state_dict()  # files keep no layer versions, and MNASNets ask for theirs
    versioned.update(state)
    network.load_state_dict(versioned, strict=False)


def differences(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Return how ``state`` differs from what ``network`` takes, one phrase a weight, in the network's order."""
    own = network.state_dict()
    found = []
    for key, value in own.items():
        if key not in state:
            if not key.endswith("num_batches_tracked"):  # old files lack it, and nothing here reads it
                found.append(f"{key} is missing")
        elif state[key].shape != value.shape:
            found.append(f"{key} is {_shape(state[key])} in the file but {_shape(value)} in the network")
    return found + [f"{key} is unknown" for key in state if key not in own]


def weights_fingerprint(state: Mapping[str, Tensor]) -> str:
    """Return 16 hexadecimal digits that change with any weight, name, shape or number format."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _read_pickle(path: Path) -> Any:
    if swells_when_read(path):
        raise CheckpointError(f"teacher: {path} holds far more numbers than it has bytes for, so it is not read.")
    try:
        # a Namespace of settings is plain data, and torchvision's own training script stores one
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on the pickle protocol before it refuses
            with path.open("rb") as file:  # by content: torch judges a path by its name
                return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "unsupported" not in str(error).lower():  # what the reader says of a class or function it will not call
            raise CheckpointError(f"teacher: {path} is truncated or no checkpoint.") from None
        raise CheckpointError(
            f"teacher: {path} holds Python objects besides tensors, and opening those can run code, so it was refused; "
            f"save the network's state_dict() alone, best as safetensors."
        ) from None
    except Exception:  # the reader of damaged bytes raises nearly anything, also struct.error and MemoryError
        raise CheckpointError(f"teacher: {path} is truncated or no checkpoint.") from None


def _unwrap(content: Any) -> State:
    """Return the tensors inside the usual wrappers, with prefixes that all names share taken off."""
    for _ in range(_DEEPEST):  # bounded: a pickle may hold a dict that wraps itself
        if not isinstance(content, Mapping):
            break
        content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(content, Mapping):
        return {}
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    while prefix := next((p for p in _PREFIXES if state and all(key.startswith(p) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return from_published(state)


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "one number"
