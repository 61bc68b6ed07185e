"""MI x RI grid: one class of a run with other MI and RI, cell by cell; what is missing can be queued."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.jobs import mi_ri_grid
from delt_engine.jobs.mi_ri_grid import GridCell
from delt_engine.runs.store import Run
from pages.shared import cached, errors, live, nav
from pages.shared.compare import mi_ri, numbers, panel
from pages.shared.controls import button, headline
from pages.shared.recover import cost
from pages.shared.runs import actions
from pages.shared.wording import count, duration, plain, plural


def draw_missing(base: Run, class_name: str, found: Sequence[GridCell]) -> None:
    """Draw what is missing, what it will cost, and the button that queues it."""
    missing = [cell for cell in found if cell.is_missing]
    possible = len(found) - sum(bool(cell.refusal) for cell in found)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not missing:
            st.markdown(f"All {possible} cells have a run." if possible else "No pair of these can be run.")
            return
        work = mi_ri_grid.price(missing, len(base.classes))
        label = f"Run {plural(len(missing), 'missing cell')}"
        is_pressed = button(label, "play_arrow", "grid/start", changes=True, type="primary")
        there = possible - len(missing)
        rest = f" {there} of {possible} cells have a run, which is not made again." if there else ""
        time, origin = expected(missing[0], work, len(base.classes))
        st.caption(f"{count(work)} image-iterations{time}.{rest}", help=plain(origin), width="content")
    if is_pressed:
        with errors.shown():
            mi_ri_grid.start_missing(base, found, class_name)
        st.rerun()


def expected(cell: GridCell, work: int, num_classes: int) -> tuple[str, str]:
    """Return how long so many image-iterations take, in words, and from which measurement that is."""
    assert cell.experiment is not None  # it could be run
    one = cost.expected(cell.experiment)
    own = mi_ri_grid.price([cell], num_classes)
    known = one.seconds and own
    return f", about {duration(one.seconds * work / own)} {one.where}" if known else ", time not known yet", one.origin


def draw_chosen(base: Run, class_name: str, cell: GridCell, found: Sequence[GridCell]) -> None:
    """Draw the cell that was clicked beside that with the MI and RI of the base, which stands in until there is one."""
    run, recover = cell.shown, base.experiment.recover
    own = (one.run for one in found if one.run and one.experiment and one.experiment.recover == recover)
    other = next(own, base)
    assert run is not None  # only those can be clicked
    with st.container(border=True):
        with headline(f"Compare: {cell.title}"):
            if run.is_active and button("Watch", "visibility", f"grid/watch/{run.id}"):
                nav.go("distill/recover", run=run.id)
            if run.classes:
                actions.open_button(run, "grid")
        if run == other:
            st.caption("This cell has the MI and RI of the run. Click another one to compare it with this.")
            return
        runs = [run, other]
        numbers.draw_summary(runs, [class_name], ("this cell", "MI and RI of the run"))
        panel.grid(runs, [class_name], "grid")
        numbers.draw(runs, [class_name])


def draw_grid(base: Run, class_name: str, axes: tuple[list[int], list[int], bool]) -> None:
    """Draw everything that changes while cells are run."""
    found = cells_of(base, class_name, axes)
    draw_missing(base, class_name, found)
    mi_ri.draw(base, class_name, found, len(axes[1]))
    if axes[2] and len(base.classes) > 1:
        st.caption(
            "Alone, a class is matched to the statistics of all classes by itself, so it looks different than in the "
            "run; all cells are made alike."
        )
    st.caption(
        "Saved: image-iterations against giving every image MI, from the schedule. Cosine: mean over all pairs of the "
        "class's images in pixels, as last written; lower is more diverse. Click a cell to compare it."
    )
    cell = mi_ri.chosen_cell(found)
    if cell is not None:
        draw_chosen(base, class_name, cell, found)


def cells_of(base: Run, class_name: str, axes: tuple[list[int], list[int], bool]) -> list[GridCell]:
    """Return the cells as they stand now."""
    iterations, rounds, is_alone = axes
    runs = [*cached.runs(), *cached.examples()]
    return mi_ri_grid.cells(base, class_name, iterations, rounds, runs, is_alone=is_alone)


def _show(bases: Sequence[Run]) -> None:
    base, class_name = mi_ri.choose_base(bases)
    axes = mi_ri.choose_axes(base, class_name)
    if not base.experiment.recover.early_late:
        st.caption("In this run all images join at once, so RI only says when snapshots are kept.")

    def is_active() -> bool:
        return any(cell.run.is_active for cell in cells_of(base, class_name, axes) if cell.run)

    live.follow(is_active, lambda: draw_grid(base, class_name, axes), 2.0)


st.title("MI x RI grid")
st.write("What MI and RI do to one class: each cell is a run with the settings of the first, but for these two.")
with errors.shown():
    found = [run for run in cached.recoveries() if run.experiment.recover.is_optimised and run.record().teacher]
    if found:
        _show(found)
    else:
        st.info("There is no run that optimised images yet. Start one, and its grid can be opened here.")
        nav.link("start/home", "Start a run")
