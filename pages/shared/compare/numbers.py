"""What several runs are made with and what came of it: settings that differ, similarity, cost, students."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import streamlit as st

from delt_engine.errors import DeltError
from delt_engine.jobs import space
from delt_engine.jobs.evaluations import evaluations
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.measure import stored_result
from delt_engine.runs.events import StepEvent
from delt_engine.runs.lineage import Measured, in_words, measured, run_changes
from delt_engine.runs.store import Run
from pages.shared import cached, controls
from pages.shared.compare.film import class_numbers
from pages.shared.wording import count, duration, plain, reached, size

_MOST_NAMED = 6
"""Names in one value up to which all are said."""

NONE = "–"


def draw(runs: Sequence[Run], class_names: Sequence[str] = ()) -> None:
    """Draw both tables; similarity is that of the classes given."""
    left, right = st.columns([5, 6], gap="large")
    with left:
        draw_differences(runs)
    with right:
        st.markdown("**What came of it**")
        rows = measured_rows(runs, class_names)
        controls.table([{"Measured": name, **dict(zip("ABCD", values, strict=False))} for name, values in rows.items()])
        if class_names:
            which = plain(class_names[0]) if len(class_names) == 1 else f"{len(class_names)} classes shown"
            st.caption(
                f"Cosine similarity: mean over all pairs of a class's images; in pixels of the newest images, in the "
                f"teacher's features where Diversity has measured them; of {which}. Lower is more diverse."
            )


def draw_differences(runs: Sequence[Run]) -> None:
    """Draw the settings in which the runs differ from the first, or say that there are none."""
    st.markdown("**Settings that differ**")
    found = [{entry.name: entry for entry in run_changes(runs[0], other)} for other in runs[1:]]
    rows = []
    for name, entry in {name: entry for table in reversed(found) for name, entry in table.items()}.items():
        values = [entry.values[0], *(table[name].values[1] if name in table else entry.values[0] for table in found)]
        words = (f"{len(v)} chosen" if isinstance(v, tuple) and len(v) > _MOST_NAMED else in_words(v) for v in values)
        stage = f"{name.split('.')[0].capitalize()}: " if "." in name else ""
        rows.append({"Setting": stage + entry.title, **dict(zip("ABCD", map(plain, words), strict=False))})
    if rows:
        controls.table(rows)
    else:
        st.caption("None: the same settings, the same seed.")


def measured_rows(runs: Sequence[Run], class_names: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Return what was measured, a value a run; what no run has is left out."""
    numbers = {run: measured(run) for run in runs}
    forms: dict[str, Callable[[Run], str]] = {
        "Status": lambda run: run.status,
        "Cosine similarity, pixels": lambda run: _decimal(pixel_cosine(run, class_names)),
        "Cosine similarity, teacher's features": lambda run: _decimal(network_cosine(run, class_names)),
        "Students": students,
        "Time": _time,
        "Image-iterations": _work,
        "Saved by EarlyLate": _saved,
        "Image-iterations/s": lambda run: _count(numbers[run].image_iterations_per_second),
        "First picture": lambda run: _seconds(numbers[run].first_picture_seconds),
        "Memory at most": lambda run: _bytes(numbers[run]),
        "Cross-entropy, latest": lambda run: _decimal(numbers[run].ce_loss),
        "BatchNorm loss, latest": lambda run: _decimal(numbers[run].bn_loss),
        "Teacher on a sample": lambda run: _percent(numbers[run].teacher_accuracy),
        "Device": lambda run: numbers[run].device or NONE,
        "On the disk": lambda run: size(space.use(run).total),
    }
    found = {name: tuple(plain(form(run)) for run in runs) for name, form in forms.items()}
    return {name: values for name, values in found.items() if set(values) != {NONE}}


def pixel_cosine(run: Run, class_names: Sequence[str]) -> float | None:
    """Return the mean over classes of how alike a class's newest images are in pixels."""
    own = class_numbers(run)
    found = [cached.class_cosine(run, own[name]) for name in class_names if name in own]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known else None


def network_cosine(run: Run, class_names: Sequence[str]) -> float | None:
    """Return the same in the teacher's features, where it was measured and kept."""
    record = run.record()
    if record.kind != "recover" or record.status != "finished":
        return None
    with contextlib.suppress(DeltError):
        found = stored_result(of_run(run))
        rows = [found.class_names.index(name) for name in class_names if name in found.class_names] if found else []
        return float(found.pairwise[rows].mean()) if found and rows else None
    return None


def students(run: Run) -> str:
    """Return what the newest students of a run reached, of an evaluation its own; a dash where there are none."""
    record = run.record()
    if record.kind == "evaluate":
        return reached(record.result) or NONE
    everyone = [one for one in (*cached.runs(), *cached.examples()) if one.path != run.path]
    found = next((one for one in evaluations(everyone) if one.source in (run.id, str(run.path))), None)
    return reached(found.result) or NONE if found else NONE


def _work(run: Run) -> str:
    record, step = run.record(), run.latest_event(StepEvent)
    if record.kind != "recover" or not record.experiment.recover.is_optimised:
        return NONE
    done = record.image_iterations or (step.image_iterations if step else 0)
    total = record.experiment.recover.schedule.image_iterations(max(1, len(run.classes)))
    return count(done) if record.status == "finished" else f"{count(done)} of {count(total)}"


def _time(run: Run) -> str:
    step = run.latest_event(StepEvent)
    seconds = run.record().seconds or (step.t if step else 0)
    return duration(seconds) if seconds else NONE


def _saved(run: Run) -> str:
    record = run.record()
    schedule = record.experiment.recover.schedule
    return f"{schedule.saved_percent:.1f} %" if record.kind == "recover" and not schedule.is_still else NONE


def _count(number: float | None) -> str:
    return count(number) if number else NONE


def _decimal(number: float | None) -> str:
    return NONE if number is None else f"{number:.3f}"


def _percent(number: float | None) -> str:
    return NONE if number is None else f"{number:.1f} %"


def _seconds(number: float | None) -> str:
    return NONE if number is None else f"{number:.1f} s"


def _bytes(numbers: Measured) -> str:
    return size(numbers.memory_mb * 2**20) if numbers.memory_mb else NONE
