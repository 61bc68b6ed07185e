"""One stage of the pipeline opened: what it does, its own numbers and pictures from a finished run, and its page."""

from __future__ import annotations

import streamlit as st

from delt_engine.plots import accuracy as accuracy_figures
from delt_engine.plots.data import patch_figure
from delt_engine.plots.style import LINE
from pages.shared import cached, figure, nav
from pages.shared.accuracy import data as accuracy_data
from pages.shared.controls import headline
from pages.shared.gallery.grid import Cell, Look, image_row
from pages.shared.lab import pipeline
from pages.shared.lab.example import Example
from pages.shared.runs import class_rows, strips
from pages.shared.wording import METHOD_TITLES, count, duration, plain, plural

_WORDS = {
    "squeeze": "A network is trained on all real images, once. This **teacher** now holds what the dataset says about "
    "its classes; from here on it is frozen.",
    "rank": "The teacher looks at every real patch and gives the probability of its true class. High: easy, typical. "
    "Low: hard, or only background.",
    "select": "Patches of medium probability start the images: neither those that tell the teacher nothing new nor "
    "those it does not recognise. Their order says which image joins first.",
    "recover": "The pixels are optimised until the teacher is sure of the class and its statistics fit real data. "
    "Early images get all MI iterations; every RI iterations the next ones join, and get fewer.",
    "relabel": "The teacher says what it sees in each image: not one class but a share for every class. Students learn "
    "from these shares.",
    "evaluate": "New networks are trained on the few synthetic images alone and tested on real images they never saw.",
}


def draw(stage: str, shown: Example) -> None:
    """Draw a stage: its words, what it made, and the way to its page."""
    data = {"data": shown.run.experiment.dataset}
    views = {
        "squeeze": (_squeeze, "distill/data_and_teachers", "Data and teachers", data),
        "rank": (_rank, "distill/patches", "Patches", data | {"cls": shown.class_name}),
        "select": (_select, "distill/patches", "Patches", data | {"cls": shown.class_name}),
        "recover": (_recover, "distill/recover", "Open in Recover", {"run": shown.run.id}),
        "relabel": (_relabel, "explore/gallery", "Open in Gallery", {"run": shown.run.id, "cls": shown.class_name}),
        "evaluate": (_evaluate, "explore/accuracy", "Accuracy", {"run": shown.run.id}),
    }
    view, page, label, query = views[stage]
    with headline(pipeline.STAGES[stage]):
        nav.link(page, label, **query)
    st.markdown(_WORDS[stage])
    view(shown)
    st.caption(f"From run {plain(shown.run.id)}, seed {shown.run.record().seed}.")


def _squeeze(shown: Example) -> None:
    record = shown.run.record()
    teacher, dataset = record.teacher, record.dataset
    with st.grid(4, min_column_width=132):
        st.metric(
            "Accuracy on test images", f"{teacher.accuracy:.1f} %" if teacher.accuracy else "–", help="On its card."
        )
        measured = f"{teacher.measured_accuracy:.1f} %" if teacher.measured_accuracy else "–"
        sample = f"Before the run, on {count(teacher.measured_sample or 0)} test images."
        st.metric("Checked for this run", measured, help=sample)
        st.metric("Network", teacher.network)
        st.metric("Classes", count(len(dataset.class_names)), help=f"{plain(dataset.title)}, {dataset.image_size} px.")
    classes = shown.run.classes[:10]
    if shown.run.experiment.recover.initialization == "patches":
        sheets = [strips.address(shown.run, shown.run.snapshot_path(number, shown.ends[0])) for number in classes]
        names = [shown.run.class_names[number] for number in classes]
        cells = [
            Cell(f"real/{x}", f"a real image of {name}", (x,), lines=(name,))
            for x, (name, sheet) in enumerate(zip(names, sheets, strict=True))
            if sheet
        ]
        look = Look(tile=class_rows.tile_side(shown.run), shown=88, layout="grid")
        image_row(cells, [sheet or "" for sheet in sheets], "lab/stage/real", look)


