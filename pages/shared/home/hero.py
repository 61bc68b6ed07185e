"""The first look of Home: one patch moving, once as an early and once as a late image of a run."""

from __future__ import annotations

import streamlit as st

from delt_engine.config.presets import QUICK
from delt_engine.lab.material import lab_folders
from delt_engine.lab.scenes import lab_scene
from delt_engine.plots import film, recovery
from pages.shared import figure
from pages.shared.component import versioned
from pages.shared.lab import stored
from pages.shared.lab.timeline import lab_film
from pages.shared.wording import count, plain


def moving(dataset: str) -> None:
    """Draw the recorded lab of a dataset, else the one that the lessons open with, playing by itself."""
    lab = stored.of_dataset(dataset) or next((stored.opened(folder) for folder in lab_folders().values()), None)
    if lab is None:
        figure.plain(recovery.schedule_lanes(QUICK.experiment().recover.schedule), "home/lanes")
        st.caption("How EarlyLate works: each lane is an image of a class; the later it joins, the fewer iterations.")
        return
    class_name = lab.record.opens_with or lab.class_names[0]
    scene = lab_scene(lab, class_name, 1, stored.sheet(str(lab.folder), lab.subjects(class_name)[0].film))
    data = versioned(film.first_and_last_film(scene, shown=230)) | {"at": 0, "autoplay": True}
    lab_film(key="home/film", data=data, on_at_change=lambda: None)
    late = scene.lanes[-1].first
    st.caption(
        f"The same real patch of {plain(class_name)} in one run: early it is optimised from the first iteration on, "
        f"late it joins at iteration {count(late)} and stays near its photograph. {plain(scene.origin)}"
    )
