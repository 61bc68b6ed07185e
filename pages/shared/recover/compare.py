"""A run beside the one it repeats: what was changed, and what was measured of both."""

from __future__ import annotations

import streamlit as st

from delt_engine.runs.events import StepEvent
from delt_engine.runs.lineage import changes
from delt_engine.runs.store import Run
from pages.shared.recover import changes as recover_changes
from pages.shared.runs.progress import progress
from pages.shared.wording import count, duration, plain, plural

NAMES = ("this run", "the run it repeats")


def draw_changes(run: Run, parent: Run) -> None:
    """Draw the settings that differ."""
    found = changes(parent.experiment, run.experiment)
    st.caption(f"Repeats {plain(parent.id)} with {plural(len(found), 'change') if found else 'the same settings'}.")
    if found:
        recover_changes.badges(found)


def draw_numbers(run: Run, parent: Run) -> None:
    """Draw what both runs cost, side by side; measured as far as they are."""
    columns = [_numbers(run), _numbers(parent)]
    rows = [
        {"Measured": name, **{who: column[name] for who, column in zip(NAMES, columns, strict=True)}}
        for name in columns[0]
    ]
    st.table(rows, border="horizontal", hide_index=True)


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
        "Cross-entropy, last told": f"{step.ce_loss:.4g}" if step else "–",
        "Device": record.device_name or record.device or "–",
    }
