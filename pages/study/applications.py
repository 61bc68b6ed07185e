"""Applications: what a distilled set does besides training students; a trained network is pruned on it."""

from __future__ import annotations

import streamlit as st

from pages.shared import errors, live
from pages.shared.applications import form, results


def draw() -> None:
    """Draw what changes while a pruning is at work."""
    found = results.all_found()
    if found:
        results.draw(found)
    else:
        st.info("Nothing was pruned here yet. Choose images below and press Prune.")
    st.subheader("Prune a network")
    form.draw()


st.title("Applications")
st.write(
    "Data-free pruning: a network is trained on real data, then half of its channels are cut with nothing but the "
    "images of a distilled set at hand. Train on them with small BatchNorm scales, cut the smallest, fine-tune "
    "(DELT Sec. 4.6, Table 7; network slimming, Liu et al. 2017)."
)
with errors.shown():
    live.follow(lambda: form.work().is_running, draw, 2.0)
