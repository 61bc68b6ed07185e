"""Where the early-versus-late page takes its images from: a recorded lab, or any run with snapshots; as scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delt_engine.config import RecoverConfig
from delt_engine.lab.material import Lab, SubjectRecord, lab_folders
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.titles import example_runs
from pages.shared.lab import cached
from pages.shared.runs import class_rows, strips
from pages.shared.runs.strips import stamp
from pages.shared.wording import run_title

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
    """One image on the timeline; ``change`` in levels and ``probability`` have an entry a moment."""

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
    """Return what can be shown: labs, then the examples and the user's runs that have pictures of two rounds."""
    labs = (cached.lab(folder) for folder in lab_folders().values())
    found = [Source(f"lab-{made.name}", f"Recorded lab: {made.record.title}", lab=made) for made in labs]
    for run in [*list_runs(), *example_runs()]:
        if run.unreadable or run.record().kind != "recover" or not run.classes:
            continue
        if len(run.rounds_written(run.classes[0])) > 1:
            found.append(Source(run.id, f"{run_title(run.experiment)}  ({run.id})", run=run))
    return found


def scene(source: Source, class_name: str, number: int, upto: int | None = None) -> Scene:
    """Return the scene of one patch.

    Args:
        source: where from.
        class_name: one of the source's.
        number: of the patch in its class, from 1.
        upto: iteration at which the timeline ends; MI when None.
    """
    return (_lab_scene if source.lab else _run_scene)(source, class_name, number, upto or source.config.iterations)


def _lab_scene(source: Source, class_name: str, number: int, upto: int) -> Scene:
    made, config = source.lab, source.config
    subject = made.subjects(class_name)[number - 1]
    record = made.record
    moments = tuple(moment for moment in record.moments if moment <= upto)
    lanes = []
    for twin in subject.twins:
        columns = [max(0, at - twin.first) for at in range(len(moments))]
        lanes.append(
            SceneLane(
                f"Round {twin.start_round}",
                twin.start_round,
                (twin.start_round - 1) * config.round_iterations,
                tuple((0, column, twin.row) for column in columns),
                tuple(twin.change[column] for column in columns),
                tuple(twin.probability[column] for column in columns),
            )
        )
    accuracy = f", {record.teacher_accuracy:.1f} % on test images" if record.teacher_accuracy is not None else ""
    origin = (
        f"Recorded: {record.title}, teacher {record.teacher} ({record.teacher_network}{accuracy}), "
        f"{class_name} patch {subject.source}, seed {record.seed}."
    )
    return Scene(
        source,
        class_name,
        number,
        config,
        moments,
        lanes[0],
        tuple(lanes),
        (cached.sheet(made, subject.film),),
        record.image_size,
        origin,
    )


def _run_scene(source: Source, class_name: str, number: int, upto: int) -> Scene:
    run, config = source.run, source.config
    schedule, class_index = config.schedule, run.class_names.index(class_name)
    written = set(run.rounds_written(class_index))
    wanted = class_rows.rounds_shown(schedule.num_rounds)
    rounds = tuple(r for r in wanted if r in written and r * config.round_iterations <= upto)
    newest = stamp(run.snapshot_path(class_index, rounds[-1]))
    moved = cached.changes(str(run.path), class_index, rounds, newest)
    firsts = [schedule.start_rounds.index(start) for start in sorted(set(schedule.start_rounds))]
    step = -(-len(firsts) // MOST_LANES)

    def lane(index: int) -> SceneLane:
        start = schedule.start_rounds[index]
        first = (start - 1) * config.round_iterations
        tiles = tuple((sheet, index, 0) for sheet in range(len(rounds)))
        return SceneLane(f"Image {index + 1}, round {start}", start, first, tiles, tuple(moved[:, index].tolist()))

    sheets = tuple(strips.address(run, run.snapshot_path(class_index, r)) or "" for r in rounds)
    origin = f"Run {run.id}: {run_title(run.experiment)}, class {class_name}."
    return Scene(
        source,
        class_name,
        number,
        config,
        tuple(r * config.round_iterations for r in rounds),
        lane(number - 1),
        tuple(lane(index) for index in firsts[::step]),
        sheets,
        class_rows.tile_side(run),
        origin,
    )
