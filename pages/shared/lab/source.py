"""Where the early-versus-late page takes its images from: a recorded lab, or any run with snapshots; as scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from delt_engine.config import RecoverConfig
from delt_engine.lab.material import Lab, SubjectRecord, lab_folders
from delt_engine.lab.scenes import Scene, SceneLane, lab_scene
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.lab import stored
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


@dataclass(frozen=True, eq=False, kw_only=True)
class SourceScene(Scene):
    """A scene of a lab or a run."""

    source: Source

    @property
    def subject(self) -> SubjectRecord | None:
        """The recorded patch, None for a run."""
        return self.source.lab.subjects(self.class_name)[self.number - 1] if self.source.lab else None

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
    labs = (stored.opened(folder) for folder in lab_folders().values())
    found = [Source(f"lab-{made.name}", f"Recorded: {made.record.title}", lab=made) for made in labs]
    runs = (run for run in cached.recoveries() if len(run.rounds_written(run.classes[0])) > 1)
    return found + [Source(run.id, long_title(run), run=run) for run in runs]


def scene(source: Source, class_name: str, number: int, upto: int | None = None) -> SourceScene:
    """Return the scene of the ``number``-th patch of a class, up to an iteration, else to MI."""
    if source.lab:
        sheet = stored.sheet(str(source.lab.folder), source.lab.subjects(class_name)[number - 1].film)
        made = lab_scene(source.lab, class_name, number, sheet, upto)
    else:
        made = _run_scene(source, class_name, number, upto or source.config.iterations)
    return SourceScene(**vars(made), source=source)


def _run_scene(source: Source, class_name: str, number: int, upto: int) -> Scene:
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
    return Scene(
        class_name=class_name,
        class_index=class_index,
        number=number,
        config=source.config,
        moments=tuple(r * step for r in rounds),
        single=lane(number - 1),
        lanes=lanes,
        sheets=sheets,
        tile=class_rows.tile_side(run),
        origin=f"Run {run.id}: {run_title(run.experiment)}, class {class_name}.",
    )
