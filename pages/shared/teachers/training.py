"""Training a teacher as a run of its own."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import Experiment, SqueezeConfig, field_specs
from delt_engine.config.doubts import rate_doubt
from delt_engine.data.catalogue import find_entry
from delt_engine.data.dataset import Dataset
from delt_engine.data.folder import sizes_read
from delt_engine.jobs import start as jobs
from delt_engine.jobs.teacher_time import SMALL_SIZE, small_teacher, training_seconds
from delt_engine.models.networks import NETWORKS
from delt_engine.papers.presets import find_preset, presets_of
from delt_engine.plots.training import training_curves
from delt_engine.runs.command import command_for
from delt_engine.runs.events import SqueezeEpochEvent
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, figure, paper_presets
from pages.shared.controls import button
from pages.shared.runs import actions
from pages.shared.runs.progress import progress
from pages.shared.session import session
from pages.shared.wording import ago, duration, plain, sentence

PAGE, _PRESETS = "data", "data/teacher"
_USUAL_IMAGES = 5000
"""Training images of a dataset that was never read."""


def experiment_of(settings: SqueezeConfig) -> Experiment:
    """Return what a training run of the chosen dataset needs."""
    draft = session().draft
    names = ("dataset", "image_size", "resize", "seed", "device")
    return Experiment(**{name: getattr(draft, name) for name in names}, squeeze=settings)


def start_button(label: str, icon: str, key: str, settings: SqueezeConfig, **look: str) -> None:
    """Draw a button that starts a training run; a refusal is shown on the page."""
    if button(label, icon, f"{PAGE}/{key}", changes=True, **look):
        with errors.shown():
            jobs.start(experiment_of(settings), kind="squeeze")
        st.rerun()


def small_button() -> None:
    """Draw the button that trains a small teacher without further questions, with the time that takes here."""
    look = {"type": "primary", "help": small_words()}
    start_button("Train a small teacher", "model_training", "train_small", small_teacher(_sizes()[0]), **look)


def small_words() -> str:
    """Say what the small teacher of the chosen dataset is, and how long training takes."""
    small = small_teacher(_sizes()[0])
    what = f"The small one: {small.network}, width {small.width:g}, {small.epochs} epochs."
    return f"{what} {expected(small)}"


def _sizes() -> tuple[int, int]:
    """Return how many training images the chosen dataset has and their side, as far as that is known unread."""
    draft = session().draft
    entry = find_entry(draft.dataset)
    known = vars(entry) if entry else sizes_read(draft.dataset)
    return known.get("train_size") or _USUAL_IMAGES, draft.image_size or known.get("image_size") or SMALL_SIZE


def expected(settings: SqueezeConfig) -> str:
    """Say how long training takes, and where that is from."""
    seconds, is_measured = training_seconds(settings, *_sizes(), cached.runs())
    origin = "from the last such teacher trained here" if is_measured else "an estimate for two cores"
    return f"About {duration(seconds)}, {origin}."


def is_at_work() -> bool:
    """Whether a teacher of the chosen dataset is being trained."""
    run = newest(session().draft.dataset)
    return run is not None and run.is_active


def form(data: Dataset) -> None:
    """Draw the settings of a new teacher and the button that trains it."""
    entry = find_entry(data.spec.name)
    if entry and entry.recipe:
        st.caption(f"A recipe that does well on {entry.title}: {entry.recipe}.")
    what = "network and training of the teacher"
    name = paper_presets.choice(_PRESETS, presets_of("squeeze"), data.spec.name, what, _take_preset)
    if name:
        paper_presets.draw_changes(find_preset(name).published(), ["squeeze"], _PRESETS)
    now, network = session(), controls.spec_of(SqueezeConfig, "network")
    with st.grid(3, min_column_width=150, vertical_alignment="bottom"):
        key, help_text = f"{PAGE}/network", controls.help_text(network)
        values = {"network": controls.open_choice(network.title, NETWORKS, key, now.training.network, help=help_text)}
        values |= controls.settings(now.training, ("width", "epochs"), PAGE, compact=True)
    with st.expander("More settings", key=f"{PAGE}/more_training"):
        values |= controls.settings_grid(now.training, controls.names_behind_more(SqueezeConfig), PAGE)
        controls.precision_warning(values["precision"], now.draft.device)
    with errors.shown():
        now.training = now.training.replace(**values)
        controls.doubt(rate_doubt(now.training))
    st.caption(expected(now.training))
    start_button("Train this teacher", "play_arrow", "train", now.training)
    controls.command(command_for(experiment_of(now.training), kind="squeeze"))


def _take_preset() -> None:
    """Take over the squeeze of a paper; the dataset stays."""
    if name := st.session_state[f"{_PRESETS}/paper"]:
        session().training = find_preset(name).published().experiment.squeeze
        for spec in field_specs(SqueezeConfig):
            st.session_state.pop(f"{PAGE}/{spec.name}", None)


def newest(dataset: str) -> Run | None:
    """Return the newest run that trains a teacher on a dataset, or None."""
    return cached.newest("squeeze", lambda run: run.experiment.dataset == dataset)


def watch(run: Run) -> None:
    """Draw a training run: how far it is, loss and accuracies over the epochs, and how it ended."""
    record = run.record()
    squeeze = record.experiment.squeeze
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{plain(squeeze.network)}, width {squeeze.width:g}**", width="content")
        actions.badge(run)
        st.caption(f"started {ago(record.created)}", width="content")
        st.space("stretch")
        actions.control_buttons(run, PAGE)
    with errors.contained(run.id):
        if run.status == "finished":
            accuracy = record.result.get("accuracy")
            found = f", {accuracy:.1f} % on the test images" if accuracy is not None else ""
            took = f"in {duration(record.seconds)} on {record.device_name}"
            st.caption(f"{plain(str(record.result.get('name')))}{found}, {took}.")
        else:
            now = progress(run)
            st.progress(now.fraction, text=sentence(now.text))
        errors.show(run.error)
        epochs = run.events(SqueezeEpochEvent)
        if epochs:
            figure.plain(training_curves(epochs, squeeze.epochs), f"{PAGE}/curves")
