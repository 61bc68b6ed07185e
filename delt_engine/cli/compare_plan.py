"""The plan of ``delt compare``: each method's experiment, where its settings are from, and what has to be said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from delt_engine.cli.finished import teacher_card
from delt_engine.cli.options import given_preset, read_training, size_of, typed_settings
from delt_engine.config import (
    DEFAULT_DATASET,
    METHOD_SETTINGS,
    EvaluateConfig,
    Experiment,
    RankConfig,
    SelectConfig,
    field_specs,
)
from delt_engine.config.command_line import STAGE_RECORDS, flag_words
from delt_engine.config.experiment import Resize
from delt_engine.data.catalogue import find_entry
from delt_engine.data.decode import view_side
from delt_engine.errors import ConfigError
from delt_engine.papers.method_settings import BASIS_NOTES, MethodSettings, method_settings, published_squares
from delt_engine.pipeline.inputs import Inputs, load_inputs
from delt_engine.runs.sources import REAL

SHORT_ITERATIONS, SHORT_ROUND, SHORT_EPOCHS = 200, 50, 60
"""MI, RI and epochs on the built-in datasets when nothing else is typed; ours."""

SHORTENED = "Shortened against the papers: "
"""How the note begins that says so."""


@dataclass(frozen=True)
class ComparisonPlan:
    """What is compared: the settings of each method in the order of the rows, of ``real`` of its evaluation.

    Attributes:
        origins: where each method's settings of the recovery are from.
        teacher: fingerprint of the teacher.
        notes: what a reader of the table has to know, in sentences.
    """

    experiments: dict[str, Experiment]
    origins: dict[str, str]
    evaluate: EvaluateConfig
    inputs: Inputs
    teacher: str
    notes: list[str]


def plan_comparison(methods: tuple[str, ...], basis: str, values: Mapping[str, Any]) -> ComparisonPlan:
    """Make the settings of every method of what was typed, by name of the command's parameters.

    Raises:
        ConfigError: an unknown method, one named twice, or a value that is not allowed.
        DataError, CheckpointError: data or teacher are not there.
    """
    _check_methods(methods)
    typed = typed_settings(values)
    overall, recover = typed.get("experiment", {}), typed.get("recover", {})
    preset = given_preset(values)
    if preset is not None:
        own = preset.experiment
        overall = {"dataset": own.dataset, "image_size": own.image_size, **overall}
        recover = {"ipc": own.recover.ipc, **recover}
    dataset = overall.get("dataset", DEFAULT_DATASET)
    entry = find_entry(dataset)
    if preset is not None:
        config = read_training(values)
    elif entry is not None and entry.kind == "built-in":
        recover, evaluate = shortened(recover, typed.get("evaluate", {}))
        config = EvaluateConfig.for_recipe(**{"recipe": "delt", **evaluate})
    else:
        config = EvaluateConfig.for_recipe(**{"recipe": "delt", **typed.get("evaluate", {})})
    size = size_of(dataset, overall.get("image_size"))
    squares = published_squares([name for name in methods if name != REAL], dataset, size)
    of_preset = preset.experiment.resize if preset is not None else "whole"
    if basis == "equal" or view_side(size, of_preset) == view_side(size, squares):
        squares = of_preset
    overall = {"resize": squares, **overall}
    base = Experiment(**overall, **{stage: typed.get(stage, {}) for stage in ("squeeze", "rank", "select")})

    def planned(values: Mapping[str, Any], network: str = "") -> dict[str, MethodSettings]:
        return {name: method_settings(name, base, basis, values, size, network) for name in methods if name != REAL}

    planned(recover)  # refuses a wrong value before data is read
    inputs = load_inputs(base, relabeller=config.relabeller)
    card = teacher_card(base, inputs)
    made = planned(recover, card.network)
    whole = planned({name: value for name, value in recover.items() if name == "ipc"}, card.network)
    real = base.replace(rank=RankConfig(), select=SelectConfig(), evaluate=config)
    experiments = {name: made[name].experiment if name in made else real for name in methods}
    published = {name: one.experiment.recover.iterations for name, one in whole.items()}
    notes = [BASIS_NOTES[basis], _typed_note(typed, recover)]
    notes += [
        squares_note(base.resize, squares, size) if basis == "published" else "",
        shortening_note(experiments, config, published),
    ]
    origins = {name: one.origin for name, one in made.items()}
    return ComparisonPlan(experiments, origins, config, inputs, card.fingerprint, [*filter(None, notes)])


def _check_methods(methods: tuple[str, ...]) -> None:
    allowed = [*METHOD_SETTINGS, REAL]
    wrong = next((name for name in methods if name not in allowed), None)
    if wrong is not None or not methods:
        raise ConfigError(f"methods: {wrong or ''!r} given, but it must be one of {', '.join(allowed)}.")
    if twice := next((name for name in methods if methods.count(name) > 1), None):
        raise ConfigError(f"methods: {twice} given twice, but each method is compared once.")


def _typed_note(typed: dict[str, dict[str, Any]], recover: dict[str, Any]) -> str:
    """Return what stands on top of every method's settings, in a sentence."""
    given = {"recover": {name: value for name, value in recover.items() if name != "ipc"}}
    given |= {stage: typed[stage] for stage in ("rank", "select") if stage in typed}
    words = [
        word
        for stage, values in given.items()
        for spec in field_specs(STAGE_RECORDS[stage])
        if spec.name in values
        for word in flag_words(spec.flag, values[spec.name])
    ]
    return f"On top, for all: {' '.join(words)}." if words else ""


def squares_note(own: Resize, papers: Resize, size: int) -> str:
    """Return how pictures become squares of ``size`` px, in a sentence; "" where they are whole as in the papers."""
    if view_side(size, own) != view_side(size, papers):
        return f"Squares: {own}, where the papers' code takes {papers}."
    if view_side(size, own) == size:
        return ""
    return f"Squares, the same for all: the short side to {view_side(size, own)} px, then the centre, as published."


def shortened(recover: dict[str, Any], evaluate: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was typed with defaults that suit a laptop; MI typed alone is split into four rounds if it can be."""
    mi = recover.get("iterations", SHORT_ITERATIONS)
    ri = SHORT_ROUND if "iterations" not in recover else mi // 4 if mi % 4 == 0 else mi
    return {"iterations": mi, "round_iterations": ri, **recover}, {"epochs": SHORT_EPOCHS, **evaluate}


def shortening_note(experiments: Mapping[str, Experiment], config: EvaluateConfig, published: Mapping[str, int]) -> str:
    """Return what is shortened against the papers, in a sentence; "" when nothing is.

    ``published`` has the iterations of each method as its paper, or its default, has them.
    """
    pairs = ((experiments[name].recover.iterations, count) for name, count in published.items())
    shorter = [pair for pair in pairs if pair[0] < pair[1]]
    parts = []
    if shorter:
        here, there = (_span(counts) for counts in zip(*shorter, strict=True))
        parts.append(f"MI {here} instead of {there}")
    if config.is_shortened:
        epochs = EvaluateConfig.for_recipe(config.recipe).epochs
        parts.append(f"students of {config.epochs:,} instead of {epochs:,} epochs")
    return f"{SHORTENED}{' and '.join(parts)}." if parts else ""


def _span(counts: tuple[int, ...]) -> str:
    return " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