def _rank(shown: Example) -> None:
    if not len(shown.probabilities):
        st.info("This run chose no patches, or the ranking it chose from is not stored here.")
        return
    low, high = pipeline.band(shown)
    chosen = cached.class_selection(shown.run, shown.class_index)
    patches = {patch.rank: one for one in chosen for patch in one.patches}
    drawn = patch_figure(
        shown.probabilities,
        {rank: one.start_round for rank, one in patches.items()},
        shown.run.experiment.recover.schedule,
        iterations={rank: one.iterations for rank, one in patches.items()},
    )
    drawn.add_vrect(low, high, fillcolor=LINE, opacity=0.3, line={"color": LINE, "width": 2})
    figure.plain(drawn, "lab/stage/rank")
    st.caption(
        f"{count(len(shown.probabilities))} patches of {plain(shown.class_name)}; those that were chosen lie in the "
        f"band from {low:.3f} to {high:.3f} and are coloured by the round in which they join."
    )


def _select(shown: Example) -> None:
    chosen = cached.class_selection(shown.run, shown.class_index)
    schedule = shown.run.experiment.recover.schedule
    if not chosen:
        st.info("The images of this run start from noise, so nothing was selected.")
    cells = []
    for index in range(schedule.ipc):
        one = chosen[index] if index < len(chosen) else None
        lines = (f"round {schedule.start_rounds[index]}", f"{count(schedule.image_iterations_each[index])} iterations")
        probability = (f"p {one.patches[0].true_class_prob:.3f}",) if one else None
        alt = f"{shown.class_name}, what image {index + 1} starts from"
        colour = class_rows.start_colour(schedule, schedule.start_rounds[index])
        cells.append(Cell(f"start/{index}", alt, (0,), index, lines=lines, counts=probability, colour=colour))
    _strip(shown, cells, shown.ends[0], "lab/stage/select")
    st.caption("p is the teacher's probability of the true class.")


def _recover(shown: Example) -> None:
    record, recover = shown.run.record(), shown.run.experiment.recover
    class_rows.draw(class_rows.film(shown.run, [shown.class_index]), shown.run, "lab/stage/recover")
    saved = f"{recover.schedule.saved_percent:.1f} % of the image-iterations saved, from the schedule. "
    took = f"The whole run took {duration(record.seconds)} on {record.device_name or record.device}."
    st.caption((saved if recover.schedule.has_rounds else "") + took)


def _relabel(shown: Example) -> None:
    said = pipeline.last_predictions(shown)
    if not said:
        st.info("This run stored no predictions.")
        return
    names, ipc = shown.run.class_names, shown.run.experiment.recover.ipc
    numbers = [number for number in pipeline.spread(ipc) if number in said]
    cells = []
    for number in numbers:
        entry = said[number]
        pairs = zip(entry.classes[:3], entry.probs, strict=False)
        lines = tuple(f"{names[found]} {100 * share:.1f} %" for found, share in pairs)
        cells.append(Cell(f"label/{number}", f"{shown.class_name}, image {number + 1}", (0,), number, lines=lines))
    _strip(shown, cells, shown.ends[1], "lab/stage/relabel", shown_px=140)
    own, words = shown.accuracy(shown.run.experiment.recover.method), ""
    if own:
        heat = own.run.experiment.evaluate.temperature
        words = f" The students learned from such shares of every crop they saw, softened by temperature {heat:g}."
    st.caption(f"The teacher's three largest shares for whole images, not softened.{words}")


def _evaluate(shown: Example) -> None:
    scores = []
    for method in (*METHOD_TITLES, "real"):
        one = shown.accuracy(method)
        if one is not None and (score := accuracy_data.score(one, one.result["method_title"])):
            scores.append(score)
    if not scores:
        st.info("No student was trained on this run yet.")
        return
    own = shown.accuracy(shown.run.experiment.recover.method).result
    figure.plain(accuracy_figures.accuracy_bars(scores, chance=own["chance"]), "lab/stage/evaluate")
    setup = accuracy_data.setup_of(shown.accuracy(shown.run.experiment.recover.method))
    st.caption(
        f"{setup.student}, {setup.recipe_title} recipe, {plural(len(own['seeds']), 'student')} each, on "
        f"{count(own['test_images'])} test images."
    )


def _strip(shown: Example, cells: list[Cell], round_number: int, key: str, shown_px: int = 80) -> None:
    """Draw images of the class after a round."""
    sheet = strips.address(shown.run, shown.run.snapshot_path(shown.class_index, round_number))
    look = Look(tile=class_rows.tile_side(shown.run), shown=shown_px, layout="grid")
    image_row(cells, [sheet or ""], key, look)
