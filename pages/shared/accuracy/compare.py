"""Compare methods: one button that queues the recovery and the students of every method on the planned data and IPC."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence

import streamlit as st

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.config.methods import METHOD_SETTINGS, METHOD_TITLES
from delt_engine.jobs import start as jobs
from delt_engine.jobs.evaluations import start_evaluation
from delt_engine.jobs.reuse import is_same
from delt_engine.runs.command import compare_command, image_size_of
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from pages.shared import cached, errors
from pages.shared.session import prime, session
from pages.shared.wording import count, plain, plural, short_name

METHODS = (*METHOD_SETTINGS, REAL)
USUAL = ("sre2l", "cda", "rded", "delt", "random")
KEY = "accuracy/methods"


def draw(config: EvaluateConfig) -> None:
    """Draw the choice of methods and the button that queues them; ``config`` is how their students are trained."""
    draft = session().draft
    recover = draft.recover
    rounds = f"MI {count(recover.iterations)} and RI {count(recover.round_iterations)} as planned on Recover"
    rounds = rounds if recover.iterations else "each method's own MI and RI"
    st.markdown(
        f"Recovers and trains for each method on **{plain(short_name(draft.dataset))}** at **IPC {recover.ipc}**, with "
        f"{rounds}, and the recipe above. What was made before with the very same settings is taken as it is."
    )
    now = prime(KEY, list(USUAL))
    chosen = st.pills("Methods", METHODS, default=now, selection_mode="multi", key=KEY, format_func=METHOD_TITLES.get)
    if st.button("Compare methods", icon=":material/compare_arrows:", key="accuracy/compare", disabled=not chosen):
        with errors.shown():
            queued = start(chosen, config)
        st.toast(f"{plural(queued, 'run')} queued.")
        st.rerun()
    st.code(shlex.join(words(chosen or USUAL, config)), language="bash", wrap_lines=True)


def planned(method: str) -> Experiment:
    """Return the recovery of a method on the planned data, IPC, MI and RI."""
    draft = session().draft
    recover = {"ipc": draft.recover.ipc}
    if METHOD_SETTINGS[method].get("iterations") != 0 and draft.recover.iterations:
        recover |= {"iterations": draft.recover.iterations, "round_iterations": draft.recover.round_iterations}
    return Experiment.for_method(
        method,
        size=image_size_of(draft.dataset, draft.image_size),
        recover=recover,
        dataset=draft.dataset,
        image_size=draft.image_size,
        teacher=draft.teacher,
        classes=draft.classes,
        seed=draft.seed,
        device=draft.device,
        squeeze=draft.squeeze,
    )


def start(methods: Sequence[str], config: EvaluateConfig) -> int:
    """Queue what is not there yet and return how many runs that is; each recovery comes before its students."""
    draft, queued = session().draft, 0
    for method in methods:
        if method == REAL:
            start_evaluation(
                REAL,
                config,
                dataset=draft.dataset,
                image_size=draft.image_size,
                teacher=draft.teacher,
                classes=draft.classes,
                seed=draft.seed,
                squeeze=draft.squeeze,
                device=draft.device,
            )
            queued += 1
            continue
        run = _made(planned(method))
        if run is None:
            run, queued = jobs.start(planned(method)), queued + 1
        start_evaluation(run, config, device=draft.device)
        queued += 1
    return queued


def _made(experiment: Experiment) -> Run | None:
    """Return the newest run with the very same settings, data and teacher that is finished, or on its way."""
    if not cached.is_at_hand(experiment.dataset):
        return None
    data, teacher = cached.dataset(experiment.dataset, experiment.image_size).fingerprint, None
    with contextlib.suppress(errors.DeltError):  # a checkpoint that does not say what it is goes by its file
        teacher = cached.planned_teacher(experiment).fingerprint
    same = (
        run
        for run in [*cached.runs(), *cached.examples()]
        if is_same(run, experiment, "recover", dataset=data, teacher=teacher)
    )
    return next((run for run in same if run.status in ("finished", "running", "queued")), None)


def words(methods: Sequence[str], config: EvaluateConfig) -> list[str]:
    """Return the command that does the same."""
    return compare_command(session().draft.replace(evaluate=config), methods)
