"""The steps of the early-versus-late page that stand on a timeline: one patch, its twins, what a late one gets.

Slider, play button and keys move all images and the curves below them. Every frame is sent once, as tiles in sheets, so
a move needs no answer from the server; where the slider comes to rest is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import streamlit as st

from delt_engine.lab.material import own_time
from delt_engine.plots.style import round_colour
from pages.shared import address, controls
from pages.shared.component import component, versioned
from pages.shared.lab.source import Scene, SceneLane
from pages.shared.wording import count, plain

AT, FILM = "lab/at", "lab/film"
_component = component("lab_film", style="lab")


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


def one_patch(scene: Scene) -> None:
    """Draw the patch, the optimised image, and what changed."""
    single, name, moments = scene.single, scene.class_name, len(scene.moments)
    still = (single.tiles[0],) * moments
    patch = Lane("The real patch", f"{name}, the real patch", still, (("never changes",) * moments,), bar=False)
    black = (("black is no change",) * moments,)
    change = Lane("Change", f"{name}, absolute change", (), black, change=(0, 1), bar=False)
    _draw(scene, (patch, _lane(scene, single, "Optimised"), change), shown=224)


def twins(scene: Scene) -> None:
    """Draw the twins side by side on one timeline."""
    _draw(scene, [_lane(scene, lane) for lane in scene.lanes])
    reached = [f"{lane.title.lower()}: {lane.change[-1]:.0f}" for lane in scene.lanes]
    st.caption(
        f"Mean change from the start after {count(scene.moments[-1])} iterations, in levels of 255: "
        f"{', '.join(reached)}. Measured on the images shown."
    )


def late(scene: Scene) -> None:
    """Draw the twins with the schedules over their own iterations, and the same as numbers."""
    _draw(scene, [_lane(scene, lane) for lane in scene.lanes], shown=144, charts=_charts(scene))
    rows = []
    for lane in scene.lanes:
        own = own_time(scene.config, lane.start_round)
        rates, crops = own.learning_rates, own.smallest_crops
        rows.append(
            {
                "Joins in": lane.title,
                "Own iterations": count(own.iterations[-1] + 1),
                "Learning rate, first to last": f"{rates[0]:.3f} to {rates[-1]:.3f}",
                "Smallest crop, first to last": f"{100 * crops[0]:.0f} % to {100 * crops[-1]:.0f} %",
                f"Change after {count(scene.moments[-1])}": f"{lane.change[-1]:.1f} levels",
            }
        )
    controls.table(rows)
    st.caption("Learning rate and crops follow from the run's settings; the change is measured on the images.")


def _lane(scene: Scene, lane: SceneLane, title: str = "") -> Lane:
    total = count(scene.config.iterations - lane.first)
    waits = f"waits, joins at {count(lane.first)}"
    had = (moment - lane.first for moment in scene.moments)
    lines = [
        tuple(f"{count(number)} of {total} iterations" if number >= 0 else waits for number in had),
        tuple(f"{change:.1f} levels from its patch" for change in lane.change),
    ]
    if lane.probability:
        lines.append(tuple(f"teacher: {100 * share:.1f} % {scene.class_name}" for share in lane.probability))
    colour = round_colour(lane.start_round, scene.config.schedule.num_rounds)
    alt = f"{scene.class_name}, joins in round {lane.start_round} and gets {total} iterations"
    return Lane(title or lane.title, alt, lane.tiles, tuple(lines), colour, lane.first)


def _charts(scene: Scene) -> list[dict[str, Any]]:
    """Return learning rate, smallest crop and change over each lane's own iterations, with a dot a lane."""
    times = [own_time(scene.config, lane.start_round) for lane in scene.lanes]
    rates = [{"lane": at, "xs": time.iterations, "ys": time.learning_rates} for at, time in enumerate(times)]
    crops = [{"lane": at, "xs": time.iterations, "ys": time.smallest_crops} for at, time in enumerate(times)]
    moved = []
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
            ("Change from the patch", "levels of 255, ", "Change", moved, most),
        )
    ]


def _draw(scene: Scene, lanes: Sequence[Lane], shown: int = 176, charts: Sequence[dict[str, Any]] = ()) -> None:
    """Draw lanes on the timeline, ``shown`` CSS pixels wide each, and charts below it."""
    last, iterations, length = scene.moments[-1], scene.config.iterations, scene.config.round_iterations
    address.restore("it", AT, int)
    at = st.session_state.get(AT)
    at = last if at is None else min(max(0, at), last)
    data = {
        "lanes": [asdict(lane) for lane in lanes],
        "sheets": list(scene.sheets),
        "tile": scene.tile,
        "moments": list(scene.moments),
        "borders": list(range(0, last + 1, length)),  # where rounds begin or end
        "rounds": {"iterations": iterations, "length": length, "count": iterations // length},
        "charts": list(charts),
        "shown": shown,
    }
    _component(key=FILM, data=versioned(data) | {"at": at}, on_at_change=_take)
    address.publish("it", AT, at if at != last else "")
    st.caption(plain(scene.origin))


def _take() -> None:
    st.session_state[AT] = int(st.session_state[FILM]["at"])
