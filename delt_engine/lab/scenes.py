"""What is shown of one patch: itself, its twins, and the moments of the timeline.

P moments, S side of an image in pixels. A tile is (sheet, column, row) in sheets of S x S tiles.
"""

from __future__ import annotations

from dataclasses import dataclass

from delt_engine.config import RecoverConfig
from delt_engine.lab.material import Lab


@dataclass(frozen=True)
class SceneLane:
    """One image on the timeline, which joins at iteration ``first``.

    ``tiles``, ``change`` (mean over the pixel values, in levels of 255) and ``probability`` (the teacher's of the true
    class) have an entry a moment; the last is empty where it was not recorded.
    """

    title: str
    start_round: int
    first: int
    tiles: tuple[tuple[int, int, int], ...]
    change: tuple[float, ...]
    probability: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything there is to show of the ``number``-th patch of a class.

    ``lanes`` are its twins, or of a run an image of each round; ``single`` is the patch's own. ``sheets`` are addresses
    or data URLs; ``origin`` says where images and numbers are from.
    """

    class_name: str
    class_index: int
    number: int
    config: RecoverConfig
    moments: tuple[int, ...]
    single: SceneLane
    lanes: tuple[SceneLane, ...]
    sheets: tuple[str, ...]
    tile: int
    origin: str


def lab_scene(lab: Lab, class_name: str, number: int, sheet: str, upto: int | None = None) -> Scene:
    """Return the scene of the ``number``-th recorded patch of a class, from 1, up to an iteration, else to MI.

    ``sheet`` is where its film is found.
    """
    record, step = lab.record, lab.record.recover.round_iterations
    subject = lab.subjects(class_name)[number - 1]
    end = upto or record.recover.iterations
    moments = tuple(moment for moment in record.moments if moment <= end)
    lanes = []
    for twin in subject.twins:
        columns = [max(0, at - twin.first) for at in range(len(moments))]
        tiles = tuple((0, column, twin.row) for column in columns)
        change, probability = (tuple(values[at] for at in columns) for values in (twin.change, twin.probability))
        start = twin.start_round
        lanes.append(SceneLane(f"Round {start}", start, (start - 1) * step, tiles, change, probability))
    accuracy = f", {record.teacher_accuracy:.1f} % on test images" if record.teacher_accuracy is not None else ""
    return Scene(
        class_name=class_name,
        class_index=subject.class_index,
        number=number,
        config=record.recover,
        moments=moments,
        single=lanes[0],
        lanes=tuple(lanes),
        sheets=(sheet,),
        tile=record.image_size,
        origin=(
            f"Recorded: {record.title}, teacher {record.teacher} ({record.teacher_network}{accuracy}), "
            f"{class_name} patch {subject.source}, seed {record.seed}."
        ),
    )
