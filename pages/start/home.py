"""Home: what this is, a finished run on screen, and one button that starts one."""

from __future__ import annotations

import streamlit as st

from delt_engine.config.presets import GLANCE, QUICK
from delt_engine.jobs import start
from delt_engine.plots import recovery
from delt_engine.runs.store import Run
from pages.shared import cached, errors, figure, nav
from pages.shared.controls import button, headline
from pages.shared.recover import cost
from pages.shared.runs import class_rows
from pages.shared.session import session
from pages.shared.wording import METHOD_TITLES, count, duration, plain

PRESETS = {preset.title: preset for preset in (QUICK, GLANCE)}
ROWS_SHOWN = 5


def start_button() -> None:
    """Draw the choice of size and the button that starts a run and shows it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        title = st.segmented_control(
            "Size of the run", list(PRESETS), default=QUICK.title, key="home/preset", required=True
        )
        is_started = button("Start a run", "play_arrow", "home/start", type="primary")
    preset = PRESETS[title]
    experiment = preset.experiment()
    expected = cost.expected(experiment)
    time = f" About {duration(expected.seconds)} {expected.where}." if expected.seconds else ""
    plan = f"{preset.ipc} images per class, MI {preset.iterations}, RI {preset.round_iterations}"
    st.caption(f"DELT on ten photographs: {plan}.{time}", help=expected.origin)
    if is_started:
        with errors.shown():
            run = start.start(experiment)
        session().watched = run.id
        nav.go("distill/recover", run=run.id)


def _example(run: Run) -> None:
    record, recover = run.record(), run.experiment.recover
    with headline("A finished run"):
        nav.link("explore/gallery", "Open in gallery", run=run.id)
    rounds = f"{count(recover.iterations)} / {count(recover.round_iterations)}"
    with st.grid(4, min_column_width=132):
        st.metric("Images per class (IPC)", recover.ipc)
        between = "Iterations of the first images, and iterations between two rounds."
        st.metric("MI / RI", rounds if recover.is_optimised else "not optimised", help=between)
        saved = "Image-iterations against giving every image MI iterations; from the schedule."
        st.metric("Saved by EarlyLate", f"{recover.schedule.saved_percent:.1f} %", help=saved)
        st.metric("Took", duration(record.seconds), help=f"Measured on {record.device_name or record.device}.")
    class_rows.draw(class_rows.film(run, run.classes[:ROWS_SHOWN]), run, "home/grid")
    st.caption(
        f"{METHOD_TITLES[recover.method]} on {plain(record.dataset.title)}, teacher {plain(record.teacher.network)}, "
        f"run {plain(run.id)}. Move the slider or press play: early images keep changing, late ones stay close to "
        "their photographs."
    )


st.title("DELT Studio")
st.markdown(
    "Distil a dataset of images into a few synthetic ones per class: start from real patches, then optimise their "
    "pixels against a trained network. **Early** images get all iterations (MI), **later** ones join every RI "
    "iterations and get fewer, which keeps them diverse and saves work."
)
start_button()
runs = cached.recoveries(examples_first=True, finished=True)
if runs:  # the shipped example in rounds, else the newest in rounds, else any
    _example(next((run for run in runs if run.experiment.recover.schedule.has_rounds), runs[0]))
else:
    st.subheader("How EarlyLate works")
    figure.plain(recovery.schedule_lanes(QUICK.experiment().recover.schedule), "home/lanes")
    st.caption("Each lane is an image of a class. There is no finished run yet: start one and it will stand here.")
start.prepare()
