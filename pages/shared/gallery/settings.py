"""Settings in and around images: taken to Recover, read back from a dropped PNG, and compared between runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.errors import DeltError
from delt_engine.runs.export import ImageSettings, read_image_settings
from delt_engine.runs.lineage import in_words, run_changes
from delt_engine.runs.store import Run
from pages.shared import controls, errors
from pages.shared.runs.actions import use_button
from pages.shared.wording import count, plain, run_title

_MOST_NAMED = 6


def drop_image() -> None:
    """Draw the place to drop an image on, and what it says about itself."""
    with st.popover("Settings from an image", icon=":material/upload_file:", key="gallery/drop"):
        dropped = st.file_uploader("A PNG that DELT Studio made", type="png", key="gallery/png", max_upload_size=20)
        if dropped is None:
            st.caption("Images of a run, also downloaded ones, hold the settings they were made with.")
            return
        try:
            _say(read_image_settings(dropped.getvalue()))
        except DeltError as error:  # shown here, and the page goes on
            errors.show(error)


def _say(found: ImageSettings) -> None:
    st.markdown(f"**{plain(run_title(found.experiment))}**")
    st.write(
        f"{plain(found.class_name)}, image {found.index + 1}: joins in round {found.start_round}, had "
        f"{count(found.iterations)} iterations, seed {found.experiment.seed}."
    )
    if found.sources:
        st.caption("Started from " + plain(", ".join(found.sources)))
    use_button(found.experiment, "gallery/use-dropped")
    st.code(found.experiment.to_yaml(), language="yaml", height=240)


def draw_differences(runs: Sequence[Run]) -> None:
    """Draw the settings in which the runs on the page differ from the first, or say that there are none."""
    st.subheader("Settings that differ")
    found = [{entry.name: entry for entry in run_changes(runs[0], other)} for other in runs[1:]]
    rows = []
    for name, entry in {name: entry for table in reversed(found) for name, entry in table.items()}.items():
        values = [entry.values[0], *(table[name].values[1] if name in table else entry.values[0] for table in found)]
        words = (f"{len(v)} chosen" if isinstance(v, tuple) and len(v) > _MOST_NAMED else in_words(v) for v in values)
        stage = f"{name.split('.')[0].capitalize()}: " if "." in name else ""
        rows.append({"Setting": stage + entry.title, **dict(zip("ABC", map(plain, words), strict=False))})
    if rows:
        controls.table(rows)
    else:
        st.caption("None: the runs were made with the same settings.")
