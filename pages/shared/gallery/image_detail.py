"""One synthetic image in detail: its patch, what changed, every round, the teacher's view of it, and its settings."""

from __future__ import annotations

import streamlit as st

from delt_engine.patches.selection import Patch, SelectedImage
from delt_engine.plots.recovery import round_colour
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.gallery import settings as gallery_settings
from pages.shared.gallery.grid import Cell, Look, Row, gallery_grid
from pages.shared.gallery.image_change import draw_change, draw_predictions
from pages.shared.runs import class_rows, strips
from pages.shared.wording import METHOD_TITLES, count, fate, iterations_at, plain

IMAGE = "gallery/image"


def draw(run: Run, class_index: int, index: int, position: int, place: int = 0) -> None:
    """Draw the detail of one image as it is after ``position`` iterations of the run.

    Args:
        run: its run.
        class_index: its class.
        index: its number in the class.
        position: where the slider of the page stands, in iterations.
        place: number of the run on the page.
    """
    schedule = run.experiment.recover.schedule
    start = schedule.start_rounds[index]
    round_number = min(position // schedule.round_iterations, schedule.num_rounds)
    st.divider()
    _heading(run, class_index, index, place)
    total = count(schedule.image_iterations_each[index])
    when = f"joins in round {start} of {schedule.num_rounds} and gets {total} iterations"
    when = f"is {fate(schedule, index)}" if schedule.is_still else when
    st.caption(
        f"{'An early image' if start == 1 else 'A late image'}: it {when}." if schedule.has_rounds else f"It {when}."
    )
    change, said = st.columns([6, 5], gap="large")
    with change:
        if schedule.is_still:
            st.caption("Nothing was optimised: the image is its patch.")
        else:
            draw_change(run, class_index, index, round_number)
    with said:
        draw_predictions(run, class_index, index)
    _strip(run, class_index, index, round_number)
    facts, settings = st.columns(2, gap="large")
    with facts:
        found = cached.class_selection(run, class_index)
        _origin(next((image for image in found if image.index == index), None))
    with settings:
        _settings(run)


def _heading(run: Run, class_index: int, index: int, place: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(f"{plain(run.class_names[class_index])}, image {index + 1}", width="content")
        st.space("stretch")
        ipc = run.experiment.recover.ipc
        for name, icon, to in (("Previous", "chevron_left", index - 1), ("Next", "chevron_right", index + 1)):
            st.button(
                name,
                icon=f":material/{icon}:",
                key=f"gallery/{name.lower()}-image",
                disabled=not 0 <= to < ipc,
                help=f"The {name.lower()} image of the class",
                on_click=_open,
                args=((place, to),),
            )
        gallery_settings.use_button(run.experiment, "gallery/use")
        st.button("Close", icon=":material/close:", key="gallery/close", on_click=_open, args=(None,))


def _open(image: tuple[int, int] | None) -> None:
    st.session_state[IMAGE] = image


def _strip(run: Run, class_index: int, index: int, round_number: int) -> None:
    schedule = run.experiment.recover.schedule
    sheets, cells = [], []
    for number in class_rows.rounds_shown(schedule.num_rounds):
        sheet = strips.address(run, run.snapshot_path(class_index, number), index, 1, full=True)
        if sheet:
            sheets.append(sheet)
        cells.append(_cell(run, class_index, index, number, len(sheets) - 1 if sheet else None))
    size = run.image_size or strips.THUMBNAIL
    st.markdown("**All rounds**")
    gallery_grid(
        [Row("", tuple(cells))],
        sheets,
        key="gallery/strip",
        look=Look(tile=size, shown=112, layout="grid"),
        selected=f"round/{round_number}",
    )


def _cell(run: Run, class_index: int, index: int, number: int, sheet: int | None) -> Cell:
    schedule = run.experiment.recover.schedule
    start = schedule.start_rounds[index]
    had = count(iterations_at(schedule, start, number))
    if number == 0:
        words = ("Start", "its patch" if run.experiment.recover.initialization == "patches" else "noise")
    else:
        words = (f"Round {number}", f"{had} iterations" if number >= start else "waits")
    return Cell(
        id=f"round/{number}",
        alt=f"{run.class_names[class_index]}, image {index + 1}, {words[0].lower()}: {had} iterations",
        sheets=(sheet,),
        counts=(words[0],),
        lines=(words[1],),
        colour=round_colour(start, schedule.num_rounds) if number >= start else "",
        missing="no snapshot" if run.status == "finished" else "not reached",
    )


def _origin(origin: SelectedImage | None) -> None:
    if origin is None:
        st.caption("This run kept no record of patches.")
        return
    st.markdown("**Where it started**")
    if len(origin.patches) > 1:
        st.dataframe([_patch_facts(patch) for patch in origin.patches], hide_index=True)
        return
    _facts(_patch_facts(origin.patches[0]))


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
    rounds = f"MI {count(recover.iterations)}, RI {count(recover.round_iterations)}"
    rounds = rounds if recover.is_optimised else "not optimised"
    st.markdown("**How it was made**")
    _facts(
        {
            "Method": f"{METHOD_TITLES[recover.method]}, {rounds}",
            "Teacher": f"{teacher.name} ({teacher.network})" if teacher else "",
            "Learning rate": f"{recover.learning_rate:g}, BatchNorm weight {recover.r_bn:g}",
            "Crops": f"{recover.curriculum}, area from {recover.max_crop:g} down to {recover.min_crop:g}",
            "Seed and device": f"{record.seed}, {record.device_name or record.device or ''}",
        }
    )
    with st.expander("All settings"):
        st.code(run.experiment.to_yaml(), language="yaml")


def _facts(facts: dict[str, str]) -> None:
    st.table(
        [{"Name": name, "Value": plain(value)} for name, value in facts.items()],
        border="horizontal",
        hide_header=True,
        hide_index=True,
    )
