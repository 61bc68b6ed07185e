"""Part of ``delt compare``: the same methods at several MI, and the record of what students lose at smaller ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from delt_engine.analysis.mi_curves import ROUNDS, check_iterations, keep
from delt_engine.cli.compare_plan import SHORTENED, ComparisonPlan
from delt_engine.cli.options import typed_settings
from delt_engine.config import field_specs, is_optimised
from delt_engine.config.command_line import STAGE_RECORDS, flag_words
from delt_engine.data.catalogue import CatalogueEntry, find_entry
from delt_engine.errors import ConfigError
from delt_engine.files import write_bytes
from delt_engine.models.card import TeacherCard
from delt_engine.models.processor import this_machine

_KEPT = (
    *("method", "method_title", "iterations", "round_iterations", "image_iterations", "synthesis_seconds"),
    *("top1_last", "top1_last_std", "top1_last_each", "top1_best", "top1_best_std", "top1_best_each"),
)
"""What is kept of a row."""


def read_iterations(text: str | None, out: Path | None, students: str, values: Mapping[str, Any]) -> tuple[int, ...]:
    """Read what ``--over-mi`` was given, the smallest MI first.

    Args:
        out, students: what these options were given; a curve is of one student.
        values: the command's settings, of which none may say MI or RI.

    Raises:
        ConfigError: no numbers, such as :func:`check_iterations` refuses, or something that does not go with it.
    """
    if text is None:
        raise ConfigError(f"out: {str(out)!r} given without --over-mi, but it takes what --over-mi measures.")
    try:
        found = tuple(sorted(int(part) for part in text.split(",")))
    except ValueError:
        raise ConfigError(f"over-mi: {text!r} given, but it must be whole numbers with commas between them.") from None
    check_iterations(found)
    typed = typed_settings(values).get("recover", {})
    for name, flag in (("iterations", "--mi"), ("round_iterations", "--ri")):
        if name in typed:
            raise ConfigError(f"over-mi: given together with {flag}, but it says MI and RI itself.")
    if "," in students:
        raise ConfigError(f"over-mi: given together with students {students!r}, but it takes one student.")
    return found


def spread_over(plan: ComparisonPlan, iterations: Sequence[int]) -> ComparisonPlan:
    """Return the plan with every method at every MI; methods without rounds keep pictures of start and end only.

    Raises:
        ConfigError: a method that optimises nothing.
    """
    if still := next((name for name in plan.experiments if not is_optimised(name) or name not in plan.origins), None):
        raise ConfigError(f"over-mi: {still!r} given as a method, but it optimises nothing, so it has no MI.")
    experiments, origins = {}, {}
    for name, experiment in plan.experiments.items():
        recover = experiment.recover
        for value in iterations:
            length = value // ROUNDS if recover.early_late else value
            own = recover.replace(iterations=value, round_iterations=length)
            experiments[f"{name}-mi{value}"] = experiment.replace(recover=own)
            origins[f"{name}-mi{value}"] = plan.origins[name]
    notes = [note for note in plan.notes if not note.startswith(SHORTENED)]  # the rows say MI, the training its own
    return replace(plan, experiments=experiments, origins=origins, notes=notes)


def kept_curve(
    plan: ComparisonPlan,
    iterations: Sequence[int],
    rows: Sequence[Mapping[str, Any]],
    basis: str,
    values: Mapping[str, Any],
    out: Path | None,
) -> dict[str, Any]:
    """Keep the curve for the planner and the app, write it to ``out`` as well, and return it.

    Raises:
        RunError: the disk refuses.
    """
    record = _record(plan, iterations, rows, basis, values)
    keep(record)
    if out is not None:
        write_bytes(out, (json.dumps(record, indent=1) + "\n").encode())
    return record


def _record(
    plan: ComparisonPlan,
    iterations: Sequence[int],
    rows: Sequence[Mapping[str, Any]],
    basis: str,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the curve as it is kept: what was asked, where it was measured, and the rows."""
    dataset, card, first = plan.inputs.dataset, plan.inputs.card, rows[0]
    entry = find_entry(dataset.spec.name)
    if entry is not None and entry.train_size != len(dataset.train):
        entry = None  # a folder of the same name
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    return {
        "format": 1,
        "dataset": dataset.spec.name,
        "dataset_title": entry.title if entry is not None else dataset.spec.title,
        "dataset_fingerprint": dataset.fingerprint,
        "test_images": len(dataset.test),
        "network": first["student"],
        "width": first["student_width"] or 1.0,
        "teacher": f"{card.network}, width {card.width:g}" if card is not None else "",
        "teacher_accuracy": card.accuracy if card is not None else None,
        "teacher_fingerprint": plan.teacher,
        "seed": next(iter(plan.experiments.values())).seed,
        "ipc": first["ipc"],
        "rounds": ROUNDS,
        "methods": methods,
        "iterations": list(iterations),
        "settings": {str(row["method"]): row["settings"] for row in rows},
        "training": first["training"],
        "seeds": len(first["seeds"]),
        "machine": "{processor}, {instructions}, torch {torch}".format(**this_machine()),
        "rows": [{name: row[name] for name in _KEPT} for row in rows],
        "command": [
            *("delt", "compare", "--methods", ",".join(methods), "--settings", basis),
            *("--over-mi", ",".join(map(str, iterations)), *_typed_words(values, entry, card)),
        ],
    }


def _typed_words(values: Mapping[str, Any], entry: CatalogueEntry | None, card: TeacherCard | None) -> list[str]:
    """Return what else was typed; a folder that is a set of the catalogue by its name, and the teacher by its own."""
    typed = typed_settings(values)
    overall = typed.get("experiment", {})
    if entry is not None:
        overall["dataset"] = entry.name
    if card is not None and "/" in str(overall.get("teacher", "")):
        overall["teacher"] = card.name
    return [
        word
        for stage, own in typed.items()
        for spec in field_specs(STAGE_RECORDS[stage])
        if spec.name in own
        for word in flag_words(spec.flag, own[spec.name])
    ]
