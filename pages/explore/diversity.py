"""Diversity: how alike the images of a class are, of every method and beside real images."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.analysis.diversity_store import ALONE
from delt_engine.runs.store import Run
from pages.shared import cached, errors, nav
from pages.shared.diversity import data, embedding, views
from pages.shared.diversity.data import SPACES
from pages.shared.runs import subject
from pages.shared.wording import plain


def _show(runs: Sequence[Run]) -> None:
    named = subject.recovery_of(subject.named_run())
    if named is not None and named not in runs:
        st.info(plain(f"{subject.words(named)}, is {named.status}; its images are compared when it is finished."))
    chosen, space = data.choose(runs, next((run for run in (named, subject.newest_finished()) if run in runs), None))
    network = data.network_of(chosen[0], space)
    st.caption(f"Compared in {SPACES[space]}" + (f" Here: {plain(network)}." if network else ""))
    if chosen[0].experiment.recover.ipc < 2:
        st.info(ALONE, icon=":material/info:")
        return
    sets = data.gather(chosen, space)
    views.draw_missing(sets)
    for words in data.not_neutral_words(chosen, space):
        st.warning(plain(words), icon=":material/balance:")
    if sets.shown:
        views.draw(sets)
    elif not sets.refusal:
        st.caption("Figures and the table appear here when something is measured.")
    if not sets.refusal:
        embedding.draw(sets)


st.title("Diversity")
st.write(
    "A class of images teaches more when they differ. The cosine similarity of each image to the centroid of its "
    "class tells how alike they are: 1 is identical, lower is more diverse."
)
with errors.shown():
    found = [run for run in cached.recoveries(examples_first=True, finished=True) if run.record().teacher]
    if found:
        _show(found)
    else:
        st.info(
            "There is no finished run yet. Start one, and how alike its images are can be measured here.",
            icon=":material/scatter_plot:",
        )
        nav.link("start/home", "Start a run")
