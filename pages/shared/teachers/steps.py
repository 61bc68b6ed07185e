"""The way from images to a small training set: what of it is done for a dataset, and one button for what is next."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from delt_engine.data.dataset import Dataset
from delt_engine.models.card import TeacherCard
from delt_engine.runs.store import Run
from pages.shared import cached, nav
from pages.shared.controls import button
from pages.shared.runs import download
from pages.shared.session import session
from pages.shared.teachers import training

PAGE = "data"


@dataclass(frozen=True)
class Standing:
    """How far the chosen dataset is: its teacher, whether that ranked, the newest run, the newest students of it."""

    teacher: TeacherCard | None
    is_ranked: bool = False
    run: Run | None = None
    students: Run | None = None


def standing(data: Dataset, card: TeacherCard | None) -> Standing:
    """Return how far the chosen dataset is."""
    draft = session().draft
    if card is None:
        return Standing(None)
    is_ranked = cached.ranking(data.fingerprint, card.fingerprint, draft.rank, draft.seed) is not None
    run = cached.newest("recover", lambda one: one.experiment.dataset == draft.dataset and one.status == "finished")
    students = run and cached.newest("evaluate", lambda one: one.record().source == run.id)
    return Standing(card, is_ranked or run is not None, run, students)


def draw(now: Standing) -> None:
    """Draw the steps in a line, and the button for the next one at its end."""
    accuracy = now.teacher and (now.teacher.accuracy or None)
    top1 = now.students and now.students.record().result.get("top1_last")
    steps = (
        ("Images", True),
        (f"Teacher {accuracy:.1f} %" if accuracy else "Teacher", now.teacher is not None),
        ("Patches ranked", now.is_ranked),
        ("Synthetic images", now.run is not None),
        (f"Students {top1:.1f} %" if top1 is not None else "Students", top1 is not None),
    )
    next_step = next((at for at, (_, is_done) in enumerate(steps) if not is_done), len(steps))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"{PAGE}/steps"):
        for at, (title, is_done) in enumerate(steps):
            icon = "check" if is_done else "arrow_forward" if at == next_step else "radio_button_unchecked"
            st.badge(
                title, icon=f":material/{icon}:", color="green" if is_done else "blue" if at == next_step else "gray"
            )
        st.space("stretch")
        _next(now)


def _next(now: Standing) -> None:
    look, key = {"type": "primary"}, f"{PAGE}/next"
    if now.teacher is None:
        if not training.is_at_work():
            training.small_button()
    elif not now.is_ranked:
        if button("Next: rank the patches", "arrow_forward", key, **look):
            nav.go("distill/patches")
    elif now.run is None:
        if button("Next: choose patches", "arrow_forward", key, **look):
            nav.go("distill/patches")
    elif now.students is None:
        download.button(now.run, f"{PAGE}/download")
        if button("Next: train students", "arrow_forward", key, **look):
            nav.go("explore/accuracy", run=now.run.id)
    else:
        if button("Accuracy", "leaderboard", key):
            nav.go("explore/accuracy", run=now.run.id)
        download.button(now.run, f"{PAGE}/download", **look)
