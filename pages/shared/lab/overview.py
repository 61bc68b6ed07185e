"""The pipeline as the opening of the tour: six stages in a row, below them the chosen one's numbers and pictures."""

from __future__ import annotations

import streamlit as st

from pages.shared import address, nav
from pages.shared.lab import pipeline, stages
from pages.shared.lab.example import Example
from pages.shared.lab.predict import compared_runs
from pages.shared.lab.source import Source

STAGE = "lab/stage"


def draw(source: Source, class_name: str) -> None:
    """Draw the pipeline of a run, or of the DELT run on a lab's dataset, and the stage that is looked at."""
    run = source.run or next(iter(compared_runs(source)), None)
    st.subheader("From a dataset to a student in six stages")
    if run is None or run.status != "finished" or class_name not in run.class_names:
        st.info("There is no finished run on this dataset yet, so the stages have no numbers. The lessons need none.")
        nav.link("distill/recover", "Start a run")
        return
    shown = Example(run, class_name)
    address.restore("stage", STAGE, address.member(pipeline.STAGES))
    stage = st.session_state.setdefault(STAGE, "squeeze")
    pipeline.draw(shown, "lab/pipeline", lambda picked: st.session_state.update({STAGE: picked}), chosen=stage)
    address.publish("stage", STAGE, stage if stage != "squeeze" else "")
    stages.draw(stage, shown)
