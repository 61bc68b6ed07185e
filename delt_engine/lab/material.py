"""The early-versus-late lab as files: what is recorded of a few patches, and how it is written and read.

A lab is a folder with ``lab.json`` (:class:`LabRecord`) and one PNG sheet of tiles for each picture below. S is the
side of an image in pixels, P the number of moments on the timeline; tiles stand in a grid of S x S.

- ``film``: one row a twin of the patch, one column a moment from the twin's start on.
- ``stages``: one row an iteration taken apart, one column a stage of :data:`STAGES`.
- ``halves``: the class before the first and after the last iteration, one column an image in the order of joining.

Nothing here needs torch; :mod:`delt_engine.lab.recording` makes the material. :func:`own_time` counts the schedules
of the run from when an image joins: both run over the whole of MI, so a late image meets them where they stand by then.

Source: ours; the schedules are DELT Table 8b (one cosine over MI) and CDA Algorithm 1 (crop curriculum).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError

from delt_engine.config import Experiment, RecoverConfig, SelectConfig, Settings
from delt_engine.config.settings import setting
from delt_engine.errors import ConfigError, DataError
from delt_engine.files import write_bytes
from delt_engine.paths import assets_dir, expanded, home
from delt_engine.recovery.batches import clock
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at

SCHEMA_VERSION = 1
STAGES = ("before", "crop", "ce_gradient", "bn_gradient", "gradient", "update", "clipped", "after")
"""Columns of a sheet of stages."""

AFTER_START = (2, 5)
"""Further moments after each start: the first steps are the largest."""


class LabPlan(Settings):
    """What a lab shows; ``taken_apart`` is where in the run an iteration is shown step by step, as shares of MI."""

    patches: int = setting(1, ge=1)
    """Patches of each class that are shown, the first ones to join."""
    start_rounds: tuple[int, ...] = setting((1, 3, 5, 8))
    """Rounds in which the twins of a patch join."""
    every: int = setting(10, ge=1)
    """Iterations between two moments of the timeline."""
    taken_apart: tuple[float, ...] = (0.05, 0.5, 0.9)

    def check(self, config: RecoverConfig) -> None:
        """Refuse a plan that does not fit the settings of the run.

        Raises:
            ConfigError: a start round beyond the last, more patches than images, or too few images for two halves.
        """
        rounds = config.schedule.num_rounds
        if list(self.start_rounds) != sorted(set(self.start_rounds)) or not self.start_rounds:
            raise ConfigError(f"start_rounds: {list(self.start_rounds)} given, but different rising rounds are needed.")
        if self.start_rounds[0] != 1 or self.start_rounds[-1] > rounds:
            raise ConfigError(
                f"start_rounds: {list(self.start_rounds)} given, but they must begin with 1 and end at {rounds} at "
                f"most, as MI = {config.iterations} and RI = {config.round_iterations} make {rounds} rounds."
            )
        if self.patches > config.ipc:
            raise ConfigError(f"patches: {self.patches} given, but 1 to ipc = {config.ipc} of a class can be shown.")
        if config.ipc < 4:
            raise ConfigError(f"ipc: {config.ipc} given, but comparing an early and a late half needs at least 4.")
        if self.every > config.iterations:
            raise ConfigError(f"every: {self.every} given, but it must be between 1 and MI = {config.iterations}.")

    def moments(self, config: RecoverConfig) -> tuple[int, ...]:
        """Return the completed iterations at which images are stored: 0, MI, every few, and right after each start."""
        starts = [(number - 1) * config.round_iterations for number in self.start_rounds]
        extra = {start + gap for start in starts for gap in (0, *AFTER_START)}
        last = config.iterations
        return tuple(sorted({*range(0, last, self.every), last, *(at for at in extra if at <= last)}))


@dataclass(frozen=True)
class OwnTime:
    """Schedules of one image: at its own iteration ``iterations[i]``, from 0 to its last."""

    iterations: tuple[int, ...]
    learning_rates: tuple[float, ...]
    smallest_crops: tuple[float, ...]


def own_time(config: RecoverConfig, start_round: int, points: int = 60) -> OwnTime:
    """Return the schedules that an image meets which joins in ``start_round``, at so many evenly spread iterations.

    Raises:
        ConfigError: the run has no such round.

    >>> late = own_time(RecoverConfig(), 8)
    >>> late.iterations[-1], round(late.learning_rates[0], 4), round(late.smallest_crops[0], 3)
    (499, 0.0095, 0.115)
    """
    rounds = config.schedule.num_rounds
    if not 1 <= start_round <= rounds:
        raise ConfigError(f"start_round: {start_round} given, but the run has rounds 1 to {rounds}.")
    first = (start_round - 1) * config.round_iterations
    last = config.iterations - first - 1
    own = sorted({round(at * last / max(1, points - 1)) for at in range(points)})
    times = [clock(first + iteration, config) for iteration in own]
    rates = tuple(learning_rate_at(*time, config.learning_rate) for time in times)
    low, high = config.min_crop, config.max_crop
    crops = tuple(crop_scale_at(*time, config.curriculum, config.milestone, low, high)[0] for time in times)
    return OwnTime(tuple(own), rates, crops)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TwinRecord(_Record):
    """A patch that joined in one round; lists have one entry a moment from ``first`` on.

    ``row`` in the film, ``first`` the number of the moment of its start, ``change`` the mean absolute change in levels
    of 0 to 255, ``distance`` the L2 distance of pixels in [0, 1], ``probability`` the teacher's of the true class.
    """

    start_round: int
    row: int
    first: int
    change: tuple[float, ...]
    distance: tuple[float, ...]
    probability: tuple[float, ...]


class StagesRecord(_Record):
    """An iteration taken apart: the numbers that go with row ``row`` of the sheet of stages.

    ``crop``: top, left, height, width. Losses: ``ce_image`` of this image, ``ce_loss`` and ``bn_loss`` of the batch,
    ``bn_weight`` what the last is multiplied with. ``scales``: what full colour stands for in each signed picture, in
    normalised units. ``mean_update`` in levels of 0 to 255, ``clipped_percent`` of the image's values.
    """

    row: int
    iteration: int
    round_number: int
    joined: int
    learning_rate: float
    crop_min: float
    crop: tuple[int, int, int, int]
    is_flipped: bool
    top: tuple[tuple[str, float], ...]
    true_class_prob: float
    ce_image: float
    ce_loss: float
    bn_loss: float
    bn_weight: float
    bn_layers: int
    scales: dict[str, float]
    mean_update: float
    clipped_percent: float


class SubjectRecord(_Record):
    """One patch with its twins: where it is from, its film and its iterations taken apart."""

    class_index: int
    index: int
    source: str
    true_class_prob: float
    rank: int
    natural_round: int
    film: str
    stages_sheet: str
    twins: tuple[TwinRecord, ...]
    stages: tuple[StagesRecord, ...]


class HalvesRecord(_Record):
    """How alike the halves of a class are, one entry a round from 0 (the patches) to K.

    Mean cosine similarity of all pairs in a half: ``early`` and ``late`` by features, the others by pixels.
    """

    class_index: int
    sheet: str
    early: tuple[float, ...]
    late: tuple[float, ...]
    pixel_early: tuple[float, ...]
    pixel_late: tuple[float, ...]


class LabRecord(_Record):
    """Everything a lab knows besides its pictures; ``opens_with`` is the class to show first, "" for the first one."""

    schema_version: int = SCHEMA_VERSION
    title: str
    dataset: str
    dataset_fingerprint: str
    class_names: tuple[str, ...]
    classes: tuple[int, ...]
    image_size: int
    teacher: str
    teacher_network: str
    teacher_fingerprint: str
    teacher_accuracy: float | None
    features: str
    seed: int
    device: str
    command: str
    versions: dict[str, str]
    recover: RecoverConfig
    select: SelectConfig
    moments: tuple[int, ...]
    start_rounds: tuple[int, ...]
    opens_with: str = ""
    subjects: tuple[SubjectRecord, ...]
    halves: tuple[HalvesRecord, ...]


@dataclass(frozen=True, eq=False)
class Lab:
    """A lab on disk."""

    folder: Path
    record: LabRecord

    @property
    def name(self) -> str:
        """Name of the folder, which links use."""
        return self.folder.name

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that have patches, in the order of their numbers."""
        return tuple(self.record.class_names[number] for number in self.record.classes)

    def subjects(self, class_name: str) -> tuple[SubjectRecord, ...]:
        """Return the patches of a class in the order of joining."""
        return tuple(s for s in self.record.subjects if self.record.class_names[s.class_index] == class_name)

    def halves(self, class_name: str) -> HalvesRecord:
        """Return what was measured of the halves of a class.

        Raises:
            DataError: there is no such class in the lab.
        """
        for record in self.record.halves:
            if self.record.class_names[record.class_index] == class_name:
                return record
        raise DataError(f"lab: class {class_name!r} given, but {self.name} has {', '.join(self.class_names)}.")

    def png(self, sheet: str) -> bytes:
        """Return a sheet as it is on disk; DataError where it is missing."""
        try:
            return (self.folder / Path(sheet).name).read_bytes()
        except OSError as error:
            raise DataError(f"lab: {sheet} of {self.folder} cannot be read ({error.strerror}).") from None

    def tiles(self, sheet: str) -> np.ndarray:
        """Return a sheet as uint8 (rows, columns, S, S, 3).

        Raises:
            DataError: it is missing or no sheet.
        """
        try:
            image_u8 = np.asarray(Image.open(io.BytesIO(self.png(sheet)), formats=("PNG",)).convert("RGB"))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"lab: {sheet} of {self.folder} is no picture ({error}).") from None
        size = self.record.image_size
        rows, columns = image_u8.shape[0] // size, image_u8.shape[1] // size
        return image_u8.reshape(rows, size, columns, size, 3).swapaxes(1, 2)

    def frames(self, subject: SubjectRecord, twin: TwinRecord) -> np.ndarray:
        """Return a twin at all P moments, uint8 (P, S, S, 3); before its start it is its patch."""
        at = np.maximum(0, np.arange(len(self.record.moments)) - twin.first)
        return self.tiles(subject.film)[twin.row][at]


