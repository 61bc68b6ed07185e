"""The way on from a run: its students, and the baselines beside them under the very same recipe, price first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from delt_engine.config import EvaluateConfig, Experiment, RecoverConfig, is_optimised
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.jobs.evaluations import Evaluation, start_evaluation
from delt_engine.papers.method_settings import BASIS_TITLES
from delt_engine.runs.store import Run
from pages.shared import basis, cached, errors
from pages.shared.accuracy import comparison, data
from pages.shared.accuracy.choices import View
from pages.shared.accuracy.data import setup_of
from pages.shared.controls import button
from pages.shared.recover import cost
from pages.shared.runs import subject as subjects
from pages.shared.session import session
from pages.shared.wording import count, duration, plain, plural

BASELINES = ("random", "rded", "sre2l", "cda", "delt")
PLACE = "accuracy/way_on"
_SAME = "The same recipe, epochs, student network and number of students as what is shown. Settings of the images: {}."


def draw(view: View, run: Run | None, evaluations: Sequence[Evaluation], *, is_named: bool) -> None:
    """Draw what is missing beside the run that the page is about, in one line; nothing where nothing is."""
    if run is None:
        return
    mixed = view.setup.recipe == data.OWN_RECIPES  # then a run's baselines have recipes of their own: see Papers
    alike = list(view.evaluations) if mixed else [one for one in evaluations if setup_of(one) == view.setup]
    own = next((one for one in alike if one.source == run.id), None)
    whose = "The run you came from" if is_named else "Your newest run"
    if run.status != "finished":
        st.info(plain(f"{whose}, {subjects.words(run)}, is {run.status}; it can be learned from when it is finished."))
    elif subjects.has_one_class(run):
        st.info(plain(f"{whose}, {subjects.words(run)}, {subjects.ONE_CLASS}"))
    elif own is None:
        _students(view, run, f"{whose}, **{plain(subjects.words(run))}**")
    elif not mixed:
        _baselines(own, run, alike)


def _students(view: View, run: Run, whose: str) -> None:
    """Offer to train on the run as the evaluations that are shown were trained."""
    sets = view.sets or view.evaluations
    model = next((one for one in sets if one.result["method"] == run.experiment.recover.method), sets[-1])
    if data.distance(model, run) == 2:
        _line(f"{whose}, has no students yet: train them below. Nothing else on its data is evaluated either.")
        return
    config = model.run.experiment.evaluate
    if any(one.record().source == run.id for one in _in_training(config)):
        _line(f"Students of {whose[0].lower()}{whose[1:]}, are in training.")
    elif config.labels == "stored":
        _line(f"{whose}, has no students under this recipe yet. It takes stored labels: store and train below.")
    else:
        price = data.expected(run.id, run.experiment.replace(evaluate=config))
        deed = (errors.attempt, PLACE, start_evaluation, run, config)
        words = f"{whose}, has no students under this recipe yet."
        _line(words, "Train the same way", deed, f"About {duration(price[0])}." if price else "")


def _baselines(own: Evaluation, run: Run, alike: Sequence[Evaluation]) -> None:
    """Offer what is not beside the run's students yet."""
    config, ipc = own.run.experiment.evaluate, data.ipc_of(own)
    there = {one.result["method"] for one in alike if data.ipc_of(one) == ipc}
    training = [one.experiment for one in _in_training(config) if one.experiment.dataset == run.experiment.dataset]
    coming = {one.recover.method for one in training if one.recover.ipc == ipc} - there
    missing = [method for method in BASELINES if method not in there | coming]
    said = f" In training: {_titles(sorted(coming))}." if coming else ""
    if missing and config.labels == "stored":
        _line(f"Not beside it under this recipe: {_titles(missing)}. Each needs stored labels of its own: see below.")
    elif missing:
        base = _base(run.experiment)
        deed = (errors.attempt, PLACE, _queue, missing, base, config)
        words = f"**{plain(own.result['method_title'])}** at IPC {ipc:,} has not all its baselines beside it yet: "
        _line(f"{words}{_titles(missing)}.{said}", "Train the baselines", deed, _price(own, run, missing))
    elif coming:
        _line(said.strip())


def _queue(methods: Sequence[str], base: Experiment, config: EvaluateConfig) -> None:
    queued = sum(comparison.queue(method, base, config) for method in methods)
    st.toast(f"{plural(queued, 'run')} queued.")


def _base(experiment: Experiment) -> Experiment:
    """Return the settings that the baselines share; of a run without rounds MI and RI are those of the plan."""
    if experiment.recover.is_optimised:
        return experiment
    mi, ri = session().rounds
    recover = {"ipc": experiment.recover.ipc, "iterations": mi, "round_iterations": ri}
    return experiment.replace(recover=RecoverConfig.for_method("delt", **recover))


def _price(own: Evaluation, run: Run, missing: Sequence[str]) -> str:
    """Return what the baselines take: images to make, then students to train."""
    record, base, students = run.record(), _base(run.experiment), len(own.result["seeds"])
    fingerprints = (record.dataset.fingerprint, record.teacher.fingerprint if record.teacher else None)
    plans = [basis.of_method(method, base) for method in missing]
    new = [plan for plan in plans if comparison.same(plan, *fingerprints) is None]
    iterations = sum(plan.recover.schedule.image_iterations(len(run.classes)) for plan in new)
    times = [cost.expected(plan).seconds for plan in new if is_optimised(plan.recover.method)]
    parts = []
    if new:
        known = f", about {duration(sum(times))}" if times and all(time is not None for time in times) else ""
        parts.append(f"Makes {plural(len(new), 'set')} of images ({count(iterations)} image-iterations{known})")
    training = data.expected(run.id, own.run.experiment)
    known = f", about {duration(training[0] * len(missing))}" if training else ""
    parts.append(f"trains {plural(students * len(missing), 'student')}{known}")
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _in_training(config: EvaluateConfig) -> list[Run]:
    """Return the evaluations with these settings that are at work or wait."""
    known = [run for run in cached.runs() if not run.unreadable and run.record().kind == "evaluate" and run.is_active]
    return [run for run in known if run.experiment.evaluate == config]


def _titles(methods: Sequence[str]) -> str:
    return ", ".join(METHOD_TITLES[method] for method in methods)


def _line(text: str, label: str = "", deed: tuple[Any, ...] = (), price: str = "") -> None:
    with st.container(border=True):
        if label:
            said, action = st.columns([2, 1], vertical_alignment="center")
            how = BASIS_TITLES[basis.chosen()]
            said.markdown(text + (f"  \n:gray[{price}]" if price else ""))
            with action:
                button(label, "school", PLACE, *deed, type="primary", width="stretch", help=_SAME.format(how.lower()))
        else:
            st.markdown(text)
    errors.show_failed(PLACE)
