"""What several runs are made with and what came of it: settings that differ, similarity, cost, students."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from delt_engine.errors import DeltError
from delt_engine.jobs import space
from delt_engine.jobs.evaluations import evaluations
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.measure import stored_result
from delt_engine.runs.events import StepEvent
from delt_engine.runs.lineage import Measured, in_words, measured, run_changes
from delt_engine.runs.store import Run
from delt_engine.runs.titles import read_title
from pages.shared import cached, controls
from pages.shared.compare.film import class_numbers
from pages.shared.recover import cost
from pages.shared.wording import count, duration, handle, long_title, plain, size

_MOST_NAMED = 6
"""Names in one value up to which all are said."""

NONE = "–"


def draw_summary(runs: Sequence[Run], class_names: Sequence[str], names: Sequence[str] = ()) -> None:
    """Draw which letter is which run, how alike its images are, what they cost and what students learnt from them."""
    rows = []
    for place, (letter, run) in enumerate(zip("ABCD", runs, strict=False)):
        own = handle(run) if read_title(run).title else long_title(run)
        name = f"{names[place]}: {handle(run)}" if place < len(names) else own
        forms = {
            "Cosine, pixels": _decimal(pixel_cosine(run, class_names)),
            "Cosine, teacher": _decimal(network_cosine(run, class_names)),
            "Student top-1": students(run),
            "Image-iterations": _work(run),
            "Saved": _saved(run),
            "Time": _time(run),
        }
        rows.append({"": letter, "Run": name, "Status": run.status} | forms)
    known = [name for name in rows[0] if any(row[name] != NONE for row in rows)]
    controls.table([{name: plain(row[name]) for name in known} for row in rows])


def draw(runs: Sequence[Run], class_names: Sequence[str] = ()) -> None:
    """Draw the settings in which runs differ and what was measured in them; ``class_names`` are those shown."""
    with st.grid(min_column_width=380, gap="large"):
        with st.container():
            draw_differences(runs)
        with st.container():
            st.markdown("**Measured in each run**")
            rows = measured_rows(runs).items()
            controls.table([{"Measured": name, **dict(zip("ABCD", values, strict=False))} for name, values in rows])
    if class_names:
        which = plain(class_names[0]) if len(class_names) == 1 else f"the {len(class_names):,} classes shown"
        st.caption(
            f"Cosine: mean over all pairs of a class's images, of {which}; in pixels of the newest images, in the "
            "teacher's features where Diversity has measured them. Lower is more diverse. Saved: image-iterations "
            "against giving every image MI, from the schedule."
        )


def draw_differences(runs: Sequence[Run]) -> None:
    """Draw the settings in which the runs differ from the first, or say that there are none."""
    st.markdown("**Settings that differ**")
    found = [{entry.name: entry for entry in run_changes(runs[0], other)} for other in runs[1:]]
    rows = []
    for name, entry in {name: entry for table in reversed(found) for name, entry in table.items()}.items():
        values = [entry.values[0], *(table[name].values[1] if name in table else entry.values[0] for table in found)]
        words = (plain(_words(name, value)) for value in values)
        stage = name.split(".")[0]
        title = entry.title if stage in (name, "recover") else f"{stage.capitalize()}: {entry.title}"
        rows.append({"Setting": title, **dict(zip("ABCD", words, strict=False))})
    if rows:
        controls.table(rows)
    else:
        st.caption("None: the same settings, the same seed.")


def _words(name: str, value: Any) -> str:
    if name == "classes" and value is None:
        return "all"
    return f"{len(value)} chosen" if isinstance(value, tuple) and len(value) > _MOST_NAMED else in_words(value)


def measured_rows(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """Return what else was measured, a value a run; what no run has is left out."""
    numbers = {run: measured(run) for run in runs}
    forms: dict[str, Callable[[Run], str]] = {
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
        return _reached(record.result)
    found = next((one for one in evaluations(cached.evaluations()) if one.source in (run.id, str(run.path))), None)
    return _reached(found.result) if found else NONE


def _reached(result: dict[str, Any]) -> str:
    """Return the accuracy with its spread over the seeds.

    >>> _reached({"top1_last": 41.26, "top1_last_std": 0.84, "seeds": [0, 1, 2]})
    '41.3 % ± 0.8'
    """
    if result.get("top1_last") is None:
        return NONE
    spread = f" ± {result['top1_last_std']:.1f}" if len(result.get("seeds", ())) > 1 else ""
    return f"{result['top1_last']:.1f} %{spread}"


def _work(run: Run) -> str:
    record, step = run.record(), run.latest_event(StepEvent)
    if record.kind != "recover" or not record.experiment.recover.is_optimised:
        return NONE
    done = record.image_iterations or (step.image_iterations if step else 0)
    total = record.experiment.recover.schedule.image_iterations(cost.classes_of(run))
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
    return NONE if number is None else f"{number:z.3f}"


def _percent(number: float | None) -> str:
    return NONE if number is None else f"{number:.1f} %"


def _seconds(number: float | None) -> str:
    return NONE if number is None else f"{number:.1f} s"


def _bytes(numbers: Measured) -> str:
    return size(numbers.memory_mb * 2**20) if numbers.memory_mb else NONE
