"""The figures and the table of the diversity page."""

from __future__ import annotations

import streamlit as st

from delt_engine.analysis.diversity_store import comparable
from delt_engine.plots import diversity
from delt_engine.runs.tables import Column
from pages.shared import address, figure
from pages.shared.accuracy import result_table
from pages.shared.diversity.data import Sets

TABS = {"classes": "By class", "images": "By image", "groups": "Early and late"}
COLUMNS = (
    Column("label", "Images"),
    Column("ipc", "IPC", 0),
    Column("cosine_similarity", "Cosine to centroid", 3, "spread"),
    Column("pairwise_similarity", "Cosine of pairs", 3),
    Column("early", "Early half", 3),
    Column("late", "Late half", 3),
    Column("early_iterations", "Iterations, early half"),
    Column("late_iterations", "Iterations, late half"),
    Column("source", "Run"),
)


def draw(sets: Sets) -> None:
    """Draw the figure the reader chose, and the table."""
    key = "diversity/figure"
    address.restore("figure", key, address.member(list(TABS)))
    st.session_state.setdefault(key, "classes")
    shown = st.segmented_control(
        "Figure", list(TABS), key=key, format_func=TABS.get, required=True, label_visibility="collapsed"
    )
    address.publish("figure", key, "" if shown == "classes" else shown)
    if not comparable([one.result for one in sets.shown]):
        st.warning(
            "These runs have other teachers or other classes, so their numbers do not stand side by side; the "
            "second network and the pixels are the same for all runs with the same classes."
        )
    {"classes": _classes, "images": _images, "groups": _groups}[shown](sets)
    _table(sets)


def _classes(sets: Sets) -> None:
    figure.draw(diversity.class_curves(sets.shown, sets.axis), "diversity/classes")
    st.caption(
        "Mean cosine of each image to the centroid of its class, a mark a class, most alike first, as in "
        "DELT's Fig. 2. Lower is more diverse. Real images are dashed, at the same number a class."
    )


def _images(sets: Sets) -> None:
    figure.draw(diversity.distribution(sets.shown, sets.axis), "diversity/images")
    st.caption("Each tick is an image; the box holds the middle half, its line is the median, dashed the mean.")


def _groups(sets: Sets) -> None:
    if not any(one.result.early_late for one in sets.shown):
        st.info(
            "None of these runs has rounds with two images or more in each half, so there is no early and no late "
            "half to compare."
        )
        return
    figure.draw(diversity.early_and_late(sets.shown, sets.axis), "diversity/groups")
    st.caption(
        "Images in the order of joining, halved: the early half gets more iterations than the late one, as the "
        "words say. Each half against its own centroid."
    )


def _table(sets: Sets) -> None:
    st.subheader("Table")
    rows = [
        one.result.summary()
        | {"label": one.label, "early_iterations": one.early_words or None, "late_iterations": one.late_words or None}
        for one in sets.shown
    ]
    columns = [column for column in COLUMNS if any(row.get(column.name) is not None for row in rows)]
    result = sets.shown[0].result
    note = (
        f"{result.images} images per class of {result.dataset}, compared in {sets.axis}. "
        "Real images: mean of seeded draws, ± over them."
    )
    name = f"diversity-{result.dataset}-ipc{result.images}-{sets.space}"
    result_table.draw(rows, columns, "diversity", name, note)