def sheet_png(tiles: np.ndarray) -> bytes:
    """Return tiles, uint8 (rows, columns, S, S, 3), as the PNG of a sheet."""
    rows, columns, size = tiles.shape[:3]
    picture = np.ascontiguousarray(tiles.swapaxes(1, 2)).reshape(rows * size, columns * size, 3)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def write_lab(folder: str | Path, record: LabRecord, sheets: Mapping[str, np.ndarray]) -> Lab:
    """Write a lab; the record comes last, so that a folder without one is not a lab.

    Raises:
        DataError: the disk refuses.
    """
    folder = expanded(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name, tiles in sheets.items():
        write_bytes(folder / name, sheet_png(tiles), what="lab", kind=DataError)
    write_bytes(folder / "lab.json", record.model_dump_json().encode(), what="lab", kind=DataError)
    return Lab(folder, record)


def open_lab(folder: str | Path) -> Lab:
    """Read a lab.

    Raises:
        DataError: there is none, or its record is damaged or of a later version.
    """
    folder = Path(folder)
    try:
        record = LabRecord.model_validate_json((folder / "lab.json").read_bytes())
    except OSError as error:
        raise DataError(f"lab: {folder} holds none ({error.strerror}).") from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DataError(f"lab: {folder / 'lab.json'} is damaged or of another version ({where}).") from None
    if record.schema_version > SCHEMA_VERSION:
        raise DataError(f"lab: {folder} was written by a later version; update DELT Studio.")
    return Lab(folder, record)


def labs_dir() -> Path:
    """Return the folder of the labs this user made."""
    return home() / "labs"


def lab_folders() -> dict[str, Path]:
    """Return the folders of all labs by name; a lab of this user hides the shipped one of its name.

    That of the default dataset comes first, then this user's, then the other shipped ones.
    """
    mine, shipped = (sorted(place.glob("*/lab.json")) for place in (labs_dir(), assets_dir() / "lab"))
    found = {path.parent.name: path.parent for path in mine}
    found |= {path.parent.name: path.parent for path in shipped if path.parent.name not in found}
    default = Experiment().dataset
    return dict(sorted(found.items(), key=lambda entry: entry[0] != default))  # all else keeps its order


def find_lab(dataset: str | None = None) -> Lab | None:
    """Return the lab of a dataset, by its name or the path of its folder, or the one that the app opens with; or None.

    Raises:
        DataError: it is damaged.
    """
    folders = lab_folders()
    if dataset is None:
        return open_lab(next(iter(folders.values()))) if folders else None
    name = Path(dataset).name
    return open_lab(folders[name]) if name in folders else None
