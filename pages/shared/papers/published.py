"""You and the paper: measured accuracies beside published ones of the same cell, and the settings that differ."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.catalogue import find_entry
from delt_engine.jobs.evaluations import Evaluation
from delt_engine.papers.published import PublishedValue, all_published, published, published_like, settings_that_differ
from delt_engine.plots import students as student_plots
from delt_engine.plots.accuracy import Score, told
from delt_engine.plots.students import PublishedMark
from pages.shared import figure
from pages.shared.accuracy import data
from pages.shared.accuracy.choices import View
from pages.shared.wording import plain

REFERENCE = ("cifar10", "resnet18")
"""What is offered where the papers print nothing for a dataset: the smallest set of theirs, and its student."""

Row = tuple[Evaluation, Score, tuple[PublishedValue, ...]]


def draw(view: View) -> None:
    """Draw the comparison, or what there is instead."""
    st.subheader("You and the paper")
    rows = _rows(view)
    result = view.evaluations[0].result
    if rows:
        _compare(rows)
        _why(rows)
        return
    if not any(one.dataset == result["dataset"] for one in all_published()):
        st.info(
            f"The papers print no accuracies for {plain(result['dataset_title'])}, so there is nothing to hold "
            "these against.",
            icon=":material/menu_book:",
        )
        _elsewhere(view)
        return
    own = [one for one in all_published() if one.dataset == result["dataset"] and one.metric == "top1" and one.is_main]
    students = ", ".join(sorted({one.student for one in own if one.student}))
    ipcs = ", ".join(map(str, sorted({one.ipc for one in own if one.ipc})))
    st.info(
        f"The papers print no accuracies for {plain(result['dataset_title'])} with the student "
        f"{plain(result['student'])} at these images per class and on these {len(result['class_names']):,} "
        f"classes; they do for all classes with {plain(students)} at IPC {ipcs}.",
        icon=":material/menu_book:",
    )


def _rows(view: View) -> list[Row]:
    found = []
    for one in view.sets:
        result = one.result
        values = published_like(result)
        score = data.score(one, view.label(one), view.kind)
        if values and score is not None:
            found.append((one, score, values))
    return found


def _compare(rows: list[Row]) -> None:
    marks = [
        (score, [PublishedMark(value.value, value.std, _origin(value)) for value in values])
        for _, score, values in rows
    ]
    figure.draw(student_plots.against_published(marks), "accuracy/papers")
    table = [
        {
            "Method": score.label,
            "IPC": score.ipc,
            "Measured here": told(score),
            "Published": _printed(value),
            "Gap, points": score.value - value.value,
            "From": _origin(value),
        }
        for _, score, values in rows
        for value in values
    ]
    st.dataframe(
        table,
        hide_index=True,
        key="accuracy/gaps",
        column_config={"Gap, points": st.column_config.NumberColumn(format="%+.1f", help="Measured less published.")},
    )
    st.caption("Filled: measured on this installation. Open: printed in the papers, not measured here.")


def _why(rows: list[Row]) -> None:
    ids = [one.run.id for one, _, _ in rows]
    names = {one.run.id: f"{score.label}, IPC {score.ipc:,}" for one, score, _ in rows}
    key = "accuracy/paper"
    if st.session_state.get(key) not in ids:
        st.session_state[key] = ids[0]
    chosen = st.selectbox("Settings that differ from the paper's", ids, key=key, format_func=names.get, width=320)
    result = next(one.result for one, _, _ in rows if one.run.id == chosen)
    differing = settings_that_differ(result)
    if not differing:
        st.caption("None of the settings that the paper and its code tell.")
        return
    table = [{"Setting": one.name, "Here": one.here, "Published": one.published} for one in differing]
    st.dataframe(table, hide_index=True, key="accuracy/differences")


def _elsewhere(view: View) -> None:
    """Offer what the papers print for another dataset, plainly as that."""
    dataset, student = REFERENCE
    entry = find_entry(dataset)
    title = entry.title if entry else dataset
    ipcs = sorted({data.ipc_of(one) for one in view.sets})
    values = [one for ipc in ipcs for one in published(dataset, ipc, student)]
    if not values:
        return
    with st.expander(f"For orientation only: what the papers print for {title}"):
        table = [
            {"Method": one.method_title, "IPC": one.ipc, f"{title}, published": _printed(one), "From": _origin(one)}
            for one in values
        ]
        st.dataframe(table, hide_index=True, key="accuracy/elsewhere")
        st.caption(
            f"Other images, {title} at 32 px with {student} as teacher and student and 300 epochs. The order of "
            "methods may be compared with the one above, the numbers may not."
        )


def _printed(value: PublishedValue) -> str:
    return f"{value.value:.1f}" + (f" ± {value.std:.1f}" if value.std is not None else "") + " %"


def _origin(value: PublishedValue) -> str:
    teacher = f", images made with {value.teacher}" if value.teacher else ""
    return f"{value.where}{teacher}"
