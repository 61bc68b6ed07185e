"""Label-robust and augmentation-robust scores of one evaluated set, and what is missing for them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.analysis.scores import RobustScore, augmentation_robust_score, label_robust_score
from delt_engine.jobs.evaluations import Evaluation
from pages.shared.accuracy import data
from pages.shared.accuracy.choices import View
from pages.shared.wording import plain

_WORDS = {
    "LRS": (
        "Label-robust score",
        "High when the images themselves teach: with hard labels the set comes near the "
        "whole real set, and it beats as many random real images under its own training.",
    ),
    "ARS": ("Augmentation-robust score", "High when the set beats random real images with augmentation and without."),
}
KEY = "accuracy/scored"


def draw(view: View, evaluations: Sequence[Evaluation]) -> None:
    """Draw both scores of a chosen set; ``evaluations`` are all there are, since they need other recipes too."""
    sets = [one for one in view.sets if one.result["method"] != "random" and one.result["labels"] != "hard"]
    if not sets:
        return
    with st.expander("Robust scores (DD-Ranking's LRS and ARS)"):
        ids = [one.run.id for one in sets]
        names = {one.run.id: f"{view.label(one)}, IPC {data.ipc_of(one):,}" for one in sets}
        if st.session_state.get(KEY) not in ids:
            st.session_state[KEY] = ids[-1]
        chosen = st.selectbox("Set", ids, key=KEY, format_func=names.get, width=320)
        base = next(one.result for one in sets if one.run.id == chosen)
        others = [one.result for one in evaluations]
        accuracy = "top1_best" if view.kind == "best" else "top1_last"
        for found in (label_robust_score(base, others, accuracy), augmentation_robust_score(base, others, accuracy)):
            _score(found, accuracy)
        st.caption(
            "From the evaluations here, in DD-Ranking's formulas with w = 0.5: between 0 and 1, 0.269 is no "
            "better than random. Rates and epochs are this recipe's: compare with each other only."
        )


def _score(score: RobustScore, accuracy: str) -> None:
    title, meaning = _WORDS[score.name]
    left, right = st.columns([1, 3])
    with left:
        st.metric(f"{title} ({score.name})", "–" if score.value is None else f"{score.value:.3f}", help=meaning)
        for name, share in score.parts.items():
            st.caption(f"{name}: {100 * share:+.1f} points")
    with right:
        for one in score.inputs:
            if one.found is None:
                st.markdown(f":material/radio_button_unchecked: {plain(one.title)}: not evaluated yet")
                st.code(one.command, language="bash", wrap_lines=True)
            else:
                st.markdown(f":material/check_circle: {plain(one.title)}: {one.found[accuracy]:.1f} %")
