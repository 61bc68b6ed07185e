"""Train students: on which images, by which recipe, how long; and every method at once, from the recovery on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.config.students import RECIPE_TITLES
from delt_engine.jobs import start
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.jobs.worker import device_lock_name
from delt_engine.models.networks import NETWORKS
from delt_engine.runs.command import command_for
from delt_engine.runs.sources import REAL, find_source
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors
from pages.shared.accuracy import cost
from pages.shared.session import place_of, prime, session
from pages.shared.wording import duration, plain, plural, run_title

PAGE = "accuracy/train"
_OWN = ("recipe", "student", "epochs", "seeds")
_SHORT = 5
"""Without a GPU a recipe is offered with a fifth of its epochs."""


def images() -> list[Run]:
    """Return the runs whose images are finished, the user's newest first, then the examples."""
    runs = [run for run in [*cached.runs(), *cached.examples()] if not run.unreadable and run.status == "finished"]
    return [run for run in runs if run.record().kind == "recover" and run.classes]


def draw(dataset: str = "") -> EvaluateConfig:
    """Draw the form and return how students are trained; runs of ``dataset`` are offered first."""
    runs = sorted(images(), key=lambda run: run.experiment.dataset != dataset) if dataset else images()
    ids = [run.id for run in runs] + [REAL]
    titles = {run.id: f"{run_title(run.experiment)}  ({run.id})" for run in runs}
    titles[REAL] = f"The whole real training set of {session().draft.dataset}"
    usual = [] if dataset else ids[:1]  # nothing is evaluated yet: one press trains the first students
    kept = [one for one in st.session_state.get(f"{PAGE}/sources", usual) or [] if one in ids]
    st.session_state[f"{PAGE}/sources"] = kept
    chosen = st.multiselect(
        "Images to learn from",
        ids,
        key=f"{PAGE}/sources",
        format_func=titles.get,
        placeholder="One or several runs, or the whole real set",
    )
    config = settings()
    plans = [(one, planned(one, config)) for one in chosen]
    _expect(plans, config)
    if st.button("Train students", type="primary", icon=":material/school:", key=f"{PAGE}/start", disabled=not plans):
        with errors.shown():
            for source, experiment in plans:
                start.start(experiment, kind="evaluate", source=source)
        st.rerun()
    first = runs[0].id if runs else REAL
    for source, experiment in plans or [(first, planned(first, config))]:
        words = command_for(experiment, kind="evaluate", source=source)
        st.code(shlex.join(words), language="bash", wrap_lines=True)
    return config


def settings() -> EvaluateConfig:
    """Draw the settings of the training and return them."""
    key = f"{PAGE}/recipe"
    now = prime(key, "delt")
    spec = controls.spec_of(EvaluateConfig, "recipe")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        recipe = st.segmented_control(
            spec.title,
            list(RECIPE_TITLES),
            default=now,
            key=key,
            format_func=RECIPE_TITLES.get,
            required=True,
            wrap=True,
            on_change=_other_recipe,
            help=spec.help,
        )
        full = EvaluateConfig.for_recipe(recipe).epochs
        now = prime(f"{PAGE}/epochs", full if _has_gpu() else full // _SHORT)
        epochs = st.number_input(
            "Epochs",
            1,
            100_000,
            now,
            key=f"{PAGE}/epochs",
            width=130,
            help=f"The recipe has {full:,}; fewer is told beside every result.",
        )
        now = prime(f"{PAGE}/seeds", 1)
        seeds = st.number_input(
            "Students",
            1,
            100,
            now,
            key=f"{PAGE}/seeds",
            width=130,
            help="Each from another seed; the spread is over them.",
        )
        now, names = prime(f"{PAGE}/student", "auto"), ["auto", *NETWORKS]
        student = st.selectbox(
            "Student network",
            names,
            place_of(now, names),
            key=f"{PAGE}/student",
            accept_new_options=True,
            width=200,
            help=controls.spec_of(EvaluateConfig, "student").help,
        )
    values = {"epochs": int(epochs), "seeds": int(seeds), "student": student or "auto"}
    plain_config = EvaluateConfig.for_recipe(recipe)
    with st.expander("More settings", key=f"{PAGE}/more"):
        names = controls.names_behind_more(EvaluateConfig, (*_OWN, *_open(plain_config), "label_store"))
        values |= controls.settings_grid(plain_config, names, PAGE)
        st.caption("Batch size and learning rate follow the recipe's rules for IPC and student.")
    with errors.shown():
        return EvaluateConfig.for_recipe(recipe, **values)


def _open(config: EvaluateConfig) -> list[str]:
    """Return the settings that a rule fills in later; a control has no way to show "not given"."""
    return [name for name in EvaluateConfig.model_fields if getattr(config, name) is None]


def _other_recipe() -> None:
    """Let the controls start again from the new recipe; students and seeds stay."""
    kept = {f"{PAGE}/{name}" for name in ("recipe", "sources", "seeds", "student", "start", "more")}
    for key in [key for key in st.session_state if str(key).startswith(f"{PAGE}/") and key not in kept]:
        del st.session_state[key]


def _has_gpu() -> bool:
    return not device_lock_name(session().draft.device).startswith("cpu")


def planned(source: str, config: EvaluateConfig) -> Experiment:
    """Return the experiment of an evaluation, with the data and the device of the session where the run names none."""
    draft, changes = session().draft, {}
    if source == REAL:
        changes = {
            "dataset": draft.dataset,
            "image_size": draft.image_size,
            "teacher": draft.teacher,
            "squeeze": draft.squeeze,
        }
    return evaluation_experiment(find_source(source), config, device=draft.device, **changes)


def _expect(plans: Sequence[tuple[str, Experiment]], config: EvaluateConfig) -> None:
    """Say how long it will take where a rate is known, and that the recipe is shortened."""
    if config.is_shortened:
        full = EvaluateConfig.for_recipe(config.recipe).epochs
        st.badge(f"shortened: {config.epochs:,} of {full:,} epochs", icon=":material/content_cut:", color="orange")
    times = [cost.expected(source, experiment) for source, experiment in plans]
    if times and all(time is not None for time in times):
        seconds = sum(time.seconds for time in times)
        st.caption(f"About {duration(seconds)} for {plural(len(plans), 'set')} of images. {plain(times[0].origin)}")
    elif times:
        st.caption("How long this takes is not known yet: the first finished evaluation of this student tells.")
