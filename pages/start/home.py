"""Home: what this is, what it gives, and one button that starts a run."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.config.presets import GLANCE, QUICK
from delt_engine.data.catalogue import find_entry
from delt_engine.jobs import start
from pages.shared import errors, nav
from pages.shared.controls import button, headline
from pages.shared.home import hero, numbers
from pages.shared.lab import pipeline
from pages.shared.lab.example import Example, example
from pages.shared.recover import cost
from pages.shared.runs import class_rows
from pages.shared.session import session
from pages.shared.wording import METHOD_TITLES, duration, plain

PRESETS = {preset.title: preset for preset in (QUICK, GLANCE)}
ROWS_SHOWN = 5
STAGE = "home/stage"


def start_button() -> None:
    """Draw the button that starts a run and shows it, and the choice of its size."""
    with st.container(horizontal=True, vertical_alignment="center"):
        is_started = button("Start a run", "play_arrow", "home/start", type="primary", changes=True)
        look = {"default": QUICK.title, "required": True, "label_visibility": "collapsed"}
        title = st.segmented_control("Size of the run", list(PRESETS), key="home/preset", **look)
    preset = PRESETS[title]
    experiment = preset.experiment()
    expected, entry = cost.expected(experiment), find_entry(experiment.dataset)
    time = f" About {duration(expected.seconds)} {expected.where}." if expected.seconds else ""
    plan = f"{preset.ipc} images per class, MI {preset.iterations}, RI {preset.round_iterations}"
    st.caption(f"DELT on {plain(entry.title if entry else experiment.dataset)}: {plan}.{time}", help=expected.origin)
    if is_started:
        with errors.shown():
            run = start.start(experiment)
        session().watched = run.id
        nav.go("distill/recover", run=run.id)


def _numbers_and_stages(shown: Example) -> None:
    st.subheader("What it gives")
    numbers.draw(shown)
    with headline("How it works"):
        nav.link("explore/early_late", "The whole lesson")
    pipeline.draw(shown, "home/pipeline", lambda picked: st.session_state.update({STAGE: picked}))
    if picked := st.session_state.pop(STAGE, ""):
        nav.go("explore/early_late", step=0, stage=picked)


def _images(shown: Example) -> None:
    run, recover = shown.run, shown.run.experiment.recover
    first = [number for number in run.classes if number == shown.class_index]
    others = [number for number in run.classes if number != shown.class_index]
    with headline("A finished run"):
        nav.link("explore/gallery", "Open in gallery", run=run.id)
    class_rows.draw(class_rows.film(run, (first + others)[:ROWS_SHOWN]), run, "home/grid")
    record = run.record()
    st.caption(
        f"{METHOD_TITLES[recover.method]} on {plain(record.dataset.title)}, teacher {plain(record.teacher.name)} "
        f"({plain(record.teacher.network)}), run {plain(run.id)}, made in {duration(record.seconds)} on "
        f"{plain(record.device_name or record.device)}. The numbers above are read from it, its students, and the runs "
        "of the methods beside it."
    )


shown = example()
left, right = st.columns([5, 6], gap="large", vertical_alignment="center")
with left:
    st.title("DELT Studio")
    st.markdown(
        "**Turn a large set of labelled images into a few synthetic ones per class that still train a good network, "
        "and watch every step.**"
    )
    st.markdown(
        "The first images of a class are optimised longest, the last ones briefly. A class then holds both kinds, and "
        "the run needs fewer iterations."
    )
    start_button()
with right:
    hero.moving(shown.run.experiment.dataset if shown else Experiment().dataset)
if shown:
    _numbers_and_stages(shown)
    _images(shown)
start.prepare()
