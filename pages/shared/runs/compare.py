"""Two runs side by side: settings that differ, measured numbers, and the same images."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.jobs import space
from delt_engine.runs.lineage import Measured, in_words, measured, run_changes
from delt_engine.runs.store import Run
from pages.shared import address, controls, errors
from pages.shared.controls import button, headline
from pages.shared.runs import class_rows
from pages.shared.runs.filter import title
from pages.shared.wording import count, duration, plain, reached, size

CLASSES_SHOWN = 3
_MOST_NAMED = 6
"""Names in one value up to which all are said."""


def draw() -> None:
    """Draw the comparison that the address asks for, if it does."""
    ids = st.query_params.get("compare", "").split(",")
    if len(ids) != 2:
        return
    with st.container(border=True):
        with headline("Two runs compared"):
            button("Close", "close", "runs/compare_close", address.say, "compare", "")
        try:
            pair = [Run.open(run_id) for run_id in ids]
            settings = run_changes(*pair)
            numbers = [measured(run) for run in pair]
        except RunError as error:
            errors.show(error)
            return
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown("**Settings that differ**")
            if settings:
                _table("Setting", {item.title: item.words for item in settings})
            else:
                st.caption("None: the same settings, the same seed.")
        with right:
            st.markdown("**Measured in each run**")
            _table("Number", _numbers(pair, numbers))
        for column, run, letter in zip(st.columns(2, gap="large"), pair, "AB", strict=True):
            with column:
                st.caption(plain(f"{letter}: {title(run)} ({run.id})"))
                if run.record().kind == "recover" and run.classes:
                    film = class_rows.film(run, run.classes[:CLASSES_SHOWN])
                    class_rows.draw(film, run, f"runs/grid/{run.id}", shown=64)
                else:
                    st.caption("No images.")


def _numbers(pair: list[Run], numbers: list[Measured]) -> dict[str, tuple[str, ...]]:
    forms = {
        "Time": lambda m: duration(m.seconds) if m.seconds else "–",
        "Image-iterations": lambda m: count(m.image_iterations) if m.image_iterations else "–",
        "Image-iterations/s": lambda m: count(m.image_iterations_per_second) if m.image_iterations_per_second else "–",
        "First picture": lambda m: "–" if m.first_picture_seconds is None else f"{m.first_picture_seconds:.1f} s",
        "Memory at most": lambda m: size(m.memory_mb * 2**20) if m.memory_mb else "–",
        "Last cross-entropy": lambda m: "–" if m.ce_loss is None else f"{m.ce_loss:.3f}",
        "Last BatchNorm loss": lambda m: "–" if m.bn_loss is None else f"{m.bn_loss:.2f}",
        "Teacher on a sample": lambda m: "–" if m.teacher_accuracy is None else f"{m.teacher_accuracy:.1f} %",
        "Device": lambda m: f"{m.device or '–'}" + (f", {m.threads} threads" if m.threads else ""),
    }
    found = {name: tuple(form(one) for one in numbers) for name, form in forms.items()}
    if any(run.record().result.get("top1_last") is not None for run in pair):
        found["Students"] = tuple(reached(run.record().result) or "–" for run in pair)
    return found | {"On the disk": tuple(size(space.use(run).total) for run in pair)}


def _table(first: str, rows: dict[str, tuple[str, ...]]) -> None:
    columns = {first: list(rows)} | {name: [row[at] for row in rows.values()] for at, name in enumerate("AB")}
    st.dataframe(columns, hide_index=True, alt=f"{first} of both runs")


def draw_differences(runs: Sequence[Run]) -> None:
    """Draw the settings in which the runs on the page differ from the first, or say that there are none."""
    st.subheader("Settings that differ")
    found = [{entry.name: entry for entry in run_changes(runs[0], other)} for other in runs[1:]]
    rows = []
    for name, entry in {name: entry for table in reversed(found) for name, entry in table.items()}.items():
        values = [entry.values[0], *(table[name].values[1] if name in table else entry.values[0] for table in found)]
        words = (f"{len(v)} chosen" if isinstance(v, tuple) and len(v) > _MOST_NAMED else in_words(v) for v in values)
        stage = f"{name.split('.')[0].capitalize()}: " if "." in name else ""
        rows.append({"Setting": stage + entry.title, **dict(zip("ABC", map(plain, words), strict=False))})
    if rows:
        controls.table(rows)
    else:
        st.caption("None: the runs were made with the same settings.")
