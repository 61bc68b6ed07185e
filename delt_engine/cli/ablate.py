"""``delt ablate``: what each switch of DELT+ is worth against DELT, at equal image-iterations and the same recipe."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.compare import Comparison
from delt_engine.cli.compare_plan import ComparisonPlan, plan_comparison
from delt_engine.cli.options import output_options, path_option, setting_options, teacher_options, typed_settings
from delt_engine.cli.output import say, say_columns, say_json
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.config import field_specs
from delt_engine.config.command_line import STAGE_RECORDS, flag_words, option_words, split_names
from delt_engine.config.switches import SWITCHES
from delt_engine.errors import ConfigError
from delt_engine.files import check_writable, write_bytes
from delt_engine.jobs import ranks
from delt_engine.models.processor import this_machine
from delt_engine.papers.method_settings import SHARED_SETTINGS
from delt_engine.runs.ablations import COLUMNS, described, keep, with_gaps

BASE = "delt"
_RELABELLER = "evaluate__relabeller"


@click.command()
@click.option(
    "--switches",
    default=",".join(SWITCHES),
    show_default=True,
    metavar="NAME,...",
    help="Which rows; delt is always the first. delt-plus is the chosen switches together.",
)
@setting_options(["experiment", "recover", "evaluate"], {"recover": SHARED_SETTINGS})
@teacher_options
@preset_option
@path_option("--into", "DIR", "Put the runs there, and not among your runs.", is_folder=True)
@click.option("--fresh", is_flag=True, help="Compute everything anew, also what is there already.")
@path_option("--out", "FILE", "Also write the table to FILE as JSON.")
@output_options
def ablate(
    switches: str, into: Path | None, fresh: bool, out: Path | None, as_json: bool, quiet: bool, **values: Any
) -> None:
    """Recover by DELT with one switch of DELT+ on at a time, train students, and print what each is worth.

    Everything else is the same for all rows: patches, image-iterations, teacher, labels (the teacher's alone, also
    where a committee recovers) and students' training. A preset gives the dataset, its images per class and the
    students' training. It is shortened like `delt compare`, runs are used again, and the same command goes on after
    Ctrl-C. The app shows the table on the page Accuracy.
    """
    if out is not None:
        check_writable(out)
    told = preset_told(values, ("experiment", "evaluate"), silent=as_json or quiet)
    plan = plan_ablation(split_names(switches), values)
    comparison = Comparison(plan, (plan.evaluate,), into, fresh=fresh, quiet=quiet, command="delt ablate")
    rows = [{**row, **_told(name)} for name in plan.experiments for row in comparison.rows(name)]
    if not ranks.this_rank().is_first:
        return
    record = {**_record(plan, with_gaps(rows)), "command": _command(plan, values)}
    keep(record)
    if out is not None:
        write_bytes(out, (json.dumps(record, indent=1) + "\n").encode())
    if as_json:
        say_json({**record, **told})
        return
    columns = [column for column in COLUMNS if any(row.get(column.name) is not None for row in record["rows"])]
    say_columns(columns, record["rows"])
    say(f"{described(record)} Made by: {shlex.join(record['command'])}")


def plan_ablation(names: tuple[str, ...], values: Mapping[str, Any]) -> ComparisonPlan:
    """Make the settings of every row of what was typed, by name of the command's parameters.

    Raises:
        ConfigError: an unknown switch, or a value that is not allowed.
        DataError, CheckpointError: data or teacher are not there.
    """
    if wrong := next((name for name in names if name not in SWITCHES), None):
        raise ConfigError(f"switches: {wrong!r} given, but it must be one of {', '.join(SWITCHES)}.")
    plan = plan_comparison((BASE,), "equal", values)
    if not plan.evaluate.relabeller:  # else a committee would label its own images
        plan = plan_comparison((BASE,), "equal", {**values, _RELABELLER: plan.inputs.teacher_ref})
    base = plan.experiments[BASE]
    rows = [BASE, *(name for name in SWITCHES if name in names and name != BASE)]
    experiments = {name: base.replace(recover=SWITCHES[name].applied(base.recover)) for name in rows}
    return replace(plan, experiments=experiments)


def _told(name: str) -> dict[str, Any]:
    switch = SWITCHES[name]
    return {"switch": name, "title": switch.title, "settings": switch.words, "origin": switch.origin}


def _command(plan: ComparisonPlan, values: Mapping[str, Any]) -> list[str]:
    """Return what makes the same table again."""
    return [
        *("delt", "ablate", "--switches", ",".join(plan.experiments), *option_words(preset=values.get("preset"))),
        *(
            word
            for stage, typed in typed_settings(values).items()
            for spec in field_specs(STAGE_RECORDS[stage])
            if spec.name in typed
            for word in flag_words(spec.flag, typed[spec.name])
        ),
    ]


_KEPT = (
    *("switch", "title", "settings", "origin", "iterations", "round_iterations", "image_iterations"),
    *("synthesis_seconds", "top1_last", "top1_last_std", "top1_best", "top1_best_std", "gap", "cosine_similarity"),
)
"""What is kept of a row."""


def _record(plan: ComparisonPlan, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ablation as it is kept: what was asked, where it was measured, and the rows."""
    base, inputs, first = plan.experiments[BASE], plan.inputs, rows[0]
    return {
        "dataset": inputs.dataset.spec.name,
        "dataset_title": inputs.dataset.spec.title,
        "dataset_fingerprint": inputs.dataset.fingerprint,
        "test_images": len(inputs.dataset.test),
        "teacher": inputs.teacher_ref,
        "teacher_fingerprint": plan.teacher,
        "seed": base.seed,
        "ipc": base.recover.ipc,
        "iterations": base.recover.iterations,
        "round_iterations": base.recover.round_iterations,
        "training": first["training"],
        "seeds": len(first["seeds"]),
        "machine": "{processor}, {instructions}, torch {torch}".format(**this_machine()),
        "rows": [{name: row.get(name) for name in _KEPT} for row in rows],
    }
