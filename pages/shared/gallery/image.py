"""One synthetic image in detail: its patch, what changed, every round, the teacher's view, settings, also of a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from delt_engine.errors import DeltError
from delt_engine.patches.selection import Patch
from delt_engine.plots.recovery import prediction_curves
from delt_engine.plots.style import round_colour
from delt_engine.runs.export import ImageSettings, read_image_settings
from delt_engine.runs.image_facts import difference_image
from delt_engine.runs.predictions import likeliest_classes, predictions_of
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors, figure
from pages.shared.controls import button
from pages.shared.gallery.grid import Cell, Look, image_row
from pages.shared.runs import actions, strips
from pages.shared.runs.class_rows import missing_word, rounds_shown
from pages.shared.schedule_words import fate, iterations_at
from pages.shared.wording import METHOD_TITLES, count, plain, rounds_text, run_title

IMAGE = "gallery/image"


def open_beside(runs: Sequence[Run], position: int | None) -> None:
    """Draw the image that is open, beside the page: as it is after ``position`` iterations, at its run's end if None.

    Escape closes it.
    """
    place, class_index, index = st.session_state[IMAGE]
    run = runs[place]
    schedule = run.experiment.recover.schedule
    reached = schedule.iterations if position is None else position
    look = {"width": "medium", "position": "right", "on_dismiss": close}
    title = f"{plain(run.class_names[class_index])}, image {index + 1}"
    st.dialog(title, **look)(draw)(run, class_index, index, reached, place)


def close() -> None:
    """Close the image that is open."""
    st.session_state[IMAGE] = None


def draw(run: Run, class_index: int, index: int, position: int, place: int = 0) -> None:
    """Draw the detail of one image as it is after ``position`` iterations of the run, the page's ``place``-th."""
    schedule = run.experiment.recover.schedule
    start = schedule.start_rounds[index]
    round_number = min(position // max(1, schedule.round_iterations), schedule.num_rounds)
    total = count(schedule.image_iterations_each[index])
    when = f"joins in round {start} of {schedule.num_rounds} and gets {total} iterations"
    when = f"is {fate(schedule, index)}" if schedule.is_still else when
    early = "An early image" if start == 1 else "A late image"
    _buttons(run, class_index, index, place)
    st.caption(f"{early}: it {when}." if schedule.has_rounds else f"It {when}.")
    if schedule.is_still:
        origin = run.record().origin
        st.caption("Made elsewhere and imported." if origin else "Nothing was optimised: the image is its patch.")
    else:
        _change(run, class_index, index, round_number)
    _rounds(run, class_index, index, round_number)
    _predictions(run, class_index, index)
    _origin(run, class_index, index)
    _settings(run)


def _buttons(run: Run, class_index: int, index: int, place: int) -> None:
    with st.container(horizontal=True, gap="small"):
        for name, icon, to in (("Previous", "chevron_left", index - 1), ("Next", "chevron_right", index + 1)):
            is_there = 0 <= to < run.experiment.recover.ipc
            look = {"disabled": not is_there, "help": f"The {name.lower()} image of the class"}
            key, image = f"gallery/{name.lower()}-image", (place, class_index, to)
            if button(name, icon, key, st.session_state.update, {IMAGE: image}, **look):
                st.rerun()
        st.space("stretch")
        actions.rerun_button(run.experiment, "gallery/use", run)


def _strip(run: Run, class_index: int, index: int, number: int) -> str | None:
    return strips.address(run, run.snapshot_path(class_index, number), index, 1, full=True)


def _start(run: Run) -> str:
    return "its patch" if run.experiment.recover.initialization == "patches" else "noise"


def _change(run: Run, class_index: int, index: int, round_number: int) -> None:
    """Draw the start image, the image after a round, and their difference on a symmetric scale."""
    schedule, written = run.experiment.recover.schedule, run.rounds_written(class_index)
    number = max((entry for entry in written if entry <= round_number), default=None)
    st.markdown("**What optimisation changed**")
    if number is None or 0 not in written:
        st.caption("The start or the image of this round is not there, so there is nothing to compare.")
        return
    start, image = (run.snapshot_images(class_index, entry)[index] for entry in (0, number))
    picture, largest = difference_image(image, start)
    had = f"{count(iterations_at(schedule, schedule.start_rounds[index], number))} iterations"
    name = f"{run.class_names[class_index]}, image {index + 1}"
    changed = f"white +{largest}, black -{largest}" if largest else "none"
    cells = [
        Cell(f"change/{what}", alt, (at,), counts=(title,), lines=(line,))
        for at, (what, alt, title, line) in enumerate(
            (
                ("start", f"{name}, start", "Start", _start(run)),
                ("image", f"{name} after {had}", f"After {had}", f"round {number}"),
                ("difference", f"{name}: what changed, at most {largest} of 255", "Difference", changed),
            )
        )
    ]
    sheets = [_strip(run, class_index, index, entry) or "" for entry in (0, number)]
    look = Look(tile=image.shape[0], shown=168)
    image_row(cells, [*sheets, cached.data_url(picture)], "gallery/change", look)
    st.caption("Difference: image minus start, a channel at a time; grey is unchanged. Values go from 0 to 255.")


def _predictions(run: Run, class_index: int, index: int) -> None:
    st.markdown("**What the teacher sees in it**")
    said = predictions_of(run, class_index, index)
    if not said:
        st.caption("This run kept no record of it; runs made from now on do.")
        return
    recover = run.experiment.recover
    rows = likeliest_classes(said, class_index)
    joins_at = (recover.schedule.start_rounds[index] - 1) * recover.round_iterations
    if joins_at and said[0].round_number == 0:  # until it joins it is what it was at the start
        said = (said[0], replace(said[0], round_number=joins_at // recover.round_iterations), *said[1:])
        rows = {number: [values[0], *values] for number, values in rows.items()}
    iterations = [entry.round_number * recover.round_iterations for entry in said]
    named = {run.class_names[number]: values for number, values in rows.items()}
    figure.plain(prediction_curves(iterations, named, joins_at=joins_at), "gallery/predictions")
    st.caption(
        f"The whole image, without crop or flip. Own class: {said[0].true_class_prob:.3f} at the start, "
        f"{said[-1].true_class_prob:.3f} after {count(iterations[-1])} iterations of the run."
    )


def _rounds(run: Run, class_index: int, index: int, round_number: int) -> None:
    schedule = run.experiment.recover.schedule
    start, sheets, cells = schedule.start_rounds[index], [], []
    for number in rounds_shown(schedule.num_rounds):
        sheet = _strip(run, class_index, index, number)
        sheets += [sheet] if sheet else []
        had = f"{count(iterations_at(schedule, start, number))} iterations"
        title, words = (f"Round {number}", had if number >= start else "waits") if number else ("Start", _start(run))
        cells.append(
            Cell(
                id=f"round/{number}",
                alt=f"{run.class_names[class_index]}, image {index + 1}, {title.lower()}: {had}",
                sheets=(len(sheets) - 1 if sheet else None,),
                counts=(title,),
                lines=(words,),
                colour=round_colour(start, schedule.last_start) if number >= start else "",
                missing=missing_word(run),
            )
        )
    st.markdown("**All rounds**")
    look = Look(tile=run.image_size or strips.THUMBNAIL, shown=112, layout="grid")
    image_row(cells, sheets, "gallery/strip", look, selected=f"round/{round_number}")


def _origin(run: Run, class_index: int, index: int) -> None:
    found = next((image for image in cached.class_selection(run, class_index) if image.index == index), None)
    if found is None:
        st.caption("This run kept no record of patches.")
        return
    st.markdown("**Where it started**")
    if len(found.patches) > 1:
        st.dataframe([_patch_facts(patch) for patch in found.patches], hide_index=True)
    else:
        _facts(_patch_facts(found.patches[0]))


def _patch_facts(patch: Patch) -> dict[str, str]:
    top, left, height, width = patch.crop_box
    return {
        "Training image": patch.source,
        "Teacher's probability": f"{patch.true_class_prob:.4f}",
        "Rank in its class": f"{count(patch.rank + 1)} (1 is the hardest)",
        "Crop": f"{height} x {width} pixels from row {top}, column {left}",
    }


def _settings(run: Run) -> None:
    record, recover = run.record(), run.experiment.recover
    teacher = record.teacher
    st.markdown("**How it was made**")
    if record.origin is not None:
        _facts({"Method": record.method_title, "From": f"{record.origin.path} ({record.origin.layout})"})
        return
    _facts(
        {
            "Method": f"{METHOD_TITLES[recover.method]}, {rounds_text(recover, ', ')}",
            "Teacher": f"{teacher.name} ({teacher.network})" if teacher else "",
            "Learning rate": f"{recover.learning_rate:g}, BatchNorm weight {recover.r_bn:g}",
            "Crops": f"{recover.curriculum}, area from {recover.max_crop:g} down to {recover.min_crop:g}",
            "Seed and device": f"{record.seed}, {record.device_name or record.device or ''}",
        }
    )
    with st.expander("All settings"):
        st.code(run.experiment.to_yaml(), language="yaml")


def _facts(facts: dict[str, str]) -> None:
    controls.table([{"Name": name, "Value": plain(value)} for name, value in facts.items()], hide_header=True)


def drop_image() -> None:
    """Draw the place to drop an image on, and what it says about itself."""
    with st.popover("Settings from an image", icon=":material/upload_file:", key="gallery/drop"):
        dropped = st.file_uploader("A PNG that DELT Studio made", type="png", key="gallery/png", max_upload_size=20)
        if dropped is None:
            st.caption("Images of a run, also downloaded ones, hold the settings they were made with.")
            return
        try:
            found = read_image_settings(dropped.getvalue())
        except DeltError as error:  # shown here, and the page goes on
            errors.show(error)
        else:
            _about(found)


def _about(found: ImageSettings) -> None:
    st.markdown(f"**{plain(run_title(found.experiment))}**")
    st.write(
        f"{plain(found.class_name)}, image {found.index + 1}: joins in round {found.start_round}, had "
        f"{count(found.iterations)} iterations, seed {found.experiment.seed}."
    )
    if found.sources:
        st.caption("Started from " + plain(", ".join(found.sources)))
    actions.rerun_button(found.experiment, "gallery/use-dropped")
    st.code(found.experiment.to_yaml(), language="yaml", height=240)
