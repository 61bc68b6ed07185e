"""What to do with a finished run: train students on it, see how alike its images are, set it beside the baselines."""

from __future__ import annotations

from collections.abc import Iterator

import streamlit as st

from delt_engine.config import Experiment
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.jobs import queue
from delt_engine.jobs import start as jobs
from delt_engine.runs.store import Run
from pages.shared import basis, cached, errors, nav
from pages.shared.controls import button
from pages.shared.runs import actions, download, subject
from pages.shared.wording import handle, ordinal, plain

COMPARED = ("delt", "cda", "sre2l")
"""The methods that optimise images by the same loop."""


def draw(run: Run) -> None:
    """Draw the ways on from a finished run."""
    with st.container(horizontal=True, vertical_alignment="center", key="recover/next"):
        st.markdown("**Next**", width="content")
        look = {"help": "On Accuracy, with these images chosen."}
        if subject.has_one_class(run):
            look = {"help": f"This run {subject.ONE_CLASS}", "disabled": True}
        if button("Train students", "school", "recover/students", **look):
            nav.go("explore/accuracy", run=run.id)
        if run.experiment.recover.ipc > 1:
            alike = "On Diversity: the cosine similarity within each class."
            if button("How alike?", "scatter_plot", "recover/alike", help=alike):
                nav.go("explore/diversity", run=run.id)
        actions.open_button(run, "recover")
        download.button(run, f"recover/download/{run.id}")
    if run.experiment.recover.is_optimised:
        _baselines(run)


def _baselines(run: Run) -> None:
    """Draw under which settings other methods stand beside the run, the button that makes them, and those there."""
    with st.container(horizontal=True, vertical_alignment="center", key="recover/beside"):
        st.markdown("**Beside other methods**", width="content")
        basis.draw("recover/basis", label_visibility="collapsed", width="content")
        others = dict(_others(run))
        missing = [method for method, found in others.items() if found is None]
        if missing:
            names = " and ".join(METHOD_TITLES[method] for method in missing)
            what = f"Queues {names} on the data of this run, with its IPC, teacher and seed. {basis.HELP}"
            compare = (errors.attempt, "recover/baselines", _start, run, missing)
            button(f"Compare with {names}", "balance", "recover/baselines", *compare, help=what)
    errors.show_failed("recover/baselines")
    _said(run, [found for found in others.values() if found is not None])


def _said(run: Run, found: list[Run]) -> None:
    """Say where the runs of the other methods are, and lead to all of them beside this one."""
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        titles = {"published": "Under each paper's settings:", "equal": "Under the same settings:"}
        st.caption(titles[basis.chosen()], width="content")
        for other in found:
            place = queue.place(other) if other.status == "queued" else None
            state = f"{ordinal(place)} in the queue" if place else other.status
            nav.link("distill/recover", plain(f"{handle(other)}: {state}"), run=other.id)
        shown = [other.id for other in found if other.classes]
        if shown:
            nav.link("explore/gallery", "Beside this run", run=run.id, vs=",".join(shown[:2]))


def _others(run: Run) -> Iterator[tuple[str, Run | None]]:
    """Yield the other methods that can be compared, each with its run under the settings chosen, if there is one."""
    known = [*cached.runs(), *cached.examples()]
    for method in COMPARED:
        if method != run.experiment.recover.method:
            yield method, _find(run, basis.of_method(method, run.experiment), known)


def _find(run: Run, wanted: Experiment, known: list[Run]) -> Run | None:
    """Return the newest run with these settings on the same data and teacher that is finished or on its way."""
    record, recover = run.record(), wanted.recover
    if record.dataset is None or record.teacher is None:
        return None
    data, teacher = record.dataset.fingerprint, record.teacher.fingerprint
    for other in known:
        if other.unreadable or not (other.is_active or other.status == "finished"):
            continue
        settings = other.experiment.recover
        if settings == recover and jobs.is_same(other, wanted, "recover", dataset=data, teacher=teacher):
            return other
    return None


def _start(run: Run, methods: list[str]) -> None:
    for method in methods:
        jobs.start(basis.of_method(method, run.experiment))
