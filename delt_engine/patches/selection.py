"""Which ranked patches start the synthetic images, which of them joins first, and what an image starts from.

Words: the *rank* of a patch is its place among its class's patches sorted by true-class probability, 0 the hardest.
A *tile* is the place of a patch in an image: k x k tiles, row by row; k = 1 is one patch an image.

Two settings, in this order:

- the **criterion** puts all patches of a class into a line and takes as many from its front as are needed.
  ``medium`` starts at the median and widens (``orders.median_order``), ``top`` starts at the easiest patch, ``min`` at
  the hardest, ``random`` draws, and ``el2n``, ``forgetting`` and ``herding`` go by a score of each image
  (:mod:`delt_engine.patches.coresets`). The line does not depend on the number of images: those of IPC 10 are the
  first ten of IPC 50.
  A **band** of probabilities (ours) lets the criterion work within it: ``medium`` starts at the band's median. Those
  outside it follow, the nearest first, so that a class with few patches in the band is not refused.
- the **order** says who of the taken joins first, and so gets the most iterations. ``delt`` keeps the line as it is:
  median outwards for ``medium``, easiest first for ``top``, hardest first for ``min``, as drawn for ``random``.
  ``ascending`` puts the hardest first, ``descending`` the easiest, ``random`` shuffles.

Source: DELT Sec. 3 "Selection Criteria", Appendix D, Tables 4b (criteria), 10 and 11 (orders); data_selection.py
``store_medium``, ``store_top``, ``store_min``, whose file prefix is the order in which images join. Mosaics: DELT
Table 4a; which patch goes to which tile follows RDED's ``mix_images``.
Differs: published code reads past the ends of a class that holds too few patches; here that is an error. Tiles are
resized bicubic and antialiased (RDED: nearest neighbour). Where several crops an image are ranked, one source image
may start several images, or fill several tiles of one; nothing is done against that, since published DELT ranks
whole images only.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from PIL import Image

from delt_engine.config import SelectConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ConfigError, DataError, ShapeError
from delt_engine.files import check_file, guarded, unguarded, write_bytes
from delt_engine.patches.coresets import missing_scores, needs_scores
from delt_engine.patches.orders import criterion_order, joining_order, repeated
from delt_engine.patches.ranking import Ranking, keyed_rng

if TYPE_CHECKING:
    from delt_engine.data.dataset import Dataset

_PLACE = ("class_index", "class", "index", "tile", "source", "image_index")
COLUMNS = (*_PLACE, "top", "left", "height", "width", "true_class_prob", "rank", "start_round", "iterations")
"""Columns of the selection file, one row a patch."""

_NUMBERS = tuple(name for name in COLUMNS if name not in ("class", "source", "true_class_prob"))
"""Those that hold whole numbers."""


@dataclass(frozen=True)
class Patch:
    """A real patch and what the teacher thinks of it.

    Attributes:
        image_index, source: number and name of the training image.
        crop_box: top, left, height, width in native pixels.
        true_class_prob: in [0, 1], a float32 number.
        rank: 0-based place among the class's patches by ascending probability.
    """

    image_index: int
    source: str
    crop_box: tuple[int, int, int, int]
    label: int
    true_class_prob: float
    rank: int

    @property
    def facts(self) -> dict[str, Any]:
        """What images that are made of it have written in them."""
        values = {name: getattr(self, name) for name in ("source", "true_class_prob", "rank")}
        return {**values, "crop_box": list(self.crop_box)}


@dataclass(frozen=True)
class SelectedImage:
    """What one synthetic image starts from, and when.

    Attributes:
        index: 0-based within the class, in the order of joining.
        patches: k * k patches, row by row.
        start_round: 1-based round in which it joins.
        iterations: how many it gets.
    """

    class_index: int
    index: int
    patches: tuple[Patch, ...]
    start_round: int
    iterations: int


def select(
    ranking: Ranking,
    dataset_names_of_train: Sequence[str],
    schedule: EarlyLateSchedule,
    config: SelectConfig,
    *,
    seed: int,
    classes: Sequence[int],
    scores: np.ndarray | None = None,
) -> tuple[SelectedImage, ...]:
    """Choose the patches that the images of each class start from.

    Pinned patches are taken whatever the criterion says, in the places of those it would have taken last; when they
    join, the order decides. In place of dropped ones the next in line are taken, and all other ranks stay. The seed is
    used by ``random`` only, and by each class for itself. ``scores``, of each training image one, are what a coreset
    goes by.

    Returns:
        IPC images a class, class by class, in the order of joining. Image i of n = IPC has in tile t the patch that is
        t * n + i in the order.

    Raises:
        ConfigError: more pinned patches in a class than there is room for, one that is pinned and dropped, or rows
            that were picked from another ranking; scores that are needed and not there.
        DataError: a class has fewer patches than are needed.
    """
    if needs_scores(config) and scores is None:
        raise missing_scores(config)
    pinned, dropped = _picked(ranking, config)
    ipc, needed = schedule.ipc, schedule.ipc * config.mosaic**2
    result = []
    for class_index in classes:
        rows = ranking.ascending(class_index)
        pins = [rank for rank, row in enumerate(rows.tolist()) if row in pinned]
        drops = {rank for rank, row in enumerate(rows.tolist()) if row in dropped}
        others = repeated(ranking.image_index[rows]) - set(pins) if config.one_per_image else set()
        rng = keyed_rng(seed, "select", class_index)
        own = scores[ranking.image_index[rows]] if scores is not None and needs_scores(config) else None
        whole = taking_order(ranking.true_class_prob[rows], config, rng, own)
        line = [rank for rank in whole if rank not in drops | others]
        name = ranking.class_name(class_index)
        each = f"IPC {ipc}" + (f" with {config.mosaic} x {config.mosaic} patches an image" if config.mosaic > 1 else "")
        if len(line) < needed:
            left = f" left after {len(drops)} dropped" if drops else ""
            raise DataError(
                f"class {name!r} has {len(line)} patches{left}, but {each} needs {needed}; "
                f"lower the images per class or the mosaic, or rank more crops of each image."
            )
        if len(pins) > needed:
            raise ConfigError(f"pinned: {len(pins)} patches of class {name!r} given, but {each} has room for {needed}.")
        unpinned = [rank for rank in line if rank not in pins]
        chosen = {*pins, *unpinned[: needed - len(pins)]}
        taken = [rank for rank in line if rank in chosen]
        ranks = joining_order(taken, config.order, keyed_rng(seed, "order", class_index))
        patches = _patches(ranking, dataset_names_of_train, rows, ranks)
        for index, times in enumerate(zip(schedule.start_rounds, schedule.image_iterations_each, strict=True)):
            tiles = tuple(patches[index::ipc])  # tile t holds place t * ipc + index
            result.append(SelectedImage(int(class_index), index, tiles, *times))
    return tuple(result)


def taking_order(
    probabilities: np.ndarray, config: SelectConfig, rng: np.random.Generator, scores: np.ndarray | None = None
) -> list[int]:
    """Return the ranks of a class, (n,) ascending probabilities, in the order in which they are taken.

    ``scores`` are those of a coreset, of each rank one.

    >>> config = SelectConfig(min_probability=0.3, max_probability=0.5)
    >>> taking_order(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.9]), config, np.random.default_rng(0))
    [4, 3, 2, 1, 0, 5]
    """
    low, high = np.float32(config.min_probability), np.float32(config.max_probability)
    first = int(np.searchsorted(probabilities, low, "left"))
    last = max(first, int(np.searchsorted(probabilities, high, "right")))
    own = None if scores is None else scores[first:last]
    order = criterion_order(last - first, config.criterion, rng, config.median, own) if last > first else []
    inside = [first + rank for rank in order]
    outside = [*range(first), *range(last, len(probabilities))]
    away = {rank: float(max(low - probabilities[rank], probabilities[rank] - high)) for rank in outside}
    return [*inside, *sorted(outside, key=lambda rank: (away[rank], rank))]


def _picked(ranking: Ranking, config: SelectConfig) -> tuple[set[int], set[int]]:
    """Return the pinned and the dropped patches as positions in the ranking."""
    if (config.pinned or config.dropped) and config.picked_from not in ("", ranking.key):
        raise ConfigError(
            f"picked_from: the pinned and dropped patches were picked from ranking {config.picked_from}, but this one "
            f"is {ranking.key}, where the same rows are other patches; pick again, or leave them out."
        )
    pinned, dropped = set(config.pinned), set(config.dropped)
    for name, rows in (("pinned", pinned), ("dropped", dropped)):
        wrong = sorted(row for row in rows if not 0 <= row < len(ranking))
        if wrong:
            raise ConfigError(f"{name}: patch {wrong[0]} given, but the ranking has patches 0 to {len(ranking) - 1}.")
    if pinned & dropped:
        raise ConfigError(
            f"pinned: patch {min(pinned & dropped)} given, but it is dropped as well; it can be one of the two."
        )
    return pinned, dropped


def _patches(ranking: Ranking, names: Sequence[str], rows: np.ndarray, ranks: Sequence[int]) -> list[Patch]:
    """Return the patches of some ranks of a class; ``rows`` of the ranking are the class's, the lowest rank first."""
    at = rows[np.asarray(ranks, np.int64)]
    indices, boxes = ranking.image_index[at].tolist(), ranking.crop_box[at].tolist()
    labels, probs = ranking.label[at].tolist(), ranking.true_class_prob[at].tolist()
    if (last := max(indices, default=0)) >= len(names):
        raise DataError(f"ranking: it names image {last} of {ranking.dataset}, but there are {len(names)}; rank again.")
    return [
        Patch(index, str(names[index]), (top, left, height, width), label, prob, rank)
        for index, (top, left, height, width), label, prob, rank in zip(
            indices, boxes, labels, probs, ranks, strict=True
        )
    ]


