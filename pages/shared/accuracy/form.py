"""Train students: on which images, by which recipe, how long; and every method at once, from the recovery on."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import streamlit as st

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.config.methods import METHOD_SETTINGS, METHOD_TITLES
from delt_engine.config.students import RECIPE_TITLES
from delt_engine.errors import DeltError
from delt_engine.jobs import start as jobs
from delt_engine.jobs.evaluations import evaluation_experiment, start_evaluation
from delt_engine.jobs.start import is_same
from delt_engine.jobs.worker import device_lock_name
from delt_engine.models.networks import NETWORKS
from delt_engine.runs.command import command_for, compare_command, image_size_of
from delt_engine.runs.sources import REAL, find_source
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors
from pages.shared.accuracy import data
from pages.shared.controls import button
from pages.shared.session import prime, session
from pages.shared.wording import duration, long_title, plain, plural, rounds_text, short_name

PAGE = "accuracy/train"
METHODS = (*METHOD_SETTINGS, REAL)
USUAL = ("sre2l", "cda", "rded", "delt", "random")
_OWN = ("recipe", "student", "epochs", "seeds")
_SHORT = 5
"""Without a GPU a recipe is offered with a fifth of its epochs."""


def draw(dataset: str = "") -> EvaluateConfig:
    """Draw the form and return how students are trained; runs of ``dataset`` are offered first."""
    runs = sorted(cached.recoveries(finished=True), key=lambda run: bool(dataset) and run.experiment.dataset != dataset)
    titles = {run.id: long_title(run) for run in runs}
    titles[REAL] = f"The whole real training set of {session().draft.dataset}"
    usual = [] if dataset else list(titles)[:1]  # nothing is evaluated yet: one press trains the first students
    key, many = f"{PAGE}/sources", "One or several runs, or the whole real set"
    st.session_state[key] = [one for one in st.session_state.get(key, usual) or [] if one in titles]
    chosen = st.multiselect("Images to learn from", list(titles), key=key, format_func=titles.get, placeholder=many)
    config = _settings()
    plans = [(one, _planned(one, config)) for one in chosen]
    _expect(plans, config)
    if button("Train students", "school", f"{PAGE}/start", type="primary", disabled=not plans):
        with errors.shown():
            for source, experiment in plans:
                jobs.start(experiment, kind="evaluate", source=source)
        st.rerun()
    first = next(iter(titles))
    for source, experiment in plans or [(first, _planned(first, config))]:
        controls.command(command_for(experiment, kind="evaluate", source=source))
    return config


def _settings() -> EvaluateConfig:
    specs = {name: controls.spec_of(EvaluateConfig, name) for name in _OWN}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key, look = f"{PAGE}/recipe", {"wrap": True, "on_change": _other_recipe, "help": specs["recipe"].help}
        recipe = controls.choice("Recipe", RECIPE_TITLES, key, default="delt", segmented=True, **look)
        plain_config = EvaluateConfig.for_recipe(recipe)
        full = plain_config.epochs
        has_gpu = not device_lock_name(session().draft.device).startswith("cpu")
        fewer = f"The recipe has {full:,}; fewer is told beside every result."
        epochs = controls.setting(specs["epochs"], full if has_gpu else full // _SHORT, PAGE, width=130, help=fewer)
        look = {"label": "Students", "width": 130, "help": "Each from another seed; the spread is over them."}
        seeds = controls.setting(specs["seeds"], 1, PAGE, **look)
        names, look = ["auto", *NETWORKS], {"width": 200, "help": specs["student"].help}
        student = controls.open_choice("Student network", names, f"{PAGE}/student", "auto", **look)
    values = {"epochs": epochs, "seeds": seeds, "student": student}
    with st.expander("More settings", key=f"{PAGE}/more"):
        # what a rule fills in later stays out: a control has no way to show "not given"
        by_rule = [name for name in EvaluateConfig.model_fields if getattr(plain_config, name) is None]
        names = controls.names_behind_more(EvaluateConfig, (*_OWN, *by_rule, "label_store"))
        values |= controls.settings_grid(plain_config, names, PAGE)
        controls.precision_warning(values["precision"], session().draft.device)
        st.caption("Batch size and learning rate follow the recipe's rules for IPC and student.")
    with errors.shown():
        return EvaluateConfig.for_recipe(recipe, **values)


def _other_recipe() -> None:
    """Let the controls start again from the new recipe; students and seeds stay."""
    stay = {f"{PAGE}/{name}" for name in ("recipe", "sources", "seeds", "student", "start", "more")}
    for key in [key for key in st.session_state if str(key).startswith(f"{PAGE}/") and key not in stay]:
        del st.session_state[key]


def _of_draft(*names: str) -> dict[str, object]:
    return {name: getattr(session().draft, name) for name in names}


def _planned(source: str, config: EvaluateConfig) -> Experiment:
    """Return the experiment of an evaluation, with the data and the device of the session where the run names none."""
    changes = _of_draft("dataset", "image_size", "teacher", "squeeze") if source == REAL else {}
    return evaluation_experiment(find_source(source), config, device=session().draft.device, **changes)


def _expect(plans: Sequence[tuple[str, Experiment]], config: EvaluateConfig) -> None:
    """Say how long it will take where a rate is known, and that the recipe is shortened."""
    if config.is_shortened:
        full = EvaluateConfig.for_recipe(config.recipe).epochs
        st.badge(f"shortened: {config.epochs:,} of {full:,} epochs", icon=":material/content_cut:", color="orange")
    times = [data.expected(source, experiment) for source, experiment in plans]
    if times and all(times):
        seconds = sum(time for time, _ in times)
        st.caption(f"About {duration(seconds)} for {plural(len(plans), 'set')} of images. {plain(times[0][1])}")
    elif times:
        st.caption("How long this takes is not known yet: the first finished evaluation of this student tells.")


def draw_comparison(config: EvaluateConfig) -> None:
    """Draw the choice of methods and the button that queues the recovery and the students of each of them."""
    draft = session().draft
    recover = draft.recover
    rounds = "each method's own MI and RI"
    if recover.iterations:
        rounds = f"{rounds_text(recover, ' and ')} as planned on Recover"
    st.markdown(
        f"Recovers and trains for each method on **{plain(short_name(draft.dataset))}** at **IPC {recover.ipc}**, with "
        f"{rounds}, and the recipe above. What was made before with the very same settings is taken as it is."
    )
    key = "accuracy/methods"
    now = prime(key, list(USUAL))
    chosen = st.pills("Methods", METHODS, default=now, selection_mode="multi", key=key, format_func=METHOD_TITLES.get)
    if button("Compare methods", "compare_arrows", "accuracy/compare", disabled=not chosen):
        with errors.shown():
            queued = sum(_queue(method, config) for method in chosen)
        st.toast(f"{plural(queued, 'run')} queued.")
        st.rerun()
    controls.command(compare_command(draft.replace(evaluate=config), chosen or USUAL))


def _queue(method: str, config: EvaluateConfig) -> int:
    """Queue what a method needs and has not yet, and return how many runs that is; a recovery before its students."""
    draft = session().draft
    shared = _of_draft("dataset", "image_size", "teacher", "classes", "seed", "squeeze", "device")
    if method == REAL:
        start_evaluation(REAL, config, **shared)
        return 1
    recover = {"ipc": draft.recover.ipc}
    if METHOD_SETTINGS[method].get("iterations") != 0 and draft.recover.iterations:
        recover |= {"iterations": draft.recover.iterations, "round_iterations": draft.recover.round_iterations}
    size = image_size_of(draft.dataset, draft.image_size)
    experiment = Experiment.for_method(method, size=size, recover=recover, **shared)
    made = _made(experiment)
    start_evaluation(made or jobs.start(experiment), config, device=draft.device)
    return 1 if made else 2


def _made(experiment: Experiment) -> Run | None:
    """Return the newest run with the very same settings, data and teacher that is finished, or on its way."""
    if not cached.is_at_hand(experiment.dataset):
        return None
    fingerprint, teacher = cached.dataset(experiment.dataset, experiment.image_size).fingerprint, None
    with contextlib.suppress(DeltError):  # a checkpoint that does not say what it is goes by its file
        teacher = cached.planned_teacher(experiment).fingerprint
    runs = (run for run in [*cached.runs(), *cached.examples()] if run.status in ("finished", "running", "queued"))
    same = (run for run in runs if is_same(run, experiment, "recover", dataset=fingerprint, teacher=teacher))
    return next(same, None)
