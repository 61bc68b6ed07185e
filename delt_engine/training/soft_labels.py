"""Stored soft labels: a folder with what the teacher said of the images of every epoch.

``manifest.json`` says what the labels are of; ``epoch-0001.safetensors`` and so on hold an epoch's logits each, in the
order in which the images are shown. What happens to the images follows from the seed in the manifest, so it is not
stored: each file has a checksum of it, by which a random generator that draws otherwise is noticed. Nothing is
compressed, so the size is known to the byte before anything is written. Files are whole or absent, so a store that was
interrupted goes on with the first epoch that is missing. Fewer label epochs than the training has are replayed in turn.

Source: SRe2L and FKD keep one pickled file a batch with all crops and flips, and replay it with a patched PyTorch;
Xiao and He, "Are Large-scale Soft Labels Necessary for Large-scale Dataset Distillation?" (NeurIPS 2024) train on a
part of the labels, used again and again.
Differs: whole epochs are used again in turn, where they draw batches at random from what is left.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from delt_engine import files
from delt_engine.errors import DataError
from delt_engine.paths import expanded
from delt_engine.training.draws import EpochDraws
from delt_engine.training.label_facts import (
    AUGMENTATION,
    DRAWS,
    FORMAT,
    LOGITS,
    MANIFEST,
    StoreFacts,
    check_fits,
    check_same,
    epoch_file,
    missing_epochs,
    read_facts,
)

__all__ = ["AUGMENTATION", "FORMAT", "MANIFEST", "LabelStore", "StoreFacts", "check_fits"]

STOP_REQUEST = ".stop"
"""File in the folder that asks all ranks which write into it to stop."""
_UNFINISHED = (".manifest.json", ".epoch-", STOP_REQUEST)
"""How names of files begin that are being written, or that a stop left behind."""
_OLD_LOGITS = "label.logits"
_HALF_MAX = 65504.0  # the largest float16


class LabelStore:
    """A folder of stored labels."""

    def __init__(self, path: Path, facts: StoreFacts) -> None:
        self.path, self.facts = path, facts

    @classmethod
    def create(cls, path: str | Path, facts: StoreFacts) -> LabelStore:
        """Begin a store, or go on with one of the very same labels.

        Raises:
            DataError: the folder holds something else, the disk refuses or has no room for the store.
        """
        path = Path(path)
        if is_begun(path):
            store = cls.open(path)
            store.check(facts)
            return store
        existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.is_dir())
        needed, free = facts.size.total, shutil.disk_usage(existing).free
        if needed > free:
            raise DataError(
                f"out: the labels take {needed / 2**30:,.1f} GiB, but {free / 2**30:,.1f} GiB are free at {path}; "
                "store fewer epochs with --label-epochs."
            )
        files.write_bytes(
            path / MANIFEST, (json.dumps(asdict(facts), indent=1) + "\n").encode(), what="out", kind=DataError
        )
        return cls(path, facts)

    @classmethod
    def open(cls, path: str | Path) -> LabelStore:
        """Open a store, finished or not.

        Raises:
            DataError: it is none, or of a form that is not read any more.
        """
        path = expanded(path)
        return cls(path, read_facts(path))

    def check(self, facts: StoreFacts) -> None:
        """Refuse to go on with labels that are not the very same: of other images, another teacher, form and so on.

        Raises:
            DataError: they differ.
        """
        check_same(asdict(self.facts), asdict(facts), f"out: {self.path} holds labels of")

    def epoch_path(self, epoch: int) -> Path:
        """Return the file of a label epoch, from 1."""
        return epoch_file(self.path, epoch)

    @property
    def missing(self) -> list[int]:
        """Which label epochs are not written, ascending; files are whole or absent."""
        return missing_epochs(self.path, self.facts)

    def remove_unfinished(self) -> None:
        """Remove what is left of writers that were killed or stopped; for when nobody writes into the store.

        Raises:
            RunError: the disk refuses.
        """
        for entry in self.path.iterdir():
            if entry.name.startswith(_UNFINISHED):
                with files.as_run_error(entry, "removed"):
                    entry.unlink(missing_ok=True)

    def write_epoch(self, epoch: int, draws: EpochDraws, logits: Tensor) -> None:
        """Write a label epoch.

        Args:
            epoch: from 1.
            draws: what happens to the images.
            logits: float (N, K) on the CPU, in the order in which the images are shown.

        Raises:
            DataError: the disk refuses.
        """
        if self.facts.form == "float16":
            logits = logits.clamp(-_HALF_MAX, _HALF_MAX).half()
        data = save({LOGITS: np.ascontiguousarray(logits.numpy())}, metadata={DRAWS: draws.checksum})
        files.write_bytes(self.epoch_path(epoch), data, what="out", kind=DataError)

    def read_epoch(self, epoch: int) -> tuple[EpochDraws, Tensor]:
        """Return what :meth:`write_epoch` was given, the logits as they are stored.

        Raises:
            DataError: the epoch is not written, its file is damaged, or this machine draws the epoch otherwise.
        """
        path, facts = self.epoch_path(epoch), self.facts
        try:
            files.check_file(path, most=2**44)
            with safe_open(path, framework="np") as stored:
                arrays = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
                checksum = (stored.metadata() or {}).get(DRAWS)
            logits = arrays.pop(LOGITS if checksum else _OLD_LOGITS)
            if (logits.dtype, logits.shape) != (np.dtype(facts.form), (facts.images, facts.num_classes)):
                raise ValueError
        except FileNotFoundError:
            raise DataError(
                f"label_store: epoch {epoch} is not in {self.path}; run the same `delt relabel` again to go on with it."
            ) from None
        except (OSError, SafetensorError, KeyError, ValueError):
            raise DataError(f"label_store: {path} is damaged; remove it and relabel again.") from None
        draws = facts.draw(epoch)
        if not (draws.checksum == checksum if checksum else _is_recorded(draws, arrays)):
            raise DataError(
                f"label_store: epoch {epoch} of {self.path} was drawn otherwise than PyTorch {torch.__version__} draws "
                "it on this machine, so its labels do not fit; relabel again here."
            )
        return draws, torch.from_numpy(logits)


def is_begun(path: str | Path) -> bool:
    """Return whether labels are there to go on with; False where a store can be begun.

    Raises:
        DataError: the folder holds something else.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        return True
    if path.exists() and (not path.is_dir() or not all(entry.name.startswith(_UNFINISHED) for entry in path.iterdir())):
        raise DataError(f"out: {path} given, but it must be a new folder, an empty one, or labels to go on with.")
    return False


def is_complete(path: str | Path) -> bool:
    """Return whether a folder holds a store with all its label epochs; False also where there is no store."""
    try:
        return not LabelStore.open(path).missing
    except DataError:
        return False


def _is_recorded(draws: EpochDraws, arrays: Mapping[str, np.ndarray]) -> bool:
    """Return whether an epoch is what a file of version 1 has; levels differ in the last digit between processors."""
    own = {**vars(draws), "flip": np.packbits(draws.flip.numpy())}
    return all(np.array_equal(own[name], array) for name, array in arrays.items() if name != "magnitudes")
