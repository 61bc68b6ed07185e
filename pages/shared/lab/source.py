"""Where the early-versus-late page takes its images from: a recorded lab, or any run with snapshots; as scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delt_engine.config import RecoverConfig
from delt_engine.lab.material import Lab, SubjectRecord, lab_folders
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.runs import class_rows, strips
from pages.shared.wording import long_title, run_title

MOST_LANES = 8
"""Images of a run shown side by side, the first one to join in each of its rounds."""


@dataclass(frozen=True, eq=False)
class Source:
    """A lab or a run."""

    id: str
    title: str
    lab: Lab | None = None
    run: Run | None = None

    @property
    def classes(self) -> list[str]:
        """Names of the classes that can be shown."""
        if self.lab:
            return list(self.lab.class_names)
        return [self.run.class_names[number] for number in self.run.classes if self.run.rounds_written(number)]

    @property
    def opens_with(self) -> str:
        """The class to show first."""
        wanted = self.lab.record.opens_with if self.lab else ""
        return wanted if wanted in self.classes else self.classes[0]

    def patches(self, class_name: str) -> int:
        """Return how many patches of a class can be chosen from."""
        return len(self.lab.subjects(class_name)) if self.lab else self.run.experiment.recover.ipc

    @property
    def config(self) -> RecoverConfig:
        """Settings of the recovery."""
        return self.lab.record.recover if self.lab else self.run.experiment.recover


@dataclass(frozen=True)
class SceneLane:
    """One image on the timeline.

    ``tiles`` has for each moment (sheet, column, row); ``change`` in levels and ``probability`` an entry a moment too.
    """

    title: str
    start_round: int
    first: int
    tiles: tuple[tuple[int, int, int], ...]
    change: tuple[float, ...]
    probability: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything the page shows of one patch: itself, its twins (of a run: an image of each round), and the time."""

    source: Source
    class_name: str
    number: int
    config: RecoverConfig
    moments: tuple[int, ...]
    single: SceneLane
    lanes: tuple[SceneLane, ...]
    sheets: tuple[str, ...]
    tile: int
    origin: str

    @property
    def subject(self) -> SubjectRecord | None:
        """The recorded patch, None for a run."""
        return self.source.lab.subjects(self.class_name)[self.number - 1] if self.source.lab else None

    @property
    def class_index(self) -> int:
        """Number of the class in the dataset."""
        names = self.source.lab.record.class_names if self.source.lab else self.source.run.class_names
        return names.index(self.class_name)

    def frames(self, lane: SceneLane) -> np.ndarray:
        """Return an image at all moments, uint8 (P, S, S, 3)."""
        if self.source.lab:
            film = self.source.lab.tiles(self.subject.film)
            return np.stack([film[row, column] for _, column, row in lane.tiles])
        numbers = [moment // self.config.round_iterations for moment in self.moments]
        index = lane.tiles[0][1]
        return np.stack([self.source.run.snapshot_images(self.class_index, number)[index] for number in numbers])


def sources() -> list[Source]:
    """Return what can be shown: labs, then the user's runs and the examples that have pictures of two rounds."""
    labs = (cached.lab(folder) for folder in lab_folders().values())
    found = [Source(f"lab-{made.name}", f"Recorded lab: {made.record.title}", lab=made) for made in labs]
    runs = (run for run in cached.recoveries() if len(run.rounds_written(run.classes[0])) > 1)
    return found + [Source(run.id, long_title(run), run=run) for run in runs]


def scene(source: Source, class_name: str, number: int, upto: int | None = None) -> Scene:
    """Return the scene of the ``number``-th patch of a class, up to an iteration, else to MI."""
    parts = (_lab_parts if source.lab else _run_parts)(source, class_name, number, upto or source.config.iterations)
    return Scene(source, class_name, number, source.config, *parts)


def _lab_parts(source: Source, class_name: str, number: int, upto: int) -> tuple[object, ...]:
    """Return moments, the patch's lane, all lanes, sheets, side of a tile, and where it is from."""
    made, record, step = source.lab, source.lab.record, source.config.round_iterations
    subject = made.subjects(class_name)[number - 1]
    moments = tuple(moment for moment in record.moments if moment <= upto)
    lanes = []
    for twin in subject.twins:
        columns = [max(0, at - twin.first) for at in range(len(moments))]
        tiles = tuple((0, column, twin.row) for column in columns)
        change, probability = (tuple(values[at] for at in columns) for values in (twin.change, twin.probability))
        start = twin.start_round
        lanes.append(SceneLane(f"Round {start}", start, (start - 1) * step, tiles, change, probability))
    accuracy = f", {record.teacher_accuracy:.1f} % on test images" if record.teacher_accuracy is not None else ""
    origin = (
        f"Recorded: {record.title}, teacher {record.teacher} ({record.teacher_network}{accuracy}), "
        f"{class_name} patch {subject.source}, seed {record.seed}."
    )
    sheets = (cached.lab_sheet(str(made.folder), subject.film),)
    return moments, lanes[0], tuple(lanes), sheets, record.image_size, origin


def _run_parts(source: Source, class_name: str, number: int, upto: int) -> tuple[object, ...]:
    run, step, schedule = source.run, source.config.round_iterations, source.config.schedule
    class_index = run.class_names.index(class_name)
    written = set(run.rounds_written(class_index))
    rounds = tuple(r for r in class_rows.rounds_shown(schedule.num_rounds) if r in written and r * step <= upto)
    moved = cached.changes(run, class_index, rounds)
    firsts = [schedule.start_rounds.index(start) for start in sorted(set(schedule.start_rounds))]

    def lane(index: int) -> SceneLane:
        start = schedule.start_rounds[index]
        tiles = tuple((sheet, index, 0) for sheet in range(len(rounds)))
        title = f"Image {index + 1}, round {start}"
        return SceneLane(title, start, (start - 1) * step, tiles, tuple(moved[:, index].tolist()))

    lanes = tuple(lane(index) for index in firsts[:: -(-len(firsts) // MOST_LANES)])
    sheets = tuple(strips.address(run, run.snapshot_path(class_index, r)) or "" for r in rounds)
    origin = f"Run {run.id}: {run_title(run.experiment)}, class {class_name}."
    moments = tuple(r * step for r in rounds)
    return moments, lane(number - 1), lanes, sheets, class_rows.tile_side(run), origin
