"""The figures of the accuracy page: bars, epochs, classes, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.jobs.evaluations import Evaluation
from delt_engine.plots import accuracy
from delt_engine.plots.accuracy import CostPoint, Curve, Score
from pages.shared import address, figure
from pages.shared.accuracy import data
from pages.shared.accuracy.choices import View
from pages.shared.accuracy.data import KINDS
from pages.shared.wording import count, plain

TABS = {"bars": "Methods", "epochs": "Over epochs", "classes": "By class", "cost": "Cost and likeness"}
COSTS = {"image_iterations": "Image-iterations", "synthesis_seconds": "Seconds of synthesis"}


def draw(view: View) -> None:
    """Draw the figure the reader chose."""
    key = "accuracy/figure"
    address.restore("figure", key, address.member(list(TABS)))
    st.session_state.setdefault(key, "bars")
    shown = st.segmented_control(
        "Figure", list(TABS), key=key, format_func=TABS.get, required=True, label_visibility="collapsed"
    )
    address.publish("figure", key, "" if shown == "bars" else shown)
    {"bars": bars, "epochs": epochs, "classes": classes, "cost": cost}[shown](view)


def scores(view: View, evaluations: list[Evaluation]) -> list[Score]:
    """Return the accuracies of evaluations, as far as they were measured."""
    found = (data.score(one, view.label(one), view.kind) for one in evaluations)
    return [one for one in found if one is not None]


def bars(view: View) -> None:
    """Draw a bar an evaluation, and the references as lines."""
    random = {one.ipc: one.value for one in scores(view, view.of_method("random"))}
    real = scores(view, view.of_method("real"))
    shown = [one for one in view.sets if one.result["method"] != "random"]
    drawn = accuracy.accuracy_bars(
        scores(view, shown),
        what=f"Accuracy, {'EMA' if view.kind == 'ema' else KINDS[view.kind].lower()}",
        random=random,
        real=real[0].value if real else None,
        chance=view.evaluations[0].result["chance"],
    )
    figure.draw(drawn, "accuracy/bars")
    lacking = [name for name, there in (("random real images", random), ("the whole real set", real)) if not there]
    result = view.evaluations[0].result
    st.caption(
        f"Measured here on {count(result['test_images'])} test images of {plain(result['dataset_title'])}; "
        f"{_students(shown)}." + (f" Not evaluated under this recipe yet: {' and '.join(lacking)}." if lacking else "")
    )


def _students(evaluations: Sequence[Evaluation]) -> str:
    counts = {len(one.result["seeds"]) for one in evaluations}
    if counts == {1}:
        return "one student each (n = 1), so no spread"
    number = f"n = {counts.pop()} each" if len(counts) == 1 else "n is told above each bar"
    return f"mean over students of different seeds, whiskers are their sample standard deviation, {number}"


def epochs(view: View) -> None:
    """Draw accuracy over epochs of every seed."""
    curve = "ema_curve" if view.kind == "ema" else "curve"
    lines = []
    for one in view.evaluations:
        seeds = {student["seed"]: student[curve] for student in one.result["students"] if student[curve]}
        if seeds:
            ipc = "" if one.result["method"] == "real" else f", IPC {data.ipc_of(one):,}"
            lines.append(Curve(f"{view.label(one)}{ipc}", one.result["method"], seeds))
    figure.draw(accuracy.accuracy_curves(lines), "accuracy/epochs")
    st.caption("Each student's accuracy where it was tested; where there are several, the strong line is their mean.")


def classes(view: View) -> None:
    """Draw by how much each class is better known with one evaluation than with another."""
    if len(view.evaluations) < 2:
        st.info("Two evaluations are needed to compare classes.")
        return
    ids = [one.run.id for one in view.evaluations]
    names = {one.run.id: f"{view.label(one)}, IPC {data.ipc_of(one):,}" for one in view.evaluations}
    best = sorted(view.sets or view.evaluations, key=lambda one: -one.result["top1_last"])
    usual = (best[0].run.id, best[min(1, len(best) - 1)].run.id)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pair = []
        for place, label in enumerate(("First", "Second")):
            key = f"accuracy/class_{label.lower()}"
            if st.session_state.get(key) not in ids:
                st.session_state[key] = usual[place]
            pair.append(st.selectbox(label, ids, key=key, format_func=names.get, width=260))
    if pair[0] == pair[1]:
        st.info("Choose two different evaluations.")
        return
    first, second = (next(one for one in view.evaluations if one.run.id == run) for run in pair)
    drawn = accuracy.class_differences(
        first.result["class_names"],
        first.result["per_class"],
        second.result["per_class"],
        (names[pair[0]], names[pair[1]]),
        tuple(accuracy.method_colour(one.result["method"]) for one in (first, second)),
    )
    figure.draw(drawn, "accuracy/classes")
    many = len(first.result["class_names"])
    most = accuracy.MOST_CLASSES
    shown = f" {most} of {count(many)} classes are shown." if many > most else ""
    st.caption(f"Test accuracy of each class after the last epoch, mean over the students, in points.{shown}")


def cost(view: View) -> None:
    """Draw accuracy against what the images cost, coloured by how alike they are."""
    key = "accuracy/cost"
    chosen = st.segmented_control(
        "Cost", list(COSTS), key=key, format_func=COSTS.get, default="image_iterations", required=True
    )
    points = []
    for one in view.sets:
        found, price = data.score(one, view.label(one), view.kind), one.result[chosen]
        if found is not None and price is not None:
            points.append(CostPoint(found, price, data.cosine(one)))
    if not points:
        st.info("None of these evaluations says what its images cost.")
        return
    figure.draw(accuracy.cost_scatter(points, COSTS[chosen]), "accuracy/scatter")
    unknown = sum(point.cosine is None for point in points)
    st.caption(
        "Cost of making the images, without teacher and students; seconds as each run measured them on its device. "
        "Colour: mean cosine similarity to the class centroid in the teacher's features, lower is more diverse"
        + (f"; grey where it is not measured yet ({unknown}), which the Diversity page does." if unknown else ".")
    )
