"""Train a teacher as a run of its own: its settings, and the curves while it learns."""

from __future__ import annotations

import shlex

import streamlit as st

from delt_engine.config import Experiment, SqueezeConfig
from delt_engine.data.catalogue import find_entry
from delt_engine.data.dataset import Dataset
from delt_engine.jobs import start as jobs
from delt_engine.models.networks import NETWORKS
from delt_engine.plots import data as data_plots
from delt_engine.runs.command import command_for
from delt_engine.runs.events import SqueezeEpochEvent
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors
from pages.shared.recover.named_presets import SMALL_TEACHER
from pages.shared.runs import actions
from pages.shared.runs.progress import progress
from pages.shared.session import place_of, prime, session
from pages.shared.wording import ago, duration, plain, sentence

PAGE = "data"
_MAIN = ("width", "epochs")


def experiment_of(settings: SqueezeConfig) -> Experiment:
    """Return what a training run of the chosen dataset needs."""
    draft = session().draft
    return Experiment(
        dataset=draft.dataset, image_size=draft.image_size, seed=draft.seed, device=draft.device, squeeze=settings
    )


def start(settings: SqueezeConfig) -> None:
    """Start a training run; a refusal is shown on the page."""
    with errors.shown():
        jobs.start(experiment_of(settings), kind="squeeze")


def small_button() -> None:
    """Draw the button that trains a small teacher without further questions."""
    small = SMALL_TEACHER
    if st.button(
        "Train a small teacher",
        type="primary",
        icon=":material/model_training:",
        key=f"{PAGE}/train_small",
        help=f"{small.network} of width {small.width:g}, {small.epochs} epochs.",
    ):
        start(small)
        st.rerun()


def form(data: Dataset) -> None:
    """Draw the settings of a new teacher and the button that trains it."""
    entry = find_entry(data.spec.name)
    if entry and entry.recipe:
        st.caption(f"A recipe that does well on {entry.title}: {entry.recipe}.")
    now = session()
    with st.grid(3, min_column_width=150, vertical_alignment="bottom"):
        network = _network(now.training)
        values = controls.settings(now.training, _MAIN, PAGE, compact=True)
    with st.expander("More settings", key=f"{PAGE}/more_training"):
        names = controls.names_behind_more(SqueezeConfig)
        values |= controls.settings_grid(now.training, names, PAGE)
    with errors.shown():
        now.training = now.training.replace(network=network, **values)
    if st.button("Train this teacher", icon=":material/play_arrow:", key=f"{PAGE}/train"):
        start(now.training)
        st.rerun()
    st.code(shlex.join(command_for(experiment_of(now.training), kind="squeeze")), language="bash", wrap_lines=True)


def _network(settings: SqueezeConfig) -> str:
    spec = controls.spec_of(SqueezeConfig, "network")
    key = f"{PAGE}/network"
    place = place_of(prime(key, settings.network), NETWORKS)
    return (
        st.selectbox(spec.title, NETWORKS, place, key=key, accept_new_options=True, help=controls.help_text(spec))
        or settings.network
    )


def newest(dataset: str) -> Run | None:
    """Return the newest run that trains a teacher on a dataset, or None."""
    return next(
        (
            run
            for run in cached.runs()
            if not run.unreadable and run.record().kind == "squeeze" and run.experiment.dataset == dataset
        ),
        None,
    )


def watch(run: Run) -> None:
    """Draw a training run: how far it is, loss and accuracies over the epochs, and how it ended."""
    record = run.record()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f"**{plain(record.experiment.squeeze.network)}, width {record.experiment.squeeze.width:g}**",
            width="content",
        )
        actions.badge(run)
        st.caption(f"started {ago(record.created)}", width="content")
        st.space("stretch")
        actions.control_buttons(run, PAGE)
    if run.status == "finished":
        accuracy = record.result.get("accuracy")
        found = f", {accuracy:.1f} % on the test images" if accuracy is not None else ""
        st.caption(
            f"{plain(str(record.result.get('name')))}{found}, in {duration(record.seconds)} on {record.device_name}."
        )
    else:
        now = progress(run)
        st.progress(now.fraction, text=sentence(now.text))
    if run.error:
        errors.show(run.error)
    figure = data_plots.training_curves(run.events(SqueezeEpochEvent), record.experiment.squeeze.epochs)
    st.plotly_chart(figure, key=f"{PAGE}/curves", config={"displayModeBar": False})
