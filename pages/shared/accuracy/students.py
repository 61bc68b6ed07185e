"""Which networks are trained and which one labels; the same stored labels for all students of a set of images."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import streamlit as st

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.errors import DataError
from delt_engine.jobs.label_stores import KnownStore, misfit, needed
from delt_engine.models.networks import NETWORKS
from delt_engine.runs.sources import find_source
from pages.shared import cached, controls
from pages.shared.accuracy.labels import Plan
from pages.shared.session import prime
from pages.shared.teachers import others
from pages.shared.wording import plain

KEY = "accuracy/train/students"


def choose() -> list[str]:
    """Draw the choice of one or several networks, of which each is trained on every set of images; never empty."""
    spec, offered = controls.spec_of(EvaluateConfig, "student"), ["auto", *NETWORKS]
    now = prime(KEY, ["auto"])
    what = f"{spec.help} Of several each is trained, a run each, with the same labels."
    look = {"key": KEY, "accept_new_options": True, "help": what, "placeholder": "auto", "width": 260}
    return st.multiselect("Student networks", list(dict.fromkeys([*offered, *now])), now, **look) or ["auto"]


def choose_relabeller(page: str, now: str, sources: Sequence[str], planned: Experiment) -> str:
    """Draw the choice of the network that labels, among those that know the classes of the first set of images."""
    spec, run = controls.spec_of(EvaluateConfig, "relabeller"), find_source(sources[0]).run if sources else None
    if run is not None and run.classes:
        known, size = [run.class_names[number] for number in run.classes], run.image_size
    else:
        card = cached.found_teacher(planned)
        known, size = (list(card.class_names), card.image_size) if card else ([], None)
    look = {"help": controls.help_text(spec)}
    return others.choose(spec.title, f"{page}/relabeller", now, known, size, "the teacher", **look)


def with_stores(plans: Sequence[Plan], stored: Sequence[Plan]) -> tuple[list[Plan], bool]:
    """Return the plans of all students with the stores chosen for the first one, and whether those fit all of them.

    A store is for batches of one size, which a rule may set for a network by itself; that is said.
    """
    stores = {source: experiment.evaluate.label_store for source, experiment in stored}
    made, fits = [], True
    for source, experiment in plans:
        evaluate = experiment.evaluate.replace(labels="stored", label_store=stores[source])
        own = experiment.replace(evaluate=evaluate)
        made.append((source, own))
        wanted, reason = needed(own, find_source(source)), ""
        with contextlib.suppress(DataError):  # none is there yet, which was said of the first student
            reason = misfit(KnownStore.open(stores[source]), wanted) if wanted else ""
        if reason:
            fits = False
            st.caption(f":red[The labels do not fit {plain(evaluate.student)}: {plain(reason)}.]")
    return made, fits
