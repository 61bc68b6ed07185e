"""Take home what the early-versus-late page shows: film strip and animations, built when they are asked for."""

from __future__ import annotations

import streamlit as st

from delt_engine.lab.filmstrip import FORMATS, FilmLane, animation, film_strip
from pages.shared import controls
from pages.shared.lab.source import Scene
from pages.shared.wording import count, rounds_text

CHOICES = {"twins": "All start rounds", "single": "One patch"}


def downloads(scene: Scene) -> None:
    """Draw the choice and the buttons; a file is made when its button is pressed."""
    what = controls.choice("Show", CHOICES, "lab/export", default="twins", segmented=True)
    lanes = scene.lanes if what == "twins" else (scene.single,)
    name, moments = f"early-late-{scene.class_name}-{scene.number}-{what}", scene.moments
    heading = f"{scene.class_name}: {rounds_text(scene.config, ', ')}, IPC {scene.config.ipc}"
    frame_ms = 80 if len(moments) > 20 else 400

    def film() -> list[FilmLane]:
        made = []
        for lane in lanes:
            words = (f"{count(m - lane.first)} iterations" if m >= lane.first else "waits" for m in moments)
            made.append(FilmLane(lane.title, scene.frames(lane), tuple(words)))
        return made

    def strip() -> bytes:
        return film_strip(film(), moments, heading=heading)

    with st.container(horizontal=True):
        controls.download("Film strip (PNG)", "view_column", "lab/png", strip, f"{name}.png", "image/png")
        for kind, mime in FORMATS.items():
            moving = lambda kind=kind: animation(film(), moments, kind, heading=heading, frame_ms=frame_ms)  # noqa: E731
            label = f"Animation ({kind.upper() if kind == 'gif' else 'WebP'})"
            controls.download(label, "animation", f"lab/{kind}", moving, f"{name}.{kind}", mime)
    st.image(strip(), caption="The film strip", output_format="PNG")
