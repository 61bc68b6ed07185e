"""The steps of the early-versus-late page that stand on the timeline: one patch, its twins, what a late one gets."""

from __future__ import annotations

import streamlit as st

from delt_engine.lab.material import own_time
from delt_engine.plots.recovery import round_colour
from pages.shared import address
from pages.shared.lab.film import Chart, Curve, Film, Lane, lab_film
from pages.shared.lab.source import Scene, SceneLane
from pages.shared.wording import count, plain

AT, FILM = "lab/at", "lab/film"


def one_patch(scene: Scene) -> None:
    """Draw the patch, the optimised image, and what changed."""
    single = scene.single
    patch = Lane(
        "The real patch",
        f"{scene.class_name}, the real patch",
        (single.tiles[0],) * len(scene.moments),
        (("never changes",) * len(scene.moments),),
        bar=False,
    )
    now = lane_of(scene, single, "Optimised")
    change = Lane(
        "Change",
        f"{scene.class_name}, absolute change",
        (),
        (("black is no change",) * len(scene.moments),),
        change=(0, 1),
        bar=False,
    )
    _draw(scene, (patch, now, change), shown=224)


def twins(scene: Scene) -> None:
    """Draw the twins side by side on one timeline."""
    _draw(scene, tuple(lane_of(scene, lane) for lane in scene.lanes))
    reached = [f"{lane.title.lower()}: {lane.change[-1]:.0f}" for lane in scene.lanes]
    st.caption(
        f"Mean change from the start after {count(scene.moments[-1])} iterations, in levels of 255: "
        f"{', '.join(reached)}. Measured on the images shown."
    )


def late(scene: Scene) -> None:
    """Draw the twins with the schedules over their own iterations, and the same as numbers."""
    _draw(scene, tuple(lane_of(scene, lane) for lane in scene.lanes), shown=144, charts=charts(scene))
    rows = []
    for lane in scene.lanes:
        own = own_time(scene.config, lane.start_round)
        rows.append(
            {
                "Joins in": lane.title,
                "Own iterations": count(own.iterations[-1] + 1),
                "Learning rate, first to last": f"{own.learning_rates[0]:.3f} to {own.learning_rates[-1]:.3f}",
                "Smallest crop, first to last": f"{100 * own.smallest_crops[0]:.0f} % to "
                f"{100 * own.smallest_crops[-1]:.0f} %",
                f"Change after {count(scene.moments[-1])}": f"{lane.change[-1]:.1f} levels",
            }
        )
    st.table(rows, border="horizontal", hide_index=True)
    st.caption("Learning rate and crops follow from the run's settings; the change is measured on the images.")


def lane_of(scene: Scene, lane: SceneLane, title: str = "") -> Lane:
    """Return an image as the timeline draws it, with its own iterations below."""
    total = scene.config.iterations - lane.first
    counts = tuple(
        f"{count(moment - lane.first)} of {count(total)} iterations"
        if moment >= lane.first
        else f"waits, joins at {count(lane.first)}"
        for moment in scene.moments
    )
    lines = [counts, tuple(f"{change:.1f} levels from its patch" for change in lane.change)]
    if lane.probability:
        lines.append(tuple(f"teacher: {100 * share:.1f} % {scene.class_name}" for share in lane.probability))
    colour = round_colour(lane.start_round, scene.config.schedule.num_rounds)
    alt = f"{scene.class_name}, joins in round {lane.start_round} and gets {count(total)} iterations"
    return Lane(title or lane.title, alt, lane.tiles, tuple(lines), colour, lane.first)


def charts(scene: Scene) -> tuple[Chart, ...]:
    """Return learning rate, smallest crop and change over each lane's own iterations."""
    times = [own_time(scene.config, lane.start_round) for lane in scene.lanes]
    reach = (0, scene.config.iterations)
    rates = tuple(Curve(at, time.iterations, time.learning_rates) for at, time in enumerate(times))
    crops = tuple(Curve(at, time.iterations, time.smallest_crops) for at, time in enumerate(times))
    moved = []
    for at, lane in enumerate(scene.lanes):
        points = [(m - lane.first, c) for m, c in zip(scene.moments, lane.change, strict=True) if m >= lane.first]
        if points:
            moved.append(Curve(at, *(tuple(values) for values in zip(*points, strict=True))))
    top = max((max(curve.ys) for curve in moved), default=0) or 1
    own = "over its own iterations"
    return (
        Chart(
            "Learning rate",
            own,
            f"Learning rate {own}, a line a start round",
            rates,
            reach,
            scene.config.learning_rate,
            own=True,
        ),
        Chart("Smallest crop", f"share of the area, {own}", f"Smallest crop {own}", crops, reach, 1.0, own=True),
        Chart("Change from the patch", f"levels of 255, {own}", f"Change {own}", tuple(moved), reach, top, own=True),
    )


def _draw(scene: Scene, lanes: tuple[Lane, ...], shown: int = 176, charts: tuple[Chart, ...] = ()) -> None:
    film = Film(lanes, scene.sheets, scene.tile, scene.moments, scene.config.iterations, scene.config.round_iterations)
    last = scene.moments[-1]
    address.restore("it", AT, int)
    at = st.session_state.get(AT)
    at = min(max(0, at), last) if at is not None else last
    lab_film(film, key=FILM, at=at, shown=shown, charts=charts, on_rest=_take)
    address.publish("it", AT, at if at != last else "")
    st.caption(plain(scene.origin))


def _take() -> None:
    """Keep the iteration on which the slider came to rest."""
    st.session_state[AT] = int(st.session_state[FILM]["at"])
