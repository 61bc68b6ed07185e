"""Rankings as CSV, one row a training image, with the columns of the published code: out to it, and in from it.

``score`` is the probability of the true class, ``img_path`` the image's path in the training folder,
``n01440764/n01440764_10026.JPEG``, and ``class`` the folder in it. Rows go class by class, the easiest first.

Source: DELT, data_selection.py ``rank`` (``--store-rank-file``, ``--ranking-file``).
Differs: an imported ranking is matched with the images that are there, and what does not fit is counted; published code
takes whatever file a row names.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from delt_engine.config import RankConfig
from delt_engine.data.dataset import Dataset
from delt_engine.errors import DataError
from delt_engine.files import check_file, guarded, unguarded
from delt_engine.patches.ranking import IMPORTED, Ranking

COLUMNS = ("score", "img_path", "class")
SUFFIX = ".csv"


@dataclass(frozen=True)
class ImportedRanking:
    """A ranking from a file, and what did not fit.

    Attributes:
        rows: of the file.
        other_classes: rows of classes that the dataset does not have.
        unknown: rows of the dataset's classes that name no training image.
        unranked: training images without a row.
    """

    ranking: Ranking
    rows: int
    other_classes: int
    unknown: int
    unranked: int

    @property
    def counts(self) -> dict[str, int]:
        """How many rows there are, and what did not fit."""
        names = ("rows", "other_classes", "unknown", "unranked")
        return {name: getattr(self, name) for name in names}

    @property
    def sentence(self) -> str:
        """What was taken and what was not."""
        left = [
            f"{number:,} {what}"
            for number, what in (
                (self.other_classes, "rows are of other classes"),
                (self.unknown, "rows name no training image"),
                (self.unranked, "training images have no row"),
            )
            if number
        ]
        taken = f"{len(self.ranking):,} of {self.rows:,} rows are images of {self.ranking.dataset}"
        return f"{taken}; {', '.join(left)}." if left else f"{taken}."


def ranking_csv(ranking: Ranking, names: Sequence[str]) -> bytes:
    """Return a ranking as CSV; ``names`` are those of all training images.

    Raises:
        DataError: it is of crops, for which the file has no columns.
    """
    if ranking.config.crops:
        raise DataError(
            f"csv: this ranking is of {ranking.config.crops} crops an image, but the file is of whole images."
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    paths = [_path(names[index]) for index in ranking.image_index.tolist()]
    labels = ranking.label.tolist()
    folders = [
        path.split("/")[0] if "/" in path else ranking.class_name(label)
        for path, label in zip(paths, labels, strict=True)
    ]
    scores = ranking.true_class_prob
    for row in sorted(range(len(paths)), key=lambda row: (folders[row], -scores[row])):
        # str() of a float32 is the shortest text that gives the same number back
        writer.writerow((str(scores[row]), guarded(paths[row]), guarded(folders[row])))
    return text.getvalue().encode("utf-8", "surrogateescape")


def file_fingerprint(path: Path) -> str:
    """Return what tells one file of a ranking from another, in the place of a teacher's fingerprint.

    Raises:
        DataError: it cannot be read.
    """
    try:
        check_file(path)
        return _fingerprint(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(f"ranker: {path} cannot be read ({error.strerror}).") from None


@lru_cache(maxsize=8)
def _fingerprint(path: Path, _moment: int) -> str:
    return f"csv-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def read_ranking_csv(path: Path, dataset: Dataset) -> ImportedRanking:
    """Read a ranking of a dataset's training images.

    Images are found by their path in the training folder; where no row fits so, by the last two parts of it, class
    folder and file, else by the file name alone. So the images of ImageNet-100 are found in a ranking of ImageNet-1K.

    Raises:
        DataError: no such file, not a ranking, or one of other images; the sentence says what does not fit.
    """
    train, rows = dataset.train, list(_rows(path))
    found, other_classes = _matched([img_path for _, img_path in rows], train.names)
    used = [(index, score) for index, (score, _) in zip(found, rows, strict=True) if index is not None]
    if not used:
        example = f", such as {rows[0][1]!r}" if rows else ""
        raise DataError(
            f"ranking: none of the {len(rows):,} images in {path}{example}, is a training image of "
            f"{dataset.spec.name}, such as {_path(train.names[0])!r}."
        )
    index, count = Counter(index for index, _ in used).most_common(1)[0]
    if count > 1:
        raise DataError(f"ranking: {path} has {count} rows for {_path(train.names[index])!r}, but an image has one.")
    used.sort()
    images = np.array([index for index, _ in used], np.int64)
    labels = train.labels[images]
    lacking = np.setdiff1d(train.labels, labels)
    if len(lacking):
        name = dataset.spec.class_names[lacking[0]]
        raise DataError(
            f"ranking: {path} has no row for an image of {len(lacking):,} of {dataset.spec.num_classes:,} classes of "
            f"{dataset.spec.name}, such as {name!r}."
        )
    return ImportedRanking(
        Ranking(
            image_index=images,
            crop_box=np.array([train.seen_box(i) for i in images.tolist()]),
            label=labels,
            true_class_prob=np.array([score for _, score in used], np.float32),
            dataset=dataset.spec.name,
            dataset_fingerprint=dataset.fingerprint,
            teacher=f"{IMPORTED}{path.name}",
            teacher_fingerprint=file_fingerprint(path),
            image_size=dataset.spec.image_size,
            config=RankConfig(),
            class_names=tuple(dataset.spec.class_names),
        ),
        rows=len(rows),
        other_classes=other_classes,
        unknown=len(rows) - len(used) - other_classes,
        unranked=len(train) - len(used),
    )


def _rows(path: Path) -> Iterator[tuple[float, str]]:
    """Yield score and path of each row."""
    try:
        check_file(path)
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS[:2] if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"ranking: {path} has no column {missing[0]!r}; it needs {' and '.join(COLUMNS[:2])}.")
            for row in reader:
                yield _score(row["score"], f"{path} line {reader.line_num}"), unguarded(str(row["img_path"]))
    except OSError as error:
        raise DataError(f"ranking: {path} cannot be read ({error.strerror}).") from None
    except csv.Error as error:
        raise DataError(f"ranking: {path} is not a table ({error}).") from None


def _score(text: str | None, where: str) -> float:
    try:
        score = float(text or "")
    except ValueError:
        score = np.nan
    if not 0 <= score <= 1:
        raise DataError(f"ranking: {where}: score {text!r} given, but it must be a probability from 0 to 1.")
    return score


def _matched(paths: Sequence[str], names: Sequence[str]) -> tuple[list[int | None], int]:
    """Return the training image of each path, None where there is none, and how many paths are of other classes."""
    for parts in (0, 2, 1):
        place: dict[str, int | None] = {}
        for index, name in enumerate(names):
            end = _end(name, parts)
            place[end] = None if end in place else index  # one that is there twice is not found
        found = [place.get(_end(path, parts)) for path in paths]
        if any(index is not None for index in found):
            known = {_folder(name, parts) for name in names}
            lost = (path for path, index in zip(paths, found, strict=True) if index is None)
            return found, sum(_folder(path, parts) not in known for path in lost) if parts != 1 else 0
    return [None] * len(paths), 0


def _end(path: str, parts: int) -> str:
    """Return the last parts of a path; with 0 all in the training folder."""
    return "/".join(_path(path).split("/")[-parts:])


def _folder(path: str, parts: int) -> str:
    """Return the folder of the class, by which of the last parts of a path are looked at."""
    return _end(path, parts).split("/")[0]


def _path(name: str) -> str:
    """Return an image's path in the training folder."""
    return name.replace("\\", "/").removeprefix("./").removeprefix("train/")
