"""The film of early and late images: lanes, captions and curves, as the browser draws them on one timeline.

Every frame is sent once, as tiles in sheets, so moving the slider needs no answer from a server. The first three
lessons of the tour are films; app and file draw the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from delt_engine.lab.material import own_time
from delt_engine.lab.scenes import Scene, SceneLane
from delt_engine.plots.style import round_colour


@dataclass(frozen=True)
class Lane:
    """One image over all moments.

    ``tiles`` has for each moment (sheet, column, row), nothing for a lane that shows a change; ``lines`` are captions
    with one text a moment; ``first`` is the iteration at which it joins, dimmed before; ``change`` names two lanes
    before it whose absolute difference it shows; ``bar``: whether it has one below the slider.
    """

    title: str
    alt: str
    tiles: tuple[tuple[int, int, int], ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()
    colour: str = ""
    first: int = 0
    change: tuple[int, int] | None = None
    bar: bool = True


def patch_film(scene: Scene) -> dict[str, Any]:
    """Return the film of the patch, the optimised image, and what changed."""
    single, name, moments = scene.single, scene.class_name, len(scene.moments)
    still = (single.tiles[0],) * moments
    patch = Lane("The real patch", f"{name}, the real patch", still, (("never changes",) * moments,), bar=False)
    black = (("black is no change",) * moments,)
    change = Lane("Change", f"{name}, absolute change", (), black, change=(0, 1), bar=False)
    return film_data(scene, (patch, _lane(scene, single, "Optimised"), change), shown=224)


def twins_film(scene: Scene) -> dict[str, Any]:
    """Return the film of the twins side by side."""
    return film_data(scene, [_lane(scene, lane) for lane in scene.lanes])


def late_film(scene: Scene) -> dict[str, Any]:
    """Return the film of the twins with the schedules over their own iterations."""
    return film_data(scene, [_lane(scene, lane) for lane in scene.lanes], shown=168, charts=_charts(scene))


def first_and_last_film(scene: Scene, shown: int = 176) -> dict[str, Any]:
    """Return the film of the twins that join first and last, without captions that change."""
    moments = len(scene.moments)
    lanes = []
    for lane, word in ((scene.lanes[0], "Early"), (scene.lanes[-1], "Late")):
        whole = _lane(scene, lane, f"{word}: {scene.config.iterations - lane.first:,} iterations")
        joins = f"joins at iteration {lane.first:,}" if lane.first else "joins at once"
        lanes.append(Lane(whole.title, whole.alt, whole.tiles, ((joins,) * moments,), whole.colour, whole.first))
    return film_data(scene, lanes, shown)


def late_rows(scene: Scene) -> list[dict[str, str]]:
    """Return what the images of each start round get, as rows of a table."""
    rows = []
    for lane in scene.lanes:
        own = own_time(scene.config, lane.start_round)
        rates, crops = own.learning_rates, own.smallest_crops
        rows.append(
            {
                "Joins in": lane.title,
                "Own iterations": f"{own.iterations[-1] + 1:,}",
                "Learning rate, first to last": f"{rates[0]:.4f} to {rates[-1]:.4f}",
                "Smallest crop, first to last": f"{crops[0]:.2f} to {crops[-1]:.2f} of the area",
                "Mean change of a pixel": f"{lane.change[-1]:.1f} of 255",
            }
        )
    return rows


def film_data(
    scene: Scene, lanes: Sequence[Lane], shown: int = 176, charts: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return what the browser draws of lanes, ``shown`` CSS pixels wide each, and charts below them."""
    last, iterations, length = scene.moments[-1], scene.config.iterations, scene.config.round_iterations
    return {
        "lanes": [asdict(lane) for lane in lanes],
        "sheets": list(scene.sheets),
        "tile": scene.tile,
        "moments": list(scene.moments),
        "borders": list(range(0, last + 1, length)),  # where rounds begin or end
        "rounds": [iterations, length, iterations // length],
        "charts": list(charts),
        "shown": shown,
    }


def _lane(scene: Scene, lane: SceneLane, title: str = "") -> Lane:
    total = f"{scene.config.iterations - lane.first:,}"
    waits = f"waits, joins at {lane.first:,}"
    had = (moment - lane.first for moment in scene.moments)
    lines = [
        tuple(f"{number:,} of {total} iterations" if number >= 0 else waits for number in had),
        tuple(f"mean change {change:.1f} of 255" for change in lane.change),
    ]
    if lane.probability:
        lines.append(tuple(f"teacher: {100 * share:.1f} % {scene.class_name}" for share in lane.probability))
    colour = round_colour(lane.start_round, scene.config.schedule.last_start)
    alt = f"{scene.class_name}, joins in round {lane.start_round} and gets {total} iterations"
    return Lane(title or lane.title, alt, lane.tiles, tuple(lines), colour, lane.first)


def _charts(scene: Scene) -> list[dict[str, Any]]:
    """Return learning rate, smallest crop and change over each lane's own iterations, with a dot a lane."""
    times = [own_time(scene.config, lane.start_round) for lane in scene.lanes]
    rates = [{"lane": at, "xs": time.iterations, "ys": time.learning_rates} for at, time in enumerate(times)]
    crops = [{"lane": at, "xs": time.iterations, "ys": time.smallest_crops} for at, time in enumerate(times)]
    moved: list[dict[str, Any]] = []
    for at, lane in enumerate(scene.lanes):
        points = [(m - lane.first, c) for m, c in zip(scene.moments, lane.change, strict=True) if m >= lane.first]
        if points:
            moved.append({"lane": at, "xs": [x for x, _ in points], "ys": [y for _, y in points]})
    most, own = max((max(curve["ys"]) for curve in moved), default=0) or 1, "over its own iterations"
    shared = {"reach": (0, scene.config.iterations), "own": True}
    return [
        shared | {"title": title, "unit": f"{unit}{own}", "alt": f"{alt} {own}", "series": series, "top": top}
        for title, unit, alt, series, top in (
            ("Learning rate", "", "Learning rate", rates, scene.config.learning_rate),
            ("Smallest crop", "share of the area, ", "Smallest crop", crops, 1.0),
            ("Mean change of a pixel", "of 255, ", "Change", moved, most),
        )
    ]
