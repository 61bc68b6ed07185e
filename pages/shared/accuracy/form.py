"""Train students: on which images, by which recipe and with which labels, and how long that takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from delt_engine.config import EvaluateConfig, Experiment, field_specs
from delt_engine.config.doubts import rate_doubt
from delt_engine.config.students import RECIPE_TITLES
from delt_engine.jobs import start as jobs
from delt_engine.jobs.evaluations import evaluation_experiment, for_students
from delt_engine.jobs.label_stores import needed
from delt_engine.jobs.worker import device_lock_name
from delt_engine.papers.presets import find_preset, presets_of
from delt_engine.papers.recipes import PublishedExperiment
from delt_engine.runs.command import command_for
from delt_engine.runs.sources import REAL, find_source
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, nav, paper_presets
from pages.shared.accuracy import data, labels, students
from pages.shared.accuracy.labels import Plan
from pages.shared.controls import button
from pages.shared.runs import subject
from pages.shared.session import session
from pages.shared.wording import duration, long_title, plain, plural, short_name

PAGE = "accuracy/train"
LABELS = {"on-the-fly": "Asked in every step", "stored": "Stored"}
_OWN = ("recipe", "student", "epochs", "seeds")
_SHORT = 5
"""Without a GPU a recipe is offered with a fifth of its epochs."""
_FOR_REAL = ("image_size", "teacher")
"""Settings that a run brings itself, so only the whole real set can be given others."""


def draw(dataset: str = "", named: Run | None = None) -> tuple[EvaluateConfig, ...]:
    """Draw the form and return how each of the students is trained.

    Runs of ``dataset`` are offered first, those whose data is not here last, and ``named``, the run of the address, is
    chosen when it is news.
    """
    known = [run for run in cached.recoveries(finished=True) if not subject.has_one_class(run)]
    if dataset and not cached.is_at_hand(dataset):  # what ships may be of data that is not here
        dataset = session().draft.dataset
    absent = {name for name in {run.experiment.dataset for run in known} if not cached.is_at_hand(name)}
    away = {run.id: run for run in known if run.experiment.dataset in absent}
    runs = sorted(known, key=lambda run: (run.id in away, bool(dataset) and run.experiment.dataset != dataset))
    titles = {run.id: long_title(run) for run in runs}
    titles[REAL] = f"The whole real training set of {short_name(dataset or session().draft.dataset)}"
    chosen = _sources(titles, named, anything=not dataset)
    configs, changes, is_stored = _settings(chosen, dataset)
    plans = [(source, planned(source, config, dataset, **changes)) for config in configs for source in chosen]
    command_of = plans or [(one, planned(one, configs[0], dataset)) for one in list(titles)[:1]]
    is_ready = True
    if is_stored:
        stored, is_ready = labels.draw(plans[: len(chosen)], titles)  # of the first student
        plans, fits = students.with_stores(plans, stored)
        command_of, is_ready = plans or command_of, is_ready and fits
    wrong = controls.refused(PAGE)
    _expect(plans, configs[0])
    if not is_ready:
        st.caption("Training begins when the labels are stored, or a store that fits is chosen.")
    lacking = [away[one] for one in chosen if one in away]
    if lacking:
        title = plain(lacking[0].record().dataset.title)
        st.info(f"{title} is not on this machine, so no student can be tested on it.", icon=":material/info:")
        nav.link("distill/data_and_teachers", "Go to Data and teachers")
    off = not plans or not is_ready or bool(wrong) or bool(lacking)
    if button("Train students", "school", f"{PAGE}/start", type="primary", changes=True, disabled=off):
        with errors.shown():
            for source, experiment in plans:
                jobs.start(experiment, kind="evaluate", source=source)
        st.rerun()
    for source, experiment in command_of:
        controls.command(command_for(experiment, kind="evaluate", source=source))
    return configs


def _sources(titles: dict[str, str], named: Run | None, *, anything: bool) -> list[str]:
    """Draw the choice of images; where nothing is evaluated yet one press trains the first students."""
    key, asked = f"{PAGE}/sources", f"{PAGE}/named"
    if named is not None and named.id in titles and st.session_state.get(asked) != named.id:
        st.session_state[key] = [named.id]
    st.session_state[asked] = named.id if named else ""
    usual = list(titles)[:1] if anything else []
    st.session_state[key] = [one for one in st.session_state.get(key, usual) or [] if one in titles]
    many = "One or several runs, or the whole real set"
    return st.multiselect("Images to learn from", list(titles), key=key, format_func=titles.get, placeholder=many)


def _settings(chosen: Sequence[str], dataset: str) -> tuple[tuple[EvaluateConfig, ...], dict[str, Any], bool]:
    """Draw the settings; return each student's, those of the experiment beside them, and whether labels are stored."""
    controls.forget_refused(PAGE)
    what, take = "recipe, network and training of the students", partial(_take_preset, chosen)
    preset = paper_presets.choice(PAGE, presets_of("evaluate"), dataset or session().draft.dataset, what, take)
    if preset:
        paper_presets.draw_changes(_published(preset, chosen), ["evaluate"], PAGE)
    specs = {name: controls.spec_of(EvaluateConfig, name) for name in _OWN}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key, look = f"{PAGE}/recipe", {"wrap": True, "on_change": _other_recipe, "help": specs["recipe"].help}
        now = st.session_state.get(key)
        titles = {name: title for name, title in RECIPE_TITLES.items() if "-" not in name or name == now}
        recipe = controls.choice("Recipe", titles, key, default="delt", segmented=True, **look)
        plain_config = EvaluateConfig.for_recipe(recipe)
        full = plain_config.epochs
        has_gpu = not device_lock_name(session().draft.device).startswith("cpu")
        fewer = f"The recipe has {full:,}; fewer is told beside every result."
        epochs = controls.setting(specs["epochs"], full if has_gpu else full // _SHORT, PAGE, width=130, help=fewer)
        look = {"label": "Students", "width": 130, "help": "Each from another seed; the spread is over them."}
        seeds = controls.setting(specs["seeds"], 1, PAGE, **look)
        networks = students.choose()
        is_hard, is_stored = plain_config.labels == "hard", False
        if not is_hard:
            what = "The teacher is asked for every image that is shown, or its answers are stored once and replayed."
            key, look = f"{PAGE}/labels", {"segmented": True, "help": what}
            is_stored = controls.choice("Soft labels", LABELS, key, default="on-the-fly", **look) == "stored"
    values = {"epochs": epochs, "seeds": seeds, "student": networks[0]}
    with st.expander("More settings", key=f"{PAGE}/more"):
        more, changes = _more(EvaluateConfig.for_recipe(recipe, **values), chosen, dataset)
        controls.precision_warning(more["precision"], session().draft.device)
    with errors.shown():
        config = EvaluateConfig.for_recipe(recipe, **values, **more)
        controls.doubt(rate_doubt(config))
        return for_students(config, networks), changes, is_stored


def _more(config: EvaluateConfig, chosen: Sequence[str], dataset: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw what is less usual; return settings of the training and of the experiment, of these only what is given."""
    left_out = {*_OWN, "labels", "label_store", "relabeller"} | ({"loss"} if config.labels == "hard" else set())
    names = controls.names_behind_more(EvaluateConfig, left_out)
    specs = {name: controls.spec_of(EvaluateConfig, name) for name in names}
    if "loss" in specs:  # with classes as labels it is the recipe "Hard labels"
        specs["loss"] = replace(specs["loss"], choices=tuple(one for one in specs["loss"].choices if one != "ce"))
    by_rule = _rules(config, chosen, dataset)
    names.sort(key=lambda name: not specs[name].may_be_open)
    with st.grid(min_column_width=170, vertical_alignment="bottom"):
        values = {}
        for name in names:
            look = {"placeholder": by_rule.get(name, "by rule")} if specs[name].may_be_open else {}
            values[name] = controls.setting(specs[name], getattr(config, name), PAGE, compact=True, **look)
        if config.labels != "hard":
            real = _of_real(dataset)
            values["relabeller"] = students.choose_relabeller(PAGE, config.relabeller, chosen, real)
        seed = replace(controls.spec_of(Experiment, "seed"), may_be_open=True, default=None)
        changes = {"seed": controls.setting(seed, None, PAGE, placeholder="of the run", help="Of the first student.")}
        if REAL in chosen:
            for name, title in zip(_FOR_REAL, ("Image size, real set", "Teacher, real set"), strict=True):
                spec, start = controls.spec_of(Experiment, name), getattr(_of_real(dataset), name)
                look = {"placeholder": "of the dataset"} if spec.may_be_open else {}
                changes[name] = controls.setting(spec, start, PAGE, label=title, **look)
    st.caption(
        "What is empty follows the recipe's rules for images per class and student. A run brings its own image size "
        "and teacher."
    )
    return values, {name: value for name, value in changes.items() if value is not None}


def _rules(config: EvaluateConfig, chosen: Sequence[str], dataset: str) -> dict[str, str]:
    """Return what the rules fill in for the chosen images, where they say the same for all of them."""
    found = [needed(planned(source, config, dataset), find_source(source)) for source in chosen]
    filled = [
        {name: f"{getattr(one.config, name):g}" for name in ("batch_size", "learning_rate")} for one in found if one
    ]
    same = filled[0].items() if filled and all(one == filled[0] for one in filled) else ()
    return {"student_width": "the teacher's"} | {name: f"{value} by rule" for name, value in same}


def _other_recipe() -> None:
    """Let the controls start again from the new recipe; students, labels and seeds stay."""
    stay = {f"{PAGE}/{name}" for name in ("recipe", "sources", "named", "seeds", "students", "labels", "start", "more")}
    for key in [key for key in st.session_state if str(key).startswith(f"{PAGE}/") and key not in stay]:
        del st.session_state[key]


def _published(preset: str, chosen: Sequence[str]) -> PublishedExperiment:
    """Return a paper's experiment at the images per class of the first chosen run, for the network of its teacher."""
    run = next((run for source in chosen if (run := find_source(source).run) is not None), None)
    teacher = run.record().teacher if run else None
    ipc, network = run.experiment.recover.ipc if run else None, teacher.network if teacher else ""
    return find_preset(preset).published(ipc, network=network)


def _take_preset(chosen: Sequence[str]) -> None:
    """Take over a paper's training of students; what it is drawn from stays."""
    key = f"{PAGE}/paper"
    if not (preset := st.session_state[key]):
        return
    _other_recipe()
    config = _published(preset, chosen).experiment.evaluate
    for spec in field_specs(EvaluateConfig):
        if spec.name not in ("label_store", "precision"):
            st.session_state[f"{PAGE}/{spec.name}"] = getattr(config, spec.name)
    st.session_state[students.KEY] = [config.student]
    st.session_state[key] = preset


def _of_real(dataset: str) -> Experiment:
    """Return the data and the teacher of the whole real set: those of the plan, where it is of the same dataset."""
    draft = session().draft
    return draft if dataset in ("", draft.dataset) else Experiment(dataset=dataset)


def planned(source: str, config: EvaluateConfig, dataset: str = "", **changes: Any) -> Experiment:
    """Return the experiment of an evaluation; a run brings its own data and teacher."""
    own = {name: value for name, value in changes.items() if source == REAL or name not in _FOR_REAL}
    if source == REAL:
        real = _of_real(dataset)
        own = {name: getattr(real, name) for name in ("dataset", "image_size", "resize", "teacher", "squeeze")} | own
    return evaluation_experiment(find_source(source), config, device=session().draft.device, **own)


def _expect(plans: Sequence[Plan], config: EvaluateConfig) -> None:
    """Say how long it will take where a rate is known, and that the recipe is shortened."""
    if config.is_shortened:
        full = EvaluateConfig.for_recipe(config.recipe).epochs
        st.badge(f"shortened: {config.epochs:,} of {full:,} epochs", icon=":material/content_cut:", color="orange")
    times = [data.expected(source, experiment) for source, experiment in plans]
    if times and all(times):
        seconds = sum(time for time, _ in times)
        sets = len({source for source, _ in plans})
        each = f", {plural(len(plans) // sets, 'student network')} each" if len(plans) > sets else ""
        st.caption(f"About {duration(seconds)} for {plural(sets, 'set')} of images{each}. {plain(times[0][1])}")
    elif times:
        st.caption("How long this takes is not known yet: the first finished evaluation of this student tells.")
