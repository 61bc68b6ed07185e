"""Who ranks the patches, where it is not the teacher that recovers: another network, or a ranking made elsewhere.

Source: DELT ranks with a ResNet-18 whatever network recovers (data_selection.py ``--ranker-arch``, ``--ranker-path``),
and takes rankings from files (``--ranking-file``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from delt_engine import access
from delt_engine.config import RankConfig
from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError, DataError
from delt_engine.models.card import TeacherCard, columns_of, find_other, teacher_files
from delt_engine.patches.ranking import IMPORTED, Ranking, cached_ranking, keep_ranking
from delt_engine.patches.ranking_csv import SUFFIX, file_fingerprint, read_ranking_csv
from delt_engine.paths import expanded


@dataclass(frozen=True)
class Ranker:
    """What ranks: a teacher's file and its card, or the CSV of a ranking, which has no card.

    ``fingerprint`` is part of the key of its rankings.
    """

    path: Path
    fingerprint: str
    card: TeacherCard | None = None

    @property
    def name(self) -> str:
        """What readers call it."""
        return self.card.name if self.card else f"{IMPORTED}{self.path.name}"

    @property
    def ref(self) -> str:
        """What finds it again: its name where it has one, else its file."""
        return next((name for name, path in teacher_files() if path == self.path), str(self.path))

    def columns(self, dataset: Dataset) -> list[int] | None:
        """Return which of its classes each of the dataset's is; None where they are the same."""
        names = dataset.spec.class_names
        if self.card is None or self.card.class_names == names:
            return None
        return columns_of(self.card.class_names, names, f"ranker: {self.name}")

    def known_ranking(
        self, dataset: Dataset, config: RankConfig, seed: int, classes: tuple[int, ...] | None = None
    ) -> Ranking | None:
        """Return what it made before, or what its CSV says; None where it has yet to rank.

        Raises:
            CheckpointError: its CSV is of whole images, but crops are asked for.
            DataError: its CSV is none, or of other images.
        """
        if self.card is None and config.crops:
            raise CheckpointError(
                f"ranker: {self.path.name} is of whole images, but {config.crops} crops an image are asked for; "
                "take none with --crops 0."
            )
        found = cached_ranking(dataset.fingerprint, self.fingerprint, config, seed, classes)
        if found is None and self.card is None:
            found = read_ranking_csv(self.path, dataset).ranking
            keep_ranking(found)
        return found


def find_ranker(ref: str, dataset: Dataset) -> Ranker:
    """Return the ranker of a dataset that ``ref`` names: a teacher, its file, or the CSV of a ranking.

    A teacher may know more classes than the dataset has; they are found by name, as ImageNet-100's in one of
    ImageNet-1K.

    Raises:
        CheckpointError: there is none, or it does not know the dataset's classes or image size.
        DataError: the CSV cannot be read.
    """
    if ref.lower().endswith(SUFFIX):
        path = expanded(ref).absolute()
        access.check_path(path, "ranker", DataError)
        return Ranker(path, file_fingerprint(path))
    path, card = find_other(ref, "ranker", dataset.spec.class_names, dataset.spec.image_size)
    return Ranker(path, card.fingerprint, card)
