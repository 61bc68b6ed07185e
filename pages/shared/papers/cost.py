"""Hours of synthesis over images a class: DELT's schedule at the printed rate, the printed points, and our own."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.analysis.cost import formula_cost
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.papers.paper_tables import axis_label
from delt_engine.papers.published import PublishedValue, all_published
from delt_engine.pipeline.table_records import CellView
from delt_engine.plots.papers import HoursCurve, hours_over_ipc
from pages.shared import controls, figure
from pages.shared.papers.data import COST_TABLES, view_of
from pages.shared.wording import count, plain

IPCS = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
MI = 4000
_PANELS = {
    "Methods": (("gvbsm", None), ("cda", None), ("delt", 500)),
    "Round lengths": (("cda", None), ("delt", 1000), ("delt", 500)),
}
"""The two panels of DELT Fig. 12."""
_NAMES = {"gvbsm": "G-VBSM", "cda": "CDA", "delt": "DELT"}


def draw() -> None:
    """Draw hours over IPC by method and RI, in the two panels of Fig. 12, and the formula with its numbers."""
    cells = [one for name in COST_TABLES for one in view_of(name, "paper").cells]
    st.subheader("Hours over images per class")
    datasets = {value.dataset: axis_label(value, "dataset") for value in _printed()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        dataset = controls.linked_choice(
            "hours", "Dataset", datasets, "papers/hours", default="imagenet-1k", segmented=True
        )
    for panel, column in zip(_PANELS.items(), st.columns(2), strict=True):
        with column:
            title, methods = panel
            curves = [_curve(method, ri, dataset, cells) for method, ri in methods]
            figure.plain(hours_over_ipc(curves), f"papers/hours/{title}")
    st.caption(
        f"Open: DELT Table 6, one RTX 4090, MI {count(MI)}. Lines: those hours times the image-iterations of the "
        "schedule. Filled: measured here, on the device that each run names. Fig. 12 itself prints no numbers."
    )
    _formula()


def _printed() -> list[PublishedValue]:
    return [value for value in all_published() if value.where == "DELT Table 6"]


def _curve(method: str, ri: int | None, dataset: str, cells: Sequence[CellView]) -> HoursCurve:
    printed = [
        (value.ipc, value.value)
        for value in _printed()
        if (value.dataset, value.method) == (dataset, method)
        and value.words.get("RI", "") == str(ri or "")
        and value.ipc
    ]
    line = []
    if printed:
        ipc, hours = printed[0]
        whole = _schedule(ipc, ri).image_iterations()
        line = [(one, hours * _schedule(one, ri).image_iterations() / whole) for one in IPCS]
    title = f"{_NAMES[method]}, RI {count(ri)}" if ri else _NAMES[method]
    here = [(ipc, hours) for one in cells for ipc, hours in _own(one, method, ri, dataset)]
    return HoursCurve(title, method, line, printed, here, "dash" if ri == 1000 else "solid")


def _own(one: CellView, method: str, ri: int | None, dataset: str) -> Sequence[tuple[int, float]]:
    """Return the measured point of a cell, at the images a class that were really made."""
    value, cell = one.value, one.cell
    is_asked = (value.method, value.words.get("RI", ""), value.dataset) == (method, str(ri or ""), dataset)
    if cell is None or one.measured is None or not is_asked:
        return []
    return [(cell.experiment.recover.ipc, one.measured.mean)]


def _schedule(ipc: int, ri: int | None) -> EarlyLateSchedule:
    return EarlyLateSchedule(ipc, MI, ri or MI)


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
