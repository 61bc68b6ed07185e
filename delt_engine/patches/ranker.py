"""Who ranks the patches, where it is not the teacher that recovers.

Source: DELT ranks with a ResNet-18 whatever network recovers (data_selection.py ``--ranker-arch``, ``--ranker-path``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from delt_engine.data.dataset import DatasetSpec
from delt_engine.models.card import TeacherCard, columns_of, find_other, teacher_files


@dataclass(frozen=True)
class Ranker:
    """What ranks: a teacher's file and its card."""

    path: Path
    card: TeacherCard

    @property
    def name(self) -> str:
        """What readers call it."""
        return self.card.name

    @property
    def fingerprint(self) -> str:
        """Part of the key of its rankings."""
        return self.card.fingerprint

    @property
    def ref(self) -> str:
        """What finds it again: its name where it has one, else its file."""
        return next((name for name, path in teacher_files() if path == self.path), str(self.path))

    def columns(self, spec: DatasetSpec) -> list[int] | None:
        """Return which of its classes each of the dataset's is; None where they are the same."""
        known = self.card.class_names
        return None if known == spec.class_names else columns_of(known, spec.class_names, f"ranker: {self.name}")


def find_ranker(ref: str, spec: DatasetSpec) -> Ranker:
    """Return the ranker that ``ref`` names, a teacher or its file, for a dataset.

    It may know more classes than the dataset has; they are found by name, as ImageNet-100's in one of ImageNet-1K.

    Raises:
        CheckpointError: there is none, or it does not know the dataset's classes or image size.
    """
    return Ranker(*find_other(ref, "ranker", spec.class_names, spec.image_size))