def tile_edges(image_size: int, mosaic: int) -> list[int]:
    """Return where the tiles of one side begin, and where the last ends; the first ones are the wider.

    Source: RDED's ``mix_images``: pixels that are left over go to the first tiles.

    >>> tile_edges(32, 3)
    [0, 11, 22, 32]
    """
    share, extra = divmod(image_size, mosaic)
    return [tile * share + min(tile, extra) for tile in range(mosaic + 1)]


def patch_pixels(dataset: Dataset, selected: SelectedImage) -> np.ndarray:
    """Return what an image starts from, uint8 (S, S, 3) at the dataset's size: its patch, or its patches side by side.

    A whole image has the very pixels that were ranked.

    Raises:
        DataError: the selection names images that this dataset does not have.
        ShapeError: the patches do not fill a square.
    """
    mosaic = math.isqrt(len(selected.patches))
    if mosaic < 1 or mosaic**2 != len(selected.patches):
        raise ShapeError(f"patches: {len(selected.patches)} given, but an image is made of 1, 4, 9, 16, 25 or 36.")
    if mosaic == 1:
        return _one_patch(dataset, selected.patches[0])
    edges = tile_edges(dataset.spec.image_size, mosaic)
    image_u8 = np.empty((edges[-1], edges[-1], 3), np.uint8)
    for tile, patch in enumerate(selected.patches):
        top, bottom = edges[tile // mosaic : tile // mosaic + 2]
        left, right = edges[tile % mosaic : tile % mosaic + 2]
        picture = Image.fromarray(_one_patch(dataset, patch))
        tile_u8 = np.asarray(picture.resize((right - left, bottom - top), Image.Resampling.BICUBIC))
        image_u8[top:bottom, left:right] = tile_u8
    return image_u8


def _one_patch(dataset: Dataset, patch: Patch) -> np.ndarray:
    """Return one patch at the dataset's image size, uint8 (S, S, 3)."""
    train, index = dataset.train, patch.image_index
    there = 0 <= index < len(train)
    if not there or train.names[index] != patch.source:
        found = f"is {train.names[index]}" if there else "is not there"
        raise DataError(
            f"selection: training image {index} is said to be {patch.source}, but in {dataset.spec.name} it {found}; "
            f"the selection was made from other data."
        )
    if patch.crop_box == train.seen_box(index):
        return train.pixels([index])[0]
    return train.crops([index], np.array([patch.crop_box]))[0]


def write_selection(path: str | Path, selected: Sequence[SelectedImage], class_names: Sequence[str]) -> None:
    """Write a selection as CSV, one row a patch, whole or not at all; DataError when the disk refuses."""
    write_bytes(Path(path), selection_csv(selected, class_names), durable=True, what="selection", kind=DataError)


def selection_csv(selected: Sequence[SelectedImage], class_names: Sequence[str]) -> bytes:
    """Return a selection as the CSV that :func:`read_selection` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)  # names quoted: they may hold anything
    writer.writerow(COLUMNS)
    for image in selected:
        name = class_names[image.class_index]
        for tile, patch in enumerate(image.patches):
            # str() of a float32 is the shortest text that gives the same number back.
            scores = (float(str(np.float32(patch.true_class_prob))), patch.rank, image.start_round, image.iterations)
            place = (image.class_index, guarded(name), image.index, tile, guarded(patch.source), patch.image_index)
            writer.writerow((*place, *patch.crop_box, *scores))
    # A file name that is not UTF-8 comes as surrogates; they go out and come back as they were.
    return text.getvalue().encode("utf-8", "surrogateescape")


def read_selection(path: str | Path, class_index: int | None = None) -> tuple[SelectedImage, ...]:
    """Read what :func:`write_selection` wrote; probabilities come back as the same float32 numbers.

    With ``class_index`` only the images of this class are read, at a fraction of the cost.

    Raises:
        DataError: no such file, or not a selection; the sentence names the line.
    """
    with _opened(path) as file:
        return _parsed(file if class_index is None else _rows_of(file, class_index), path)


def selection_of_classes(path: str | Path) -> Callable[[int], tuple[SelectedImage, ...]]:
    """Return what gives the images of one class after another: the file is read once, a class's rows when asked for.

    Raises:
        DataError: as :func:`read_selection`; what is returned raises it for the rows that it reads.
    """
    rows: dict[str, list[str]] = {}
    with _opened(path) as file:
        heading, is_open, own = next(file, ""), False, list[str]()
        for line in file:
            if not is_open:
                own = rows.setdefault(line.partition(",")[0], [])
            is_open ^= line.count('"') % 2 == 1
            own.append(line)
    return lambda class_index: _parsed([heading, *rows.get(str(class_index), [])], path)


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[TextIO]:
    try:
        check_file(path, most=2**32)
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as error:
        raise DataError(f"selection: {path} cannot be read ({error.strerror}).") from None


def _parsed(lines: Iterable[str], path: str | Path) -> tuple[SelectedImage, ...]:
    images: list[dict[str, Any]] = []
    try:
        reader = csv.reader(lines)
        heading = next(reader, [])
        missing = [name for name in COLUMNS if name not in heading]
        if missing:
            raise DataError(f"selection: {path} has no column {missing[0]!r}.")
        numbers = tuple(heading.index(name) for name in _NUMBERS)
        places = _Places(numbers, heading.index("source"), heading.index("true_class_prob"))
        for row in filter(None, reader):
            _read_row(row, places, images, f"{path} line {reader.line_num}")
    except csv.Error as error:
        raise DataError(f"selection: {path} is not a table ({error}).") from None
    return tuple(SelectedImage(**{**values, "patches": tuple(values["patches"])}) for values in images)


def _rows_of(lines: Iterable[str], class_index: int) -> Iterator[str]:
    """Keep the heading and the rows of one class; a row may go over several lines where a name does."""
    is_wanted, is_open = True, False  # the heading is
    for number, line in enumerate(lines):
        is_wanted = is_wanted if is_open or number == 0 else line.startswith(f"{class_index},")
        is_open ^= line.count('"') % 2 == 1
        if is_wanted:
            yield line


@dataclass(frozen=True)
class _Places:
    """Where the columns of a file are: those of :data:`_NUMBERS`, and the two others that are read."""

    numbers: tuple[int, ...]
    source: int
    prob: int


def _read_row(row: list[str], places: _Places, images: list[dict[str, Any]], where: str) -> None:
    """Add one patch to the image it belongs to, beginning a new one at tile 0."""
    try:
        numbers = [int(row[at]) for at in places.numbers]
        class_index, index, tile, image_index, *box, rank, start_round, iterations = numbers
        top, left, height, width = box
        source, prob = unguarded(row[places.source]), float(np.float32(row[places.prob]))
    except (IndexError, ValueError):
        raise DataError(f"selection: {where} does not hold a patch.") from None
    patch = Patch(image_index, source, (top, left, height, width), class_index, prob, rank)
    about = {"class_index": class_index, "index": index, "start_round": start_round, "iterations": iterations}
    if tile == 0:
        images.append({**about, "patches": [patch]})
        return
    last = images[-1] if images else {"patches": []}
    if tile != len(last["patches"]) or any(last.get(name) != value for name, value in about.items()):
        raise DataError(f"selection: {where} holds tile {tile}, but not after the tiles before it.")
    last["patches"].append(patch)
