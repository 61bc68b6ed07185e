"""The steps of the early-versus-late page that stand on a timeline: one patch, its twins, what a late one gets.

Slider, play button and keys move all images and the curves below them, in the browser; where the slider comes to rest
is reported.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from delt_engine.lab.scenes import Scene
from delt_engine.plots import film
from pages.shared import address, controls
from pages.shared.component import component, versioned
from pages.shared.wording import count, plain

AT, FILM = "lab/at", "lab/film"
lab_film = component("lab_film", style="lab")


def one_patch(scene: Scene) -> None:
    """Draw the patch, the optimised image, and what changed."""
    _draw(scene, film.patch_film(scene))


def twins(scene: Scene) -> None:
    """Draw the twins side by side on one timeline."""
    _draw(scene, film.twins_film(scene))
    reached = [f"{lane.title.lower()}: {lane.change[-1]:.0f}" for lane in scene.lanes]
    st.caption(
        f"Mean change of a pixel from the start after {count(scene.moments[-1])} iterations, of 255: "
        f"{', '.join(reached)}. Measured on the images shown."
    )


def late(scene: Scene) -> None:
    """Draw the twins with the schedules over their own iterations, and the same as numbers."""
    _draw(scene, film.late_film(scene))
    controls.table(film.late_rows(scene))
    st.caption("Learning rate and crops follow from the run's settings; the change is measured on the images.")


def _draw(scene: Scene, data: dict[str, Any]) -> None:
    """Draw a film; the address keeps where its slider rests."""
    last = scene.moments[-1]
    address.restore("it", AT, int)
    at = st.session_state.get(AT)
    at = last if at is None else min(max(0, at), last)
    lab_film(key=FILM, data=versioned(data) | {"at": at}, on_at_change=_take)
    address.publish("it", AT, at if at != last else "")
    st.caption(plain(scene.origin))


def _take() -> None:
    st.session_state[AT] = int(st.session_state[FILM]["at"])
