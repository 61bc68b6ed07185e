"""Hours of synthesis over images a class: DELT's schedule at the printed rate, the printed points, and our own."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.analysis.cost import formula_cost
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.papers.cells import Scale
from delt_engine.papers.kept import MARK
from delt_engine.papers.laptop import ITERATIONS
from delt_engine.papers.paper_tables import axis_label
from delt_engine.papers.published import PublishedValue, all_published
from delt_engine.pipeline.table_records import CellView
from delt_engine.plots.papers import HoursCurve, hours_over_ipc
from pages.shared import controls, figure
from pages.shared.papers.data import COST_TABLES, view_of
from pages.shared.wording import count, plain

MI = 4000
_IPCS: dict[Scale, Sequence[int]] = {"paper": (1, *range(10, 101, 10)), "laptop": (1, *range(2, 25, 2))}
"""Where lines have a point."""
_ALIKE = ("cda", "sre2l")
"""Fig. 12 names one curve after both, for all of their images get MI iterations."""
_PANELS: dict[str, tuple[tuple[tuple[str, ...], int | None], ...]] = {
    "Methods": ((("gvbsm",), None), (_ALIKE, None), (("delt",), 500)),
    "Round lengths": ((_ALIKE, None), (("delt",), 1000), (("delt",), 500)),
}
"""The two panels of DELT Fig. 12: methods, and RI as printed."""


def draw(scale: Scale) -> None:
    """Draw hours over IPC by method and RI, in the two panels of Fig. 12, and the formula with its numbers."""
    cells = [one for name in COST_TABLES for one in view_of(name, scale).cells]
    st.subheader("Hours over images per class")
    if scale == "paper" or any(one.known for one in cells):
        _panels(scale, cells)
    else:
        st.caption("Lines stand here when something was measured at laptop scale.")
    _formula()


def _panels(scale: Scale, cells: Sequence[CellView]) -> None:
    datasets = {value.dataset: axis_label(value, "dataset") for value in _printed()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dataset = controls.linked_choice(
            "hours", "Dataset", datasets, "papers/hours", default="imagenet-1k", segmented=True
        )
    for panel, column in zip(_PANELS.items(), st.columns(2), strict=True):
        with column:
            title, methods = panel
            curves = [curve(names, ri, dataset, cells, scale) for names, ri in methods]
            figure.plain(hours_over_ipc(curves), f"papers/hours/{title}")
    if scale == "paper":
        st.caption(
            f"Open: DELT Table 6, one RTX 4090, MI {count(MI)}. Lines: those hours times the image-iterations of the "
            "schedule. Filled: measured here, on the device that each run names. Fig. 12 itself prints no numbers."
        )
    else:
        st.caption(
            f"Filled: measured here, MI {count(MI // ITERATIONS)}, on the device that each run names; those that the "
            f"table marks {MARK} come with DELT Studio. Lines: the hours at the most images per class times the "
            "image-iterations of the schedule."
        )


def _printed() -> list[PublishedValue]:
    return [value for value in all_published() if value.where == "DELT Table 6"]


def curve(
    methods: Sequence[str], ri: int | None, dataset: str, cells: Sequence[CellView], scale: Scale = "paper"
) -> HoursCurve:
    """Return the hours of methods with equal schedules on a dataset: a line at the printed or the measured rate.

    Args:
        methods: by name; the first one gives the colour.
        ri: as printed, also at laptop scale; None of methods without rounds.
        dataset: as printed.
        cells: of the tables of hours, at ``scale``.
        scale: at that of a laptop nothing is printed, and the line goes through the point at the most images.
    """
    printed = {
        (value.ipc, value.value)
        for value in _printed()
        if scale == "paper" and value.ipc and _is_of(value, methods, ri, dataset)
    }
    here = {
        (one.cell.experiment.recover.ipc, one.known.shown[0])  # at the images a class that were really made
        for one in cells
        if one.cell and one.known and _is_of(one.value, methods, ri, dataset)
    }
    share, line = 1 if scale == "paper" else ITERATIONS, []
    if known := printed or here:
        ipc, hours = max(known)
        whole = _schedule(ipc, ri, share).image_iterations()
        line = [(one, hours * _schedule(one, ri, share).image_iterations() / whole) for one in _IPCS[scale]]
    title = " / ".join(METHOD_TITLES[name] for name in methods) + (f", RI {count(ri // share)}" if ri else "")
    return HoursCurve(title, methods[0], line, sorted(printed), sorted(here), "dash" if ri == 1000 else "solid")


def _is_of(value: PublishedValue, methods: Sequence[str], ri: int | None, dataset: str) -> bool:
    is_asked = value.dataset == dataset and value.method in methods
    return is_asked and value.words.get("RI", "") == str(ri or "")


def _schedule(ipc: int, ri: int | None, share: int = 1) -> EarlyLateSchedule:
    return EarlyLateSchedule(ipc, MI // share, (ri or MI) // share)


def _formula() -> None:
    st.markdown(
        "**N · T − j(j − 1)/2 · RI** image-iterations a class (DELT Sec. 4.4): N images in j = MI / RI batches, "
        "T = MI. A batch is its unit, so each of the N / j images of a batch counts its part."
    )
    rows = []
    for ipc in (1, 10, 50, 100):
        for ri in (500, 1000):
            schedule = _schedule(ipc, ri)
            cost, rounds = formula_cost(schedule), schedule.num_rounds
            share = ipc / rounds
            words = f"{ipc} · {count(MI)} − {share:g} · {rounds} · {rounds - 1} / 2 · {count(ri)}"
            if not schedule.has_rounds:
                words = f"{ipc} · {count(MI)}, no rounds at one image"
            left = ipc % rounds
            said = "exact" if cost.is_exact else f"{plain(str(left))} of the {rounds} rounds hold one image more"
            rows.append(
                {
                    "IPC": str(ipc),
                    "RI": count(ri),
                    "Formula with its numbers": f"{words} = {count(cost.formula)}",
                    "Counted": count(cost.counted),
                    "Saved": f"{schedule.saved_percent:.1f}\u00a0%",
                    "Integer division": said,
                }
            )
    controls.table(rows)
    st.caption("The paper says that about 2/3 is left; by its formula it is (j + 1) / (2 j): 0.56 at j = 8.")
