"""Applications: what a distilled set does besides training students; pruning, and continual learning."""

from __future__ import annotations

import streamlit as st

from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.prunings import PRUNINGS
from pages.shared import controls, errors, live
from pages.shared.applications import answers, continual_form, continual_results, pruning_form, pruning_results

SHOWN = {"pruning": "Pruning", "continual": "Continual learning"}


def draw_pruning() -> None:
    """Draw what changes while a pruning is at work."""
    if found := answers.all_found(PRUNINGS):
        pruning_results.draw(found)
    else:
        st.info("Nothing was pruned here yet. Choose images below and press Prune.")
    st.subheader("Prune a network")
    pruning_form.draw()


def draw_continual() -> None:
    """Draw what changes while classes are learned."""
    if found := answers.all_found(CONTINUALS):
        continual_results.draw(found)
    else:
        st.info("No classes were learned step by step here yet. Choose images below and press Learn step by step.")
    st.subheader("Learn classes step by step")
    continual_form.draw()


st.title("Applications")
shown = controls.linked_choice("of-kind", "Application", SHOWN, "applications/kind", segmented=True)
if shown == "pruning":
    st.write(
        "Data-free pruning: a network is trained on real data, then half of its channels are cut with nothing but the "
        "images of a distilled set at hand. Train on them with small BatchNorm scales, cut the smallest, fine-tune "
        "(DELT Sec. 4.6, Table 7; network slimming, Liu et al. 2017)."
    )
else:
    st.write(
        "Class-incremental learning: classes come in steps, and the distilled images of the classes seen are the only "
        "memory. After each step a new student is trained on the memory and tested on the classes seen so far "
        "(DELT Sec. 4.7, Fig. 8; CDA Fig. 7, Tables 14 and 15)."
    )
with errors.shown():
    if shown == "pruning":
        live.follow(lambda: pruning_form.work().is_running, draw_pruning, 2.0)
    else:
        live.follow(lambda: continual_form.work().is_running, draw_continual, 2.0)
