"""You and the paper: measured accuracies beside published ones of the same cell, and the settings that differ."""

from __future__ import annotations

import streamlit as st

from delt_engine.data.catalogue import find_entry
from delt_engine.jobs.evaluations import Evaluation
from delt_engine.papers.fits import published_like, settings_that_differ
from delt_engine.papers.published import PublishedValue, all_published, printed_with_spread, published
from delt_engine.pipeline.paper_teachers import found_of
from delt_engine.plots.accuracy import PublishedMark, Score, against_published
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
    scores = ((one, data.score(one, view.label(one), view.kind), _printed_for(one)) for one in view.sets)
    rows = [(one, score, values) for one, score, values in scores if score is not None and values]
    if rows:
        _compare(rows)
        _why(view, rows)
        return
    result = view.evaluations[0].result
    title, icon = plain(result["dataset_title"]), ":material/menu_book:"
    printed = [one for one in all_published() if one.dataset == result["dataset"]]
    if not printed:
        st.info(f"The papers print no accuracies for {title}, so none stand beside these.", icon=icon)
        _elsewhere(view)
        return
    own = [one for one in printed if one.metric == "top1" and one.is_main]
    students = ", ".join(sorted({one.student for one in own if one.student}))
    ipcs = ", ".join(map(str, sorted({one.ipc for one in own if one.ipc})))
    st.info(
        f"The papers print no accuracies for {title} with the student {plain(result['student'])} at these images per "
        f"class and on these {len(result['class_names']):,} classes; they do for all classes with {plain(students)} at "
        f"IPC {ipcs}.",
        icon=icon,
    )


def _printed_for(evaluation: Evaluation) -> tuple[PublishedValue, ...]:
    found = found_of(evaluation.run)
    return published_like(found) if found else ()


def _compare(rows: list[Row]) -> None:
    marks = [
        (score, [PublishedMark(value.value, value.std, _origin(value)) for value in values])
        for _, score, values in rows
    ]
    figure.draw(against_published(marks), "accuracy/papers")
    table = [
        {
            "Method": score.label,
            "IPC": score.ipc,
            "Measured here": score.words,
            "Published": _printed(value),
            "Gap, points": score.value - value.value,
            "From": _origin(value),
        }
        for _, score, values in rows
        for value in values
    ]
    gap = st.column_config.NumberColumn(format="%+.1f", help="Measured less published.")
    st.dataframe(table, hide_index=True, key="accuracy/gaps", column_config={"Gap, points": gap})
    st.caption("Filled: measured by the runs here and those that ship. Open: printed in the papers.")


def _why(view: View, rows: list[Row]) -> None:
    compared = [one for one, _, _ in rows]
    key, first = "accuracy/paper", compared[0].run.id
    chosen = found_of(view.pick("Settings that differ from the paper's", compared, key, first, 320).run)
    differing = settings_that_differ(chosen) if chosen else []
    if not differing:
        st.caption("None of the settings that the paper and its code tell.")
        return
    table = [
        {"Setting": one.name, "Here": one.here, "Published": one.published, "From": one.source} for one in differing
    ]
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
    return f"{printed_with_spread(value)} %"


def _origin(value: PublishedValue) -> str:
    teacher = f", images made with {value.teacher}" if value.teacher else ""
    return f"{value.where}{teacher}"
