"""A rerun with changes: what differs from the run it repeats, before it starts and beside that run's numbers."""

from __future__ import annotations

import streamlit as st

from delt_engine.errors import RunError
from delt_engine.runs.events import StepEvent
from delt_engine.runs.lineage import Change, changes
from delt_engine.runs.store import Run
from pages.shared import controls
from pages.shared.controls import button
from pages.shared.runs.progress import progress
from pages.shared.session import session
from pages.shared.wording import count, duration, plain, plural

NAMES = ("this run", "the run it repeats")


def parent() -> Run | None:
    """Return the run that the prepared one repeats, None when it repeats none or that one is gone."""
    try:
        return Run.open(session().parent) if session().parent else None
    except RunError:
        session().parent = ""
        return None


def draw_planned() -> None:
    """Draw which run is repeated and what was changed; nothing when none is repeated."""
    repeated = parent()
    if repeated is None or repeated.unreadable:
        return
    found, now = changes(repeated.experiment, session().draft), session()
    with st.container(border=True, key="recover/changes"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"Rerun of **{plain(repeated.id)}**", width="content")
            st.space("stretch")
            alone = "Keeps the settings; the run will stand alone."
            button("Not a rerun", "link_off", "recover/unlink", setattr, now, "parent", "", type="tertiary", help=alone)
        if not found:
            st.caption("Nothing is changed yet: change a setting below. Both runs will stand side by side.")
            return
        st.caption(f"{plural(len(found), 'setting')} changed:")
        _badges(found)


def draw_changes(run: Run, repeated: Run) -> None:
    """Draw the settings in which a run differs from the one it repeats."""
    found = changes(repeated.experiment, run.experiment)
    st.caption(f"Repeats {plain(repeated.id)} with {plural(len(found), 'change') if found else 'the same settings'}.")
    if found:
        _badges(found)


def _badges(found: tuple[Change, ...]) -> None:
    with st.container(horizontal=True, gap="xsmall"):
        for change in found:
            st.badge(plain(f"{change.title}: {' → '.join(change.words)}"), icon=":material/edit:", color="orange")


def draw_numbers(run: Run, repeated: Run) -> None:
    """Draw what both runs cost, side by side; measured as far as they are."""
    other = _numbers(repeated)
    controls.table([{"Measured": name, NAMES[0]: own, NAMES[1]: other[name]} for name, own in _numbers(run).items()])


def _numbers(run: Run) -> dict[str, str]:
    record, now, step = run.record(), progress(run), run.latest_event(StepEvent)
    schedule = run.experiment.recover.schedule
    done = record.image_iterations or (step.image_iterations if step else 0)
    rate = record.image_iterations_per_second if run.status == "finished" else now.rate
    seconds = record.seconds if run.status == "finished" else step.t if step else 0
    return {
        "Status": run.status,
        "Image-iterations": f"{count(done)} of {count(schedule.image_iterations(max(1, len(run.classes))))}",
        "Saved by EarlyLate (schedule)": f"{schedule.saved_percent:.1f} %",
        "Time": duration(seconds) if seconds else "–",
        "Image-iterations/s": count(rate) if rate else "–",
        "Memory at most": f"{step.memory_mb:,.0f} MB" if step and step.memory_mb is not None else "–",
        "Cross-entropy, latest": f"{step.ce_loss:.4g}" if step else "–",
        "Device": record.device_name or record.device or "–",
    }
