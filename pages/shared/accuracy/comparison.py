"""Several methods at once, from the recovery on: what each still needs is queued, what is there is taken."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import streamlit as st

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.config.methods import METHOD_SETTINGS, METHOD_TITLES
from delt_engine.errors import DeltError
from delt_engine.jobs import start as jobs
from delt_engine.jobs.evaluations import start_evaluation
from delt_engine.jobs.start import is_same
from delt_engine.runs.command import compare_command
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from pages.shared import basis, cached, controls, errors
from pages.shared.controls import button
from pages.shared.session import prime, session
from pages.shared.wording import plain, plural, rounds_text, short_name

METHODS = (*METHOD_SETTINGS, REAL)
USUAL = ("sre2l", "cda", "rded", "delt", "random")
_SHARED = ("dataset", "image_size", "resize", "teacher", "ranker", "classes", "seed", "squeeze", "device")


def draw(configs: Sequence[EvaluateConfig]) -> None:
    """Draw the choice of methods and the button that queues the recovery and the students of each of them.

    ``configs`` are how each of the students is trained.
    """
    draft = session().draft
    basis.draw("accuracy/basis")
    recover, typed = draft.recover, basis.typed(draft)
    rounds = "each method's own MI and RI"
    if "iterations" in typed:
        rounds = f"{rounds_text(recover, ' and ')} as planned on Recover"
    st.markdown(
        f"Recovers and trains for each method on **{plain(short_name(draft.dataset))}** at **IPC {recover.ipc}**, with "
        f"{rounds}, and the recipe above. Methods that start from patches take those chosen on Patches. What was made "
        "before with the very same settings is taken as it is."
    )
    key = "accuracy/methods"
    now = prime(key, list(USUAL))
    chosen = st.pills("Methods", METHODS, default=now, selection_mode="multi", key=key, format_func=METHOD_TITLES.get)
    off = not chosen or bool(controls.refused("accuracy/train"))
    if button("Compare methods", "compare_arrows", "accuracy/compare", changes=True, disabled=off):
        with errors.shown():
            queued = sum(queue(method, draft, config) for method in chosen for config in configs)
        st.toast(f"{plural(queued, 'run')} queued.")
        st.rerun()
    names = [config.student for config in configs] if len(configs) > 1 else []
    controls.command(compare_command(draft.replace(evaluate=configs[0]), chosen or USUAL, basis.chosen(), typed, names))


def queue(method: str, base: Experiment, config: EvaluateConfig) -> int:
    """Queue what a method needs and has not yet, and return how many runs that is; a recovery before its students.

    ``base`` says data, teacher, images per class and patches, and the other settings as far as they are shared.
    """
    if method == REAL:
        start_evaluation(REAL, config, **{name: getattr(base, name) for name in _SHARED})
        return 1
    experiment = basis.of_method(method, base)
    found = made(experiment)
    start_evaluation(found or jobs.start(experiment), config, device=base.device)
    return 1 if found else 2


def made(experiment: Experiment) -> Run | None:
    """Return the newest run with the very same settings, data and teacher that is finished, or on its way."""
    if not cached.is_at_hand(experiment.dataset):
        return None
    fingerprint, teacher = cached.dataset_of(experiment).fingerprint, None
    with contextlib.suppress(DeltError):  # a checkpoint that does not say what it is goes by its file
        teacher = cached.planned_teacher(experiment).fingerprint
    return same(experiment, fingerprint, teacher)


def same(experiment: Experiment, dataset: str, teacher: str | None) -> Run | None:
    """Return the run of :func:`made` for the fingerprints of data and teacher."""
    runs = (run for run in [*cached.runs(), *cached.examples()] if run.status in ("finished", "running", "queued"))
    return next((run for run in runs if is_same(run, experiment, "recover", dataset=dataset, teacher=teacher)), None)
