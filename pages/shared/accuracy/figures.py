"""The figures, the table and the robust scores of the accuracy page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from delt_engine.analysis.scores import RobustScore, augmentation_robust_score, label_robust_score
from delt_engine.jobs.evaluations import Evaluation
from delt_engine.pipeline.compare import method_row
from delt_engine.plots import accuracy
from delt_engine.plots.accuracy import CostPoint, Curve, Score
from delt_engine.plots.style import method_colour
from delt_engine.runs.tables import METHOD_COLUMNS, Column
from pages.shared import controls, figure, tables
from pages.shared.accuracy import data
from pages.shared.accuracy.choices import View
from pages.shared.accuracy.data import KINDS
from pages.shared.wording import count, plain

TABS = {"bars": "Methods", "epochs": "Over epochs", "classes": "By class", "cost": "Cost and similarity"}
COSTS = {"image_iterations": "Image-iterations", "synthesis_seconds": "Seconds of synthesis"}
_FRONT = ("method_title", "ipc", "top1_last", "students", "gap_to_random", "top1_best")
_MORE = (
    Column("gap_to_random", "Above random real (points)", 1),
    Column("top1_ema", "Top-1, EMA (%)", 1, "top1_ema_std"),
    Column("students", "n", 0),
    Column("image_iterations", "Image-iterations", 0),
    Column("run", "Images"),
    Column("evaluation", "Evaluation"),
)
_SCORES = {
    "LRS": (
        "Label-robust score",
        "High when the images themselves teach: with hard labels the set comes near the "
        "whole real set, and it beats as many random real images under its own training.",
    ),
    "ARS": ("Augmentation-robust score", "High when the set beats random real images with augmentation and without."),
}


def draw(view: View) -> None:
    """Draw the figure the reader chose."""
    look = {"segmented": True, "label_visibility": "collapsed"}
    shown = controls.linked_choice("figure", "Figure", TABS, "accuracy/figure", **look)
    {"bars": _bars, "epochs": _epochs, "classes": _classes, "cost": _cost}[shown](view)
    won = data.free_win(_measured(view, view.sets))
    if won:
        st.info(won, icon=":material/emoji_events:")


def _measured(view: View, evaluations: list[Evaluation]) -> list[Score]:
    found = (data.score(one, view.label(one), view.kind) for one in evaluations)
    return [one for one in found if one is not None]


def _bars(view: View) -> None:
    random = {one.ipc: one.value for one in _measured(view, view.of_method("random"))}
    real = _measured(view, view.of_method("real"))
    shown, result = [one for one in view.sets if one.result["method"] != "random"], view.evaluations[0].result
    drawn = accuracy.accuracy_bars(
        _measured(view, shown),
        what=f"Accuracy, {'EMA' if view.kind == 'ema' else KINDS[view.kind].lower()}",
        random=random,
        real=real[0].value if real else None,
        chance=result["chance"],
    )
    figure.draw(drawn, "accuracy/bars")
    lacking = [name for name, there in (("random real images", random), ("the whole real set", real)) if not there]
    where = f"{count(result['test_images'])} test images of {plain(result['dataset_title'])}"
    missing = f" Not evaluated under this recipe yet: {' and '.join(lacking)}." if lacking else ""
    counts = {len(one.result["seeds"]) for one in shown}
    number = f"n = {max(counts)} each" if len(counts) == 1 else "n is told below each bar"
    students = f"mean over students of different seeds, whiskers are their sample standard deviation, {number}"
    students = "one student each (n = 1), so no spread" if counts == {1} else students
    tests = {one.run.experiment.evaluate.validate_every for one in shown} if view.kind == "best" else set()
    tested = f" Some were tested every {max(tests)} epochs, so theirs is the best of fewer." if len(tests) > 1 else ""
    st.caption(f"Measured here on {where}; {students}.{tested}{missing}")


def _epochs(view: View) -> None:
    curve, lines = "ema_curve" if view.kind == "ema" else "curve", []
    for one in view.evaluations:
        seeds = {student["seed"]: student[curve] for student in one.result["students"] if student[curve]}
        if seeds:
            method = one.result["method"]
            lines.append(Curve(view.label(one, with_ipc=method != "real"), method, seeds))
    figure.draw(accuracy.accuracy_curves(lines), "accuracy/epochs")
    st.caption("Each student's accuracy where it was tested; where there are several, the strong line is their mean.")


def _classes(view: View) -> None:
    if len(view.evaluations) < 2:
        st.info("Two evaluations are needed to compare classes.")
        return
    best = sorted(view.sets or view.evaluations, key=lambda one: -one.result["top1_last"])
    usual = (best[0].run.id, best[min(1, len(best) - 1)].run.id)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first, second = (
            view.pick(label, view.evaluations, f"accuracy/class_{label.lower()}", start, 260)
            for label, start in zip(("First", "Second"), usual, strict=True)
        )
    if first is second:
        st.info("Choose two different evaluations.")
        return
    names = first.result["class_names"]
    drawn = accuracy.class_differences(
        names,
        first.result["per_class"],
        second.result["per_class"],
        tuple(view.label(one, with_ipc=True) for one in (first, second)),
        tuple(method_colour(one.result["method"]) for one in (first, second)),
    )
    figure.draw(drawn, "accuracy/classes")
    most = accuracy.MOST_CLASSES
    shown = f" {most} of {count(len(names))} classes are shown." if len(names) > most else ""
    st.caption(f"Test accuracy of each class after the last epoch, mean over the students, in points.{shown}")


def _cost(view: View) -> None:
    chosen = controls.choice("Cost", COSTS, "accuracy/cost", default="image_iterations", segmented=True)
    points = []
    for one in view.sets:
        found, price = data.score(one, view.label(one), view.kind), one.result[chosen]
        if found is not None and price is not None:
            points.append(CostPoint(found, price, data.cosine(one)))
    if not points:
        st.info("None of these evaluations says what its images cost.")
        return
    drawn = accuracy.cost_scatter(points, COSTS[chosen])
    figure.draw(drawn, "accuracy/scatter")
    unknown = sum(point.cosine is None for point in points)
    st.caption(
        "Cost of making the images, without teacher and students; seconds as each run measured them on its device. The "
        f"accuracy axis runs from {drawn.layout.yaxis.range[0]:.0f} to {drawn.layout.yaxis.range[1]:.0f} %. "
        "Colour: mean cosine similarity to the class centroid in the teacher's features, lower is more diverse"
        + (f"; grey where it is not measured yet ({unknown}), which the Diversity page does." if unknown else ".")
    )


def draw_table(view: View) -> None:
    """Draw all numbers of the compared evaluations."""
    st.subheader("Table")
    front = {name: place for place, name in enumerate(_FRONT)}
    columns = sorted((*METHOD_COLUMNS, *_MORE), key=lambda column: front.get(column.name, len(front)))
    random = {data.ipc_of(one): one.result["top1_last"] for one in view.of_method("random")}
    result, setup = view.evaluations[0].result, view.setup
    note = (
        f"Measured on {result['test_images']:,} test images of {result['dataset_title']}; "
        f"recipe {setup.recipe_title}, student {setup.student}; ± is the sample standard deviation over the n students."
    )
    name = f"accuracy-{setup.dataset}-{setup.recipe}".replace("/", "-")
    tables.draw([_row(view, one, random) for one in view.evaluations], columns, "accuracy", name, note)


def _row(view: View, evaluation: Evaluation, random: Mapping[int, float]) -> dict[str, Any]:
    found = method_row(evaluation, data.source_run(evaluation), data.cosine(evaluation))
    students = len(found["seeds"])
    if students == 1:  # one student has no spread
        found |= {name: None for name in found if name.endswith("_std")}
    real = random.get(data.ipc_of(evaluation))
    gap = None if real is None or found["method"] in ("random", "real") else found["top1_last"] - real
    found |= {"method_title": view.label(evaluation), "students": students, "gap_to_random": gap}
    return found | {"run": evaluation.result["source"]}


def draw_scores(view: View, evaluations: Sequence[Evaluation]) -> None:
    """Draw the robust scores of a chosen set; ``evaluations`` are all there are, since they need other recipes too."""
    sets = [one for one in view.sets if one.result["method"] != "random" and one.result["labels"] != "hard"]
    if not sets:
        return
    with st.expander("Robust scores (DD-Ranking's LRS and ARS)"):
        base = view.pick("Set", sets, "accuracy/scored", sets[-1].run.id, 320).result
        others, kind = [one.result for one in evaluations], "top1_best" if view.kind == "best" else "top1_last"
        _score(label_robust_score(base, others, kind), kind)
        _score(augmentation_robust_score(base, others, kind), kind)
        st.caption(
            "From the evaluations here, in DD-Ranking's formulas with w = 0.5: between 0 and 1, 0.269 is no "
            "better than random. Rates and epochs are this recipe's: compare with each other only."
        )


def _score(score: RobustScore, kind: str) -> None:
    title, meaning = _SCORES[score.name]
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
                st.markdown(f":material/check_circle: {plain(one.title)}: {one.found[kind]:.1f} %")
