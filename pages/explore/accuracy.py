"""Accuracy: what students learn from each set of images, measured here, and beside what the papers print."""

from __future__ import annotations

import streamlit as st

from delt_engine.jobs.evaluations import Evaluation, evaluations
from delt_engine.runs.store import Run
from pages.shared import cached, errors, nav
from pages.shared.accuracy import choices, comparison, data, figures, form, live, over_mi, switches, way_on
from pages.shared.papers import published
from pages.shared.runs import subject


def compare(found: list[Evaluation], run: Run | None, *, is_named: bool) -> str:
    """Draw the comparison of finished evaluations and return its dataset."""
    view = choices.choose(found, run)
    way_on.draw(view, run, found, is_named=is_named)
    badges = dict.fromkeys(filter(None, map(data.shortened, view.evaluations)))
    for words in badges:
        st.badge(words, icon=":material/content_cut:", color="orange")
    figures.draw(view)
    figures.draw_table(view)
    published.draw(view)
    figures.draw_scores(view, found)
    switches.draw(view.setup.dataset)
    over_mi.draw(view.setup.dataset)
    return view.setup.dataset


st.title("Accuracy")
st.write(
    "A distilled set is worth what a student learns from it. Only evaluations on the same test images stand side by "
    "side, of one recipe or each of its method's own."
)
with errors.shown():
    named = subject.named_run()
    about = subject.recovery_of(named) or subject.newest_finished()
    live.draw(named.id if named else "")
    finished = evaluations([*cached.runs(), *cached.examples()])
    if finished:
        shown = compare(finished, about, is_named=named is not None)
    else:
        shown = ""
        st.info(
            "No students have been trained yet. Choose a finished run below, or compare all methods at once.",
            icon=":material/school:",
        )
        if not cached.recoveries(finished=True):
            st.caption("There is no finished run either: the real training set can be learned from, or start a run.")
            nav.link("distill/recover", "Plan a run")
    st.subheader("Train students")
    st.write("Students are trained from scratch on the chosen images and tested on the real test images.")
    configs = form.draw(shown, about if named else None)
    with st.expander("Compare methods: recover and train for several at once", expanded=not finished):
        comparison.draw(configs)
