"""Take home what the early-versus-late page shows: film strip and animations, built when they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from delt_engine.lab.filmstrip import FORMATS, FilmLane, animation, film_strip
from pages.shared.lab.source import Scene, SceneLane
from pages.shared.wording import count

CHOICES = {"twins": "All start rounds", "single": "One patch"}


def downloads(scene: Scene) -> None:
    """Draw the choice and the buttons; a file is made when its button is pressed."""
    what = st.segmented_control(
        "Show", list(CHOICES), default="twins", key="lab/export", format_func=CHOICES.get, required=True
    )
    lanes = scene.lanes if what == "twins" else (scene.single,)
    name = f"early-late-{scene.class_name}-{scene.number}-{what}"
    moving = [(f"Animation ({kind.upper() if kind == 'gif' else 'WebP'})", kind) for kind in FORMATS]
    with st.container(horizontal=True):
        st.download_button(
            "Film strip (PNG)",
            _strip(scene, lanes),
            f"{name}.png",
            "image/png",
            key="lab/png",
            icon=":material/view_column:",
            on_click="ignore",
        )
        for label, kind in moving:
            st.download_button(
                label,
                _moving(scene, lanes, kind),
                f"{name}.{kind}",
                FORMATS[kind],
                key=f"lab/{kind}",
                icon=":material/animation:",
                on_click="ignore",
            )
    st.image(_preview(scene, lanes), caption="The film strip", output_format="PNG")


def _preview(scene: Scene, lanes: tuple[SceneLane, ...]) -> bytes:
    return _strip(scene, lanes)()


def _strip(scene: Scene, lanes: tuple[SceneLane, ...]) -> Callable[[], bytes]:
    return lambda: film_strip(_film_lanes(scene, lanes), scene.moments, heading=_heading(scene))


def _moving(scene: Scene, lanes: tuple[SceneLane, ...], kind: str) -> Callable[[], bytes]:
    return lambda: animation(
        _film_lanes(scene, lanes),
        scene.moments,
        kind,
        heading=_heading(scene),
        frame_ms=80 if len(scene.moments) > 20 else 400,
    )


def _film_lanes(scene: Scene, lanes: tuple[SceneLane, ...]) -> list[FilmLane]:
    made = []
    for lane in lanes:
        words = (f"{count(m - lane.first)} iterations" if m >= lane.first else "waits" for m in scene.moments)
        made.append(FilmLane(lane.title, scene.frames(lane), tuple(words)))
    return made


def _heading(scene: Scene) -> str:
    recover = scene.config
    return (
        f"{scene.class_name}: MI {count(recover.iterations)}, RI {count(recover.round_iterations)}, IPC {recover.ipc}"
    )
